import { describe, expect, test } from 'vitest';
import { packageRoot } from '../house/package-root.ts';
import { readFeatures, rowIds, selectFeatures } from './rows.ts';

const features = readFeatures(packageRoot());
const select = (selection: string): string[] => selectFeatures(features, selection).map((row) => row.id);

describe('the table', () => {
  test('has 276 rows, each with its own id', () => {
    expect(features).toHaveLength(276);
    expect(new Set(features.map((feature) => feature.id)).size).toBe(276);
  });

  test('gives every row a section, a feature and a check', () => {
    const incomplete = features.filter((row) => !(row.section && row.feature && row.check));
    expect(incomplete).toEqual([]);
  });
});

describe('row ids of a title', () => {
  test('are the bracketed ones it starts with', () => {
    expect(rowIds('[B13] SNAT to the gateway address')).toEqual(['B13']);
    expect(rowIds('[B13][C2] both')).toEqual(['B13', 'C2']);
    expect(rowIds('[B13] [C2] both, unlike [C3]')).toEqual(['B13', 'C2']);
  });

  test('are none when the title is plain', () => {
    expect(rowIds('SNAT, see [B13]')).toEqual([]);
  });
});

describe('--rows', () => {
  test('takes sections, rows and ranges, and keeps the order of the table', () => {
    expect(select('N1,D6-D9')).toEqual(['D6', 'D7', 'D8', 'D9', 'N1']);
    expect(select('D')).toHaveLength(9);
    expect(select('D6-8')).toEqual(['D6', 'D7', 'D8']);
  });

  test('names the part that means nothing', () => {
    expect(() => select('B1,Z9')).toThrow('"Z9" is no section');
  });
});

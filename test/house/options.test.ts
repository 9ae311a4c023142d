import { describe, expect, it } from 'vitest';
import { type AgentName, optionsOf } from '../../lib/config/options/table.ts';
import { packageRoot } from './package-root.ts';
import { readSources } from './sources.ts';

const AGENTS: readonly AgentName[] = ['l3', 'dhcp', 'metadata'];

describe('every option of Neutron', () => {
  const words = new Set(
    [...readSources(packageRoot(), ['agents', 'lib'])].flatMap(([path, text]) =>
      path.startsWith('lib/config/options/') ? [] : (text.match(/\w+/g) ?? []),
    ),
  );
  const options = new Map(AGENTS.flatMap((agent) => optionsOf(agent)).map((option) => [option.name, option]));

  it('is read somewhere, or says why it has no effect here', () => {
    const forgotten = [...options.values()]
      .filter(({ name, unused }) => unused === undefined && !words.has(name))
      .map(({ group, name }) => `[${group}] ${name}`);
    expect(forgotten).toEqual([]);
  });
});

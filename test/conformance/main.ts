/**
 * `npm run conformance`: runs the tests that touch a real kernel and says for each feature of Neutron's agents
 * whether one of them proved it. Exit 0 nothing failed, 1 a row failed, 64 usage.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../house/package-root.ts';
import { runVitest } from '../house/vitest-run.ts';
import { conformance, writtenTests } from './results.ts';
import { type Feature, readFeatures, selectFeatures } from './rows.ts';
import { renderTable, totals } from './table.ts';

const usage = `usage: npm run conformance [-- [--json] [--rows B,C13,D6-D9]]
  --json   one JSON document on standard output instead of the table
  --rows   only these sections, rows and ranges; only their tests run
`;

async function main(argv: readonly string[]): Promise<number> {
  const root = packageRoot();
  const features = readFeatures(root);
  let json = false;
  let selected: Feature[] = features;
  let narrowed = false;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { json: { type: 'boolean' }, rows: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      process.stdout.write(usage);
      return 0;
    }
    json = values.json ?? false;
    if (values.rows !== undefined) {
      selected = selectFeatures(features, values.rows);
      narrowed = true;
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 64;
  }

  const run = await runVitest({
    root,
    projects: ['kernel', 'e2e'],
    output: 2,
    titles: narrowed ? `\\[(${selected.map((feature) => feature.id).join('|')})\\]` : '\\[[A-Z]\\d+\\]',
  });
  const written = ['test/kernel', 'test/e2e']
    .map((folder) => join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap(testFiles)
    .flatMap((file) => writtenTests(file, readFileSync(file, 'utf8')));
  const all = conformance(features, run.report, written);
  const ids = new Set(selected.map((feature) => feature.id));
  const result = { rows: all.rows.filter((row) => ids.has(row.id)), unknown: all.unknown };

  const counts = totals(result.rows);
  if (json) {
    process.stdout.write(`${JSON.stringify({ totals: counts, ...result }, null, 2)}\n`);
  } else {
    process.stdout.write(renderTable(result));
  }
  return counts.failed > 0 || result.unknown.length > 0 ? 1 : 0;
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name));
}

process.exitCode = await main(process.argv.slice(2));

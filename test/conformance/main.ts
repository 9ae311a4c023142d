/**
 * `npm run conformance`: runs the tests that touch a real kernel, and with --neutron those against a real neutron-server,
 * and says for each feature of Neutron's agents whether one of them proved it. Exit 0 nothing failed, 1 a row failed or
 * packages are missing, 64 usage.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../house/package-root.ts';
import { runVitest, type VitestReport } from '../house/vitest-run.ts';
import { neutronFiles, runNeutronFiles } from '../neutron/files.ts';
import { conformance, type WrittenTest, writtenTests } from './results.ts';
import { type Feature, readFeatures, selectFeatures } from './rows.ts';
import { renderTable, totals } from './table.ts';

const usage = `usage: npm run conformance [-- [--json] [--rows B,C13,D6-D9] [--neutron]]
  --json      one JSON document on standard output instead of the table
  --rows      only these sections, rows and ranges; only their tests run
  --neutron   also the tests against a real neutron-server (half an hour for all rows); without it, rows that only they
              prove are "not run". Needs sh deploy/install-dependencies.sh neutron
`;

/** What only the packages of the tests against Neutron bring. */
const NEUTRON_PROGRAMS = ['/usr/bin/neutron-server', '/usr/bin/neutron-linuxbridge-agent'];

interface Wanted {
  readonly selected: readonly Feature[];
  /** only some rows are wanted */
  readonly narrowed: boolean;
  readonly json: boolean;
  readonly neutron: boolean;
}

async function main(argv: readonly string[]): Promise<number> {
  const root = packageRoot();
  const features = readFeatures(root);
  let wanted: Wanted | undefined;
  try {
    wanted = readArguments(argv, features);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 64;
  }
  if (!wanted) {
    process.stdout.write(usage);
    return 0;
  }
  const missing = wanted.neutron ? NEUTRON_PROGRAMS.filter((path) => !existsSync(path)) : [];
  if (missing.length > 0) {
    process.stderr.write(
      `--neutron: ${missing.join(' and ')} missing: run sh deploy/install-dependencies.sh neutron\n`,
    );
    return 1;
  }

  const byServer = testsIn(root, 'test/neutron');
  const byKernel = ['test/kernel', 'test/e2e'].flatMap((folder) => testsIn(root, folder));
  const { selected, neutron } = wanted;
  const all = conformance(
    features,
    await evidence(root, wanted),
    neutron ? [...byKernel, ...byServer] : byKernel,
    neutron ? [] : byServer,
  );
  const ids = new Set(selected.map((feature) => feature.id));
  const result = { rows: all.rows.filter((row) => ids.has(row.id)), unknown: all.unknown };

  const counts = totals(result.rows);
  if (wanted.json) {
    process.stdout.write(`${JSON.stringify({ totals: counts, ...result }, null, 2)}\n`);
  } else {
    process.stdout.write(renderTable(result));
    if (!neutron && counts['not run'] > 0)
      process.stdout.write('Rows that only a neutron-server can prove are run by --neutron.\n');
  }
  return counts.failed > 0 || result.unknown.length > 0 ? 1 : 0;
}

/** undefined: help is wanted. @throws Error that says what is wrong */
function readArguments(argv: readonly string[], features: readonly Feature[]): Wanted | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      json: { type: 'boolean', default: false },
      rows: { type: 'string' },
      neutron: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  const { json, neutron, rows } = values;
  const selected = rows === undefined ? features : selectFeatures(features, rows);
  return { selected, narrowed: rows !== undefined, json, neutron };
}

/** What the tests of the wanted rows say; undefined: nothing could be run. */
async function evidence(
  root: string,
  { selected, narrowed, neutron }: Wanted,
): Promise<VitestReport | undefined> {
  const ids = selected.map((feature) => feature.id).join('|');
  const titles = narrowed ? `\\[(${ids})\\]` : '\\[[A-Z]\\d+\\]';
  const runs = [await runVitest({ root, projects: ['kernel', 'e2e'], titles, output: 2 })];
  if (neutron) {
    // A server is started for each file: only for those that have something to say.
    const files = neutronFiles(root).filter((file) =>
      new RegExp(titles).test(readFileSync(join(root, file), 'utf8')),
    );
    const server = await runNeutronFiles({ root, files, titles, output: 2 });
    runs.push(...server.map(({ run }) => run));
  }
  const reports = runs.flatMap(({ report }) => report ?? []);
  if (reports.length === 0) return undefined;
  return {
    success: reports.every(({ success }) => success),
    testResults: reports.flatMap(({ testResults }) => testResults),
  };
}

function testsIn(root: string, folder: string): WrittenTest[] {
  return testFiles(join(root, folder)).flatMap((file) => writtenTests(file, readFileSync(file, 'utf8')));
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name));
}

process.exitCode = await main(process.argv.slice(2));

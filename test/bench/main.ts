/** `npm run bench -- NAME`: measures the same work done by Viaduct, by a shell script and by the bare kernel. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { renderTable, type TableRow } from '../../agents/cli/table.ts';
import { type Bench, floatingIpAdd, routers } from './benches.ts';
import { dhcp, load, portAdd } from './dhcp-benches.ts';
import {
  DHCP_HEADS,
  type DhcpFigures,
  dhcpRow,
  LOAD_HEADS,
  type LoadFigures,
  loadRow,
  PORT_HEADS,
  type PortFigures,
  portRow,
} from './dhcp-figures.ts';
import {
  type Figures,
  FLOATING_IP_HEADS,
  type FloatingIpFigures,
  floatingIpRow,
  ROUTER_HEADS,
  type RoutersFigures,
  routersRow,
} from './figures.ts';
import { grantInotify } from './inotify.ts';
import { compareWithNeutron } from './neutron/bench.ts';
import { endSandboxes } from './sandbox.ts';

const ROUTERS = [1, 10, 100, 500];
const PRESENT = [1, 100, 1000];
const NETWORKS = [10, 100, 300];
const PORTS = [10, 5000];
/** routers, and networks */
const COMPARED = [50];

function counts(text: string): number[] {
  return text.split(',').map((part) => {
    const count = Number(part);
    if (!Number.isInteger(count) || count < 1 || count > 5000)
      throw new InvalidArgumentError('numbers from 1 to 5000, separated by commas.');
    return count;
  });
}

interface Options {
  readonly json?: boolean;
  readonly n?: number[];
  readonly runs: number[];
}

/** Prints JSON lines as they come, or one table at the end. */
async function show<F extends Figures>(
  json: boolean | undefined,
  wanted: readonly number[],
  measure: (count: number) => Promise<F>,
  table: (found: readonly F[]) => string[],
): Promise<void> {
  const found: F[] = [];
  for (const count of wanted) {
    const figures = await measure(count);
    found.push(figures);
    if (json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  }
  if (!json) process.stdout.write(`\n${table(found).join('\n')}\n`);
}

const tableOf = (heads: readonly string[], rows: readonly TableRow[]): string[] =>
  renderTable({ width: Number.POSITIVE_INFINITY, color: false }, heads, rows);

const showRouters = (bench: Bench, { json, n }: Options): Promise<void> =>
  show<RoutersFigures>(
    json,
    n ?? ROUTERS,
    (count) => routers(count, bench),
    (found) => tableOf(ROUTER_HEADS, found.map(routersRow)),
  );

const showFloatingIps = (bench: Bench, { json }: Options, present: readonly number[]): Promise<void> =>
  show<FloatingIpFigures>(
    json,
    present,
    (count) => floatingIpAdd(count, bench),
    (found) =>
      tableOf(
        FLOATING_IP_HEADS,
        found.map((figures) => floatingIpRow(figures, found[0]!)),
      ),
  );

const showNetworks = (bench: Bench, { json, n }: Options): Promise<void> =>
  show<DhcpFigures>(
    json,
    n ?? NETWORKS,
    (count) => dhcp(count, bench),
    (found) => tableOf(DHCP_HEADS, found.map(dhcpRow)),
  );

const showPorts = (bench: Bench, { json }: Options, present: readonly number[]): Promise<void> =>
  show<PortFigures>(
    json,
    present,
    (count) => portAdd(count, bench),
    (found) =>
      tableOf(
        PORT_HEADS,
        found.map((figures) => portRow(figures, found[0]!)),
      ),
  );

const showLoad = (bench: Bench, { json }: Options): Promise<void> =>
  show<LoadFigures>(
    json,
    [1],
    () => load(bench),
    (found) => tableOf(LOAD_HEADS, found.map(loadRow)),
  );

const BENCHES: Readonly<Record<string, (bench: Bench, options: Options) => Promise<void>>> = {
  routers: async (bench, options) => {
    await showRouters(bench, options);
    await showFloatingIps(bench, options, PRESENT);
  },
  'fip-add': (bench, options) => showFloatingIps(bench, options, options.n ?? PRESENT),
  dhcp: async (bench, options) => {
    await showNetworks(bench, options);
    await showPorts(bench, options, PORTS);
    await showLoad(bench, options);
  },
  'dhcp-load': showLoad,
  neutron: async (_bench, { n = COMPARED, json = false }) => {
    for (const count of n) compareWithNeutron(count, json);
  },
  'dhcp-port-add': (bench, options) => showPorts(bench, options, options.n ?? PORTS),
};

async function run(name: string, options: Options): Promise<void> {
  const bench = BENCHES[name];
  if (!bench) {
    process.stderr.write(
      `bench: unknown name ${JSON.stringify(name)} (known: ${Object.keys(BENCHES).join(', ')})\n`,
    );
    process.exitCode = 64;
    return;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write('bench: needs root: it makes network namespaces\n');
    process.exitCode = 77;
    return;
  }
  const directory = fs.mkdtempSync(join(tmpdir(), 'viaduct-bench-'));
  // dnsmasq reads its files as its own user.
  fs.chmodSync(directory, 0o755);
  const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const restore = grantInotify(progress);
  const stop = (signal: NodeJS.Signals): void => {
    endSandboxes();
    restore();
    fs.rmSync(directory, { recursive: true, force: true });
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  try {
    await bench({ directory, runs: options.runs[0]!, progress }, options);
  } finally {
    restore();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

await new Command('bench')
  .description(
    'Measure Viaduct against a shell script, the bare kernel, bare daemons and the agents of Neutron, in namespaces of its own.',
  )
  .argument('<name>', `one of ${Object.keys(BENCHES).join(', ')}`)
  .option('--json', 'one JSON line for each figure')
  .option(
    '--n <counts>',
    'numbers of routers or networks, or of floating IPs or ports present: 1,10,100',
    counts,
  )
  .option('--runs <count>', 'how often each variant is measured; the median counts', counts, [3])
  .action(run)
  .parseAsync();

/**
 * The measured processes: `variants.js VARIANT ARGS` runs in a sandbox, measures one thing once and prints it
 * as one JSON line. A process for each, so that memory and the compiler's warmth are honest.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { counters } from '../../lib/kernel/counters.ts';
import { readLinks } from '../../lib/kernel/link.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../lib/kernel/netlink.ts';
import { deleteNamespace, listNamespaces } from '../../lib/kernel/netns.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { createQueue, PRIORITY } from '../../lib/namespace/queue.ts';
import { inOrder, Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import type { Row } from '../../lib/namespace/rows.ts';
import { floatingIp } from '../kernel/routers.ts';
import { DHCP_VARIANTS } from './dhcp-variants.ts';
import { requireEmpty, residentMegabytes, stopwatch } from './measuring.ts';
import { loadRecording, Recorder, replay } from './recording.ts';
import { compiled, groupsOf, type Payload, payloadOf, payloads } from './routers-under-test.ts';
import type { Measured } from './sandbox.ts';
import { type Style, writeShellScript } from './shell-script.ts';

/** floating IPs added one after the other to find the median of one */
const ADDITIONS = 30;
/** as agents/l3/agent.ts */
const CONCURRENCY = 8;
/** stands for options, host and program, which do not change here */
const BASIS = 'bench';

/** By an agent's queue, as many at a time as an agent takes; records on disk and drift repair as in real life. */
async function build(
  reconciler: Reconciler,
  all: Iterable<Payload>,
  concurrency = CONCURRENCY,
): Promise<number> {
  let steps = 0;
  const errors: unknown[] = [];
  const queue = createQueue<Payload>({
    concurrency,
    work: async (id, payload) => {
      // As agents/l3/agent.ts: validated, and compiled unless the router is as it was left.
      const router = parseRouter(payload);
      const record = { kind: 'router', payload };
      if (await reconciler.confirm(id, record, BASIS)) return;
      reconciler.setDesired(id, compiled(router), record, BASIS);
      const result = await reconciler.reconcile(id);
      for (const { key, message } of result.failures) errors.push(new Error(`${key}: ${message}`));
      steps += result.steps;
    },
    onFailure: (_key, error) => errors.push(error),
  });
  for (const payload of all) queue.add(payload.id, PRIORITY.fullSync, payload);
  await queue.idle();
  if (errors.length > 0) throw errors[0];
  return steps;
}

async function cold(count: number, state: string, heal: boolean): Promise<Measured> {
  requireEmpty();
  const rss = residentMegabytes();
  let all: Payload[] | undefined = payloads(count);
  const elapsed = stopwatch();
  const reconciler = new Reconciler({ records: new Records(state), heal, announce: false });
  const steps = await build(reconciler, all);
  const time = elapsed();
  const { writes, forks } = counters;
  all = undefined;
  await pause(0);
  const rssAfter = residentMegabytes();
  await reconciler.close();
  return { ...time, steps, writes, forks, rss: rssAfter - rss, rss_total: rssAfter };
}

async function restart(count: number, state: string, heal: boolean): Promise<Measured> {
  const all = payloads(count);
  const elapsed = stopwatch();
  const records = new Records(state);
  const recorded = records.load() as Map<string, { payload: Payload }>;
  const reconciler = new Reconciler({ records, heal, announce: false });
  for (const [id, { payload }] of recorded) reconciler.expect(id, () => groupsOf(payload), BASIS);
  const steps = await build(reconciler, all);
  const time = elapsed();
  const { writes, forks } = counters;
  await reconciler.close();
  return { ...time, steps, writes, forks };
}

/** A fresh process finds nothing to do: what another variant made is the same. */
async function verify(count: number): Promise<Measured> {
  const reconciler = new Reconciler({ announce: false });
  const differences: string[] = [];
  for (const payload of payloads(count)) {
    reconciler.setDesired(payload.id, groupsOf(payload));
    for (const step of reconciler.plan(payload.id)) differences.push(`${step.row.key}: ${step.reason}`);
  }
  await reconciler.close();
  if (differences.length > 0)
    throw new Error(
      `not the same work, ${differences.length} differences: ${differences.slice(0, 5).join('; ')}`,
    );
  return { differences: 0 };
}

/** Not measured: builds once and keeps what was asked of the kernel. */
async function record(count: number, path: string): Promise<Measured> {
  requireEmpty();
  const recorder = new Recorder();
  recorder.start();
  const reconciler = new Reconciler({ announce: false });
  // One after the other: the recording must not mix them.
  await build(reconciler, payloads(count), 1);
  await reconciler.close();
  recorder.save(path);
  return {};
}

function floor(path: string): Measured {
  requireEmpty();
  const operations = loadRecording(path);
  const elapsed = stopwatch();
  replay(operations);
  return elapsed();
}

function shell(count: number, directory: string, style: Style, together = false): Measured {
  requireEmpty();
  const made = new Set<string>();
  const fresh = (row: Row): boolean => !made.has(row.key) && made.add(row.key) !== undefined;
  const routers = payloads(count).map((payload) => groupsOf(payload).flat().filter(fresh));
  const parts = together ? [routers.flat()] : routers;
  fs.mkdirSync(directory, { recursive: true });
  const script = writeShellScript(
    parts.map((rows) => inOrder(rows)),
    directory,
    style,
  );
  const started = performance.now();
  execFileSync('sh', [script], { stdio: ['ignore', 'ignore', 'inherit'] });
  return { ms: performance.now() - started };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** One floating IP more, again and again: all else in the payload is the same objects, as a controller gives. */
async function addFloatingIps(present: number, additions: number, state: string): Promise<Measured> {
  requireEmpty();
  const reconciler = new Reconciler({ records: new Records(state), heal: true, announce: false });
  let payload = payloadOf(1, present);
  await build(reconciler, [payload]);
  const times: number[] = [];
  for (let i = 0; i < additions; i++) {
    const added = floatingIp(1, 256 + present + i);
    const next = { ...payload, _floatingips: [...payload._floatingips, added] };
    const before = performance.now();
    const steps = await build(reconciler, [next]);
    times.push(performance.now() - before);
    if (steps !== 3) throw new Error(`one floating IP took ${steps} steps`);
    payload = next;
    await pause(20);
  }
  await reconciler.close();
  return { ms: median(times), worst: Math.max(...times) };
}

/** Take everything down and wait until the kernel has: so it does not work on it during the next measurement. */
async function clean(): Promise<Measured> {
  for (const name of listNamespaces()) deleteNamespace(name);
  const taps = (): number => {
    using socket = new NetlinkSocket(NETLINK_ROUTE, '');
    return readLinks(socket).filter((link) => link.type === 'veth').length;
  };
  while (taps() > 0) await pause(50);
  return {};
}

async function main([variant, ...args]: string[]): Promise<Measured> {
  const count = Number(args[0]);
  const [, second = '', third = ''] = args;
  switch (variant) {
    case 'cold':
      return cold(count, second, third !== 'no-heal');
    case 'restart':
      return restart(count, second, third !== 'no-heal');
    case 'verify':
      return verify(count);
    case 'record':
      return record(count, second);
    case 'floor':
      return floor(second);
    case 'shell':
      return shell(count, join(second, 'shell'), 'plain');
    case 'shell-tight':
      return shell(count, join(second, 'shell'), 'tight');
    case 'shell-together':
      return shell(count, join(second, 'shell'), 'tight', true);
    case 'fip-add':
      return addFloatingIps(count, ADDITIONS, second);
    case 'clean':
      return clean();
    default: {
      const dhcp = DHCP_VARIANTS[variant ?? ''];
      if (!dhcp) throw new Error(`no such variant: ${variant}`);
      return dhcp(...args);
    }
  }
}

process.stdout.write(`${JSON.stringify(await main(process.argv.slice(2)))}\n`);

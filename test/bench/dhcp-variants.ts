/** The measured DHCP processes; see variants.ts. Each is the whole agent but the way to its server. */
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createDhcpAgent, type DhcpAgent } from '../../agents/dhcp/agent.ts';
import { networkDirectory } from '../../agents/dhcp/compile/identity.ts';
import { counters } from '../../lib/kernel/counters.ts';
import { readPidFile, readProcess, stopProcess } from '../../lib/kernel/process.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import { replayWithDaemons } from './dhcp-floor.ts';
import { dhcpLoad } from './dhcp-load.ts';
import { median } from './figures.ts';
import { requireEmpty, residentMegabytes, stopwatch } from './measuring.ts';
import {
  groupsOf,
  host,
  instancePort,
  networkOf,
  networks,
  optionsIn,
  type Payload,
} from './networks-under-test.ts';
import { loadRecording, Recorder } from './recording.ts';
import type { Measured } from './sandbox.ts';

/** ports added one after the other to find the median of one */
const ADDITIONS = 30;

interface Served {
  readonly agent: DhcpAgent;
  readonly reconciler: Reconciler;
  readonly payloads: Map<string, Payload>;
}

interface AgentSettings {
  readonly state: string;
  readonly all: readonly Payload[];
  readonly recorder?: Recorder;
}

/** Records on disk, drift repair and the payload's way through the agent as in real life. */
function agentOf({ state, all, recorder }: AgentSettings): Served {
  const records = new Records(join(state, 'records'));
  const known = [...records.load()];
  const options = optionsIn(state, recorder ? { num_sync_threads: 1 } : {});
  const reconciler = new Reconciler({
    records,
    heal: !recorder,
    announce: false,
    onReport({ outcomes }) {
      for (const { step } of outcomes) if (step.row.kind === 'daemon') recorder?.daemon(step.row);
    },
  });
  for (const [id, record] of known)
    reconciler.setDesired(id, groupsOf((record as { payload: unknown }).payload, options));
  const payloads = new Map(all.map((payload) => [payload.id, payload]));
  const agent = createDhcpAgent({
    plugin: {
      getActiveNetworksInfo: async () => [...payloads.values()],
      getNetworkInfo: async (id) => payloads.get(id) ?? null,
      dhcpReadyOnPorts: async () => {},
    },
    reconciler,
    options,
    host,
    logger: {
      debug() {},
      info() {},
      warn: (fields, message) => void process.stderr.write(`${JSON.stringify(fields)} ${message}\n`),
    },
    knownNetworks: known.map(([id]) => id),
  });
  return { agent, reconciler, payloads };
}

async function settled({ agent }: Served): Promise<void> {
  await agent.idle();
  const [problem] = Object.entries(agent.state().problems);
  if (problem) throw new Error(problem.join(': '));
}

async function end({ agent, reconciler }: Served): Promise<void> {
  await agent.stop();
  await reconciler.close();
}

const directories = (state: string): string[] => {
  const confs = optionsIn(state).dhcp_confs;
  return fs.existsSync(confs) ? fs.readdirSync(confs).map((id) => networkDirectory(confs, id)) : [];
};
const pidOf = (directory: string): number | undefined => readPidFile(join(directory, 'pid'));

/** All dnsmasq by pid and start time. */
function daemons(state: string): Set<string> {
  return new Set(
    directories(state).flatMap((directory) => {
      const pid = pidOf(directory);
      const found = pid === undefined ? undefined : readProcess(pid);
      return found ? [`${found.pid} ${found.startTime}`] : [];
    }),
  );
}

/** Files below a directory by path, inode and time of change; what dnsmasq itself writes is not the agent's. */
function files(directory: string): Set<string> {
  const found = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return new Set(
    found.flatMap((entry) => {
      if (!entry.isFile() || entry.name === 'leases') return [];
      const path = join(entry.parentPath, entry.name);
      const { ino, mtimeNs, ctimeNs } = fs.statSync(path, { bigint: true });
      return [`${path} ${ino} ${mtimeNs} ${ctimeNs}`];
    }),
  );
}

const lost = (before: ReadonlySet<string>, after: ReadonlySet<string>): number =>
  [...before].filter((each) => !after.has(each)).length;

async function cold(count: number, state: string): Promise<Measured> {
  requireEmpty();
  const rss = residentMegabytes();
  const all = networks(count);
  const elapsed = stopwatch();
  const served = agentOf({ state, all });
  served.agent.start();
  await settled(served);
  const time = elapsed();
  const { writes, forks } = counters;
  await end(served);
  if (daemons(state).size !== count) throw new Error(`${daemons(state).size} of ${count} dnsmasq run`);
  return { ...time, writes, forks, rss: residentMegabytes() - rss };
}

/** What changed is looked for from outside as well: files, and processes. */
async function restart(count: number, state: string): Promise<Measured> {
  const all = networks(count);
  const before = { files: files(state), daemons: daemons(state) };
  const elapsed = stopwatch();
  const served = agentOf({ state, all });
  served.agent.start();
  await settled(served);
  const time = elapsed();
  await end(served);
  const { writes, forks } = counters;
  const after = { files: files(state), daemons: daemons(state) };
  return {
    ...time,
    writes,
    forks,
    files: lost(before.files, after.files) + lost(after.files, before.files),
    daemons: lost(before.daemons, after.daemons) + lost(after.daemons, before.daemons),
  };
}

/** A fresh process finds nothing to do: what another variant made is the same, dnsmasq included. */
async function verify(count: number, state: string): Promise<Measured> {
  const options = optionsIn(state);
  const reconciler = new Reconciler({ announce: false });
  const differences: string[] = [];
  for (const payload of networks(count)) {
    reconciler.setDesired(payload.id, groupsOf(payload, options));
    for (const step of reconciler.plan(payload.id)) differences.push(`${step.row.key}: ${step.reason}`);
  }
  await reconciler.close();
  if (differences.length > 0)
    throw new Error(
      `not the same work, ${differences.length} differences: ${differences.slice(0, 5).join('; ')}`,
    );
  return { differences: 0 };
}

/** Not measured: serves once, network by network, and keeps what was asked of the kernel, and the files. */
async function record(count: number, state: string, path: string): Promise<Measured> {
  requireEmpty();
  const recorder = new Recorder();
  recorder.start();
  const served = agentOf({ state, all: networks(count), recorder });
  served.agent.start();
  await settled(served);
  await end(served);
  recorder.save(path);
  return {};
}

async function floor(state: string, path: string): Promise<Measured> {
  requireEmpty();
  const operations = loadRecording(path);
  const elapsed = stopwatch();
  await replayWithDaemons(operations, optionsIn(state).num_sync_threads);
  return elapsed();
}

/** One port more, again and again: all else in the payload is the same objects, as a controller gives. */
async function addPorts(present: number, state: string): Promise<Measured> {
  requireEmpty();
  let payload = networkOf(1, present);
  const served = agentOf({ state, all: [payload] });
  served.agent.start();
  await settled(served);
  const before = daemons(state);
  const times: number[] = [];
  for (let i = 0; i < ADDITIONS; i++) {
    payload = { ...payload, ports: [...payload.ports, instancePort(1, present + i)] };
    served.payloads.set(payload.id, payload);
    const started = performance.now();
    served.agent.networksUpdated([payload.id]);
    await settled(served);
    times.push(performance.now() - started);
    await pause(20);
  }
  await end(served);
  if (lost(before, daemons(state)) > 0) throw new Error('dnsmasq was restarted');
  return { ms: median(times), worst: Math.max(...times) };
}

/** No dnsmasq may be left when the sandbox is taken down. */
async function endDaemons(state: string): Promise<Measured> {
  await Promise.all(
    directories(state).map(async (directory) => {
      const pid = pidOf(directory);
      const found = pid === undefined ? undefined : readProcess(pid);
      if (found?.argv[0] === 'dnsmasq') await stopProcess(found);
    }),
  );
  return {};
}

export const DHCP_VARIANTS: Readonly<Record<string, (...args: string[]) => Promise<Measured>>> = {
  'dhcp-cold': (count, state) => cold(Number(count), state!),
  'dhcp-restart': (count, state) => restart(Number(count), state!),
  'dhcp-verify': (count, state) => verify(Number(count), state!),
  'dhcp-record': (count, state, path) => record(Number(count), state!, path!),
  'dhcp-floor': (state, path) => floor(state!, path!),
  'dhcp-port-add': (present, state) => addPorts(Number(present), state!),
  'dhcp-load': (state, staying, added, seconds) =>
    dhcpLoad({ state: state!, staying: Number(staying), added: Number(added), seconds: Number(seconds) }),
  'dhcp-end': (state) => endDaemons(state!),
};

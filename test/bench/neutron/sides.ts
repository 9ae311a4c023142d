/** What one side needs for the same work: Viaduct's agents, or Neutron's. */
import type { AgentGroup } from '../../neutron/cloud/agent-group.ts';
import type { Cloud } from '../../neutron/cloud/cloud.ts';
import type { NodeAgent } from '../../neutron/cloud/node.ts';
import { type FoundProcess, processesOf, pssOf } from '../../neutron/cloud/processes.ts';
import { type AssociationSite, associate } from './association.ts';
import { missingOfRouter, routersComplete } from './completeness.ts';
import { networksServe } from './dhcp-probe.ts';
import { atRest } from './rest.ts';
import type { WantedNetwork, WantedRouter } from './site.ts';

const PATIENCE_MS = 20 * 60_000;

/** Seconds and bytes. */
export interface Found {
  readonly routers: number;
  readonly routersMemory: number;
  readonly restart: number;
  readonly association: number;
  readonly associationAgent: number;
  readonly networks: number;
  readonly networksMemory: number;
  readonly networksRestart: number;
}

export interface Work {
  readonly cloud: Cloud;
  readonly routers: readonly WantedRouter[];
  readonly association: AssociationSite;
  readonly networks: readonly WantedNetwork[];
  /** network id → its DHCP port's device in the host */
  readonly devices: ReadonlyMap<string, string>;
}

/**
 * Everyone rests for so long, and the work is not done: Neutron's agents of Debian 12 now and then stop for ever when
 * work begins ("cannot switch to a different thread" in a privsep daemon). That is told, and they may start anew.
 */
const STALLED = { quietMs: 75_000, sampleMs: 1_000 };
const ATTEMPTS = 4;

const seconds = (from: number, to: number): number => (to - from) / 1000;

/** The agents, what runs for them, and the server that answers them: all rest, or somebody waits for another. */
const busyWith =
  (agents: AgentGroup, { server }: Cloud) =>
  (): FoundProcess[] => [
    ...agents.processes,
    ...processesOf({ name: 'none', value: '' }, server.pid === undefined ? [] : [server.pid]),
  ];

interface Side {
  readonly agents: AgentGroup;
  readonly work: Work;
  readonly progress: (line: string) => void;
}

/**
 * Starts one agent on a node as after a boot. @returns seconds until its work is done
 * @param done resolves with the moment when it is
 */
async function firstStart(
  { agents, work, progress }: Side,
  role: NodeAgent,
  before: readonly NodeAgent[],
  done: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const busy = busyWith(agents, work.cloud);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    await agents.boot(work.cloud.broker);
    if (before.length > 0) {
      agents.start(...before);
      await atRest(busy, PATIENCE_MS);
    }
    const over = new AbortController();
    const { signal } = over;
    const started = performance.now();
    agents.start(role);
    const doing = done(signal);
    const stalling = atRest(busy, PATIENCE_MS, { ...STALLED, signal }).then(() => undefined);
    try {
      const at = await Promise.race([doing, stalling]);
      if (at !== undefined) return seconds(started, at);
    } finally {
      over.abort(new Error('no longer awaited'));
      await Promise.allSettled([doing, stalling]);
    }
    progress(`stopped before its work was done, attempt ${attempt} of ${ATTEMPTS}`);
  }
  throw new Error(`the ${role} agent stopped before its work was done, ${ATTEMPTS} times`);
}

export async function measure(
  agents: AgentGroup,
  work: Work,
  progress: (line: string) => void,
): Promise<Found> {
  const { cloud } = work;
  const side: Side = { agents, work, progress };
  const rest = (): Promise<number> => atRest(busyWith(agents, cloud), PATIENCE_MS);
  try {
    // The metadata agent is there before: what is timed is the work for the routers.
    const routers = await firstStart(side, 'l3', ['metadata'], (signal) =>
      routersComplete(work.routers, PATIENCE_MS, signal),
    );
    progress(`routers complete after ${routers.toFixed(2)} s`);
    await rest();
    const routersMemory = pssOf(agents.processes);
    progress(
      `memory with routers ${Math.round(routersMemory / 1e6)} MB in ${agents.processes.length} processes`,
    );
    const { whole, agent } = await associate(cloud, work.association, rest);
    progress(
      `floating IP associated in ${Math.round(whole)} ms, of these ${Math.round(agent)} ms the agent's`,
    );
    await agents.stop('l3');
    await rest();
    const again = performance.now();
    agents.start('l3');
    const restart = seconds(again, await rest());
    progress(`at rest ${restart.toFixed(2)} s after a restart`);
    const lost = work.routers.map(missingOfRouter).find((what) => what !== undefined);
    if (lost) throw new Error(`lost over a restart: ${lost}`);

    const networks = await firstStart(side, 'dhcp', [], (signal) =>
      networksServe(work.networks, work.devices, PATIENCE_MS, signal),
    );
    progress(`networks serve after ${networks.toFixed(2)} s`);
    await rest();
    const networksMemory = pssOf(agents.processes);
    progress(
      `memory with networks ${Math.round(networksMemory / 1e6)} MB in ${agents.processes.length} processes`,
    );
    await agents.stop('dhcp');
    await rest();
    const servedAgain = performance.now();
    agents.start('dhcp');
    const networksRestart = seconds(servedAgain, await rest());
    progress(`at rest ${networksRestart.toFixed(2)} s after a restart`);
    return {
      routers,
      routersMemory,
      restart,
      association: whole / 1000,
      associationAgent: agent / 1000,
      networks,
      networksMemory,
      networksRestart,
    };
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${agents.tail()}`);
  } finally {
    await agents.boot(cloud.broker);
  }
}

/** What one side needs for the same work: Viaduct's agents, or Neutron's. */
import type { AgentGroup } from '../../neutron/cloud/agent-group.ts';
import type { Cloud } from '../../neutron/cloud/cloud.ts';
import type { NodeAgent } from '../../neutron/cloud/node.ts';
import { type FoundProcess, pssOf } from '../../neutron/cloud/processes.ts';
import { type AssociationSite, associate } from './association.ts';
import { missingOfRouter, routersComplete } from './completeness.ts';
import { networksServe } from './dhcp-probe.ts';
import { atRest } from './rest.ts';
import type { WantedNetwork, WantedRouter } from './site.ts';
import { insist, Stalled } from './stalled.ts';

const PATIENCE_MS = 20 * 60_000;
/** All rest for so long, and the work is not done: it never will be. */
const STALLED = { quietMs: 75_000, sampleMs: 1_000 };

interface RouterFigures {
  readonly routers: number;
  readonly routersMemory: number;
  readonly association: number;
  readonly associationAgent: number;
  readonly restart: number;
}

interface NetworkFigures {
  readonly networks: number;
  readonly networksMemory: number;
  readonly networksRestart: number;
}

/** Seconds and bytes. */
export interface Found extends RouterFigures, NetworkFigures {}

export interface Work {
  readonly cloud: Cloud;
  readonly routers: readonly WantedRouter[];
  readonly association: AssociationSite;
  readonly networks: readonly WantedNetwork[];
  /** network id → its DHCP port's device in the host */
  readonly devices: ReadonlyMap<string, string>;
}

const seconds = (from: number, to: number): number => (to - from) / 1000;

class Side {
  readonly agents: AgentGroup;
  readonly work: Work;
  readonly progress: (line: string) => void;

  constructor(agents: AgentGroup, work: Work, progress: (line: string) => void) {
    this.agents = agents;
    this.work = work;
    this.progress = progress;
  }

  /** The agents, what runs for them, and the server that answers them: all rest, or somebody waits for another. */
  readonly #busy = (): FoundProcess[] => [...this.agents.processes, ...this.work.cloud.server.processes];

  readonly rest = (): Promise<number> => atRest(this.#busy, PATIENCE_MS);

  /** @returns when a long rest began */
  longRest(signal?: AbortSignal): Promise<number> {
    return atRest(this.#busy, PATIENCE_MS, { ...STALLED, ...(signal ? { signal } : {}) });
  }

  /**
   * Starts one agent on a node as after a boot. @returns seconds until its work is done
   * @param done resolves with the moment when it is
   * @throws Stalled
   */
  async firstStart(
    role: NodeAgent,
    before: readonly NodeAgent[],
    done: (signal: AbortSignal) => Promise<number>,
  ): Promise<number> {
    const { agents, work } = this;
    await agents.boot(work.cloud.broker);
    if (before.length > 0) {
      agents.start(...before);
      await this.rest();
    }
    const over = new AbortController();
    const started = performance.now();
    agents.start(role);
    const doing = done(over.signal);
    const stalling = this.longRest(over.signal).then(() => undefined);
    try {
      const at = await Promise.race([doing, stalling]);
      if (at === undefined) throw new Stalled(`the ${role} agent rests before its work is done`);
      return seconds(started, at);
    } finally {
      over.abort(new Error('no longer awaited'));
      await Promise.allSettled([doing, stalling]);
    }
  }

  /**
   * Stops one agent and starts it again. @returns seconds until all rests
   * @param left how much the agent does not say to be done with
   * @throws Stalled
   */
  async restart(role: NodeAgent, left: () => number): Promise<number> {
    await this.agents.stop(role);
    await this.rest();
    const started = performance.now();
    this.agents.start(role);
    const rested = await this.rest();
    const lull = left() > 0;
    const done = lull ? await this.longRest() : rested;
    if (left() > 0) throw new Stalled(`${left()} routers are not looked at after a restart`);
    return seconds(started, done);
  }

  /** Bytes, and what to say of them. */
  memory(of: string): number {
    const { processes } = this.agents;
    const bytes = pssOf(processes);
    this.progress(`memory with ${of} ${Math.round(bytes / 1e6)} MB in ${processes.length} processes`);
    return bytes;
  }
}

async function firstRouters(side: Side): Promise<Omit<RouterFigures, 'restart'>> {
  const { work, progress } = side;
  // The metadata agent is there before: what is timed is the work for the routers.
  const routers = await side.firstStart('l3', ['metadata'], (signal) =>
    routersComplete(work.routers, PATIENCE_MS, signal),
  );
  progress(`routers complete after ${routers.toFixed(2)} s`);
  await side.rest();
  const routersMemory = side.memory('routers');
  const { whole, agent } = await associate(work.cloud, work.association, side.rest);
  progress(`floating IP associated in ${Math.round(whole)} ms, of these ${agent.toFixed(1)} ms the agent's`);
  return { routers, routersMemory, association: whole / 1000, associationAgent: agent / 1000 };
}

async function restartOfRouters(side: Side): Promise<number> {
  const { agents, work, progress } = side;
  const ids = work.routers.map(({ id }) => id);
  const restart = await side.restart('l3', () => agents.unfinished(ids).length);
  progress(`at rest ${restart.toFixed(2)} s after a restart`);
  const lost = work.routers.map(missingOfRouter).find((what) => what !== undefined);
  if (lost) throw new Error(`lost over a restart: ${lost}`);
  return restart;
}

async function firstNetworks(side: Side): Promise<Omit<NetworkFigures, 'networksRestart'>> {
  const { work, progress } = side;
  const networks = await side.firstStart('dhcp', [], (signal) =>
    networksServe(work.networks, work.devices, PATIENCE_MS, signal),
  );
  progress(`networks serve after ${networks.toFixed(2)} s`);
  await side.rest();
  return { networks, networksMemory: side.memory('networks') };
}

async function restartOfNetworks(side: Side): Promise<number> {
  const restart = await side.restart('dhcp', () => 0);
  side.progress(`at rest ${restart.toFixed(2)} s after a restart`);
  return restart;
}

export async function measure(
  agents: AgentGroup,
  work: Work,
  progress: (line: string) => void,
): Promise<Found> {
  const side = new Side(agents, work, progress);
  try {
    return {
      ...(await insist(() => firstRouters(side), progress)),
      restart: await insist(() => restartOfRouters(side), progress),
      ...(await insist(() => firstNetworks(side), progress)),
      networksRestart: await restartOfNetworks(side),
    };
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${agents.tail()}`);
  } finally {
    await agents.boot(work.cloud.broker);
  }
}

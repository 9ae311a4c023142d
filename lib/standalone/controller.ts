/**
 * The controller of the standalone mode: a topology file and, behind it, the same plugin interfaces that a
 * neutron-server offers, in-process. It follows edits of the file and tells what changed.
 */
import { EventEmitter } from 'node:events';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type {
  DhcpEvents,
  DhcpPlugin,
  FloatingIpStatus,
  L3Events,
  L3Plugin,
  MetadataIdentity,
  MetadataPlugin,
  MetadataPort,
} from '../model/source.ts';
import { DELEGATED_FILE, noteDelegated, readDelegated } from './delegated.ts';
import { type Instance, instancesOf } from './instance-view.ts';
import { type NetworkPayload, type Payloads, payloadsOf, type RouterPayload } from './payload.ts';
import { PortIndex } from './port-index.ts';
import { share } from './sharing.ts';
import {
  parseTopology,
  type Topology,
  TopologyError,
  type TopologyNetwork,
  type TopologyProblem,
} from './topology.ts';

export interface ControllerOptions {
  readonly file: string;
  /** default name of this host */
  readonly host: string;
  /** milliseconds of quiet after a change before the file is read again */
  readonly debounce?: number;
  /** state directory of the deployment of that name; without it no delegated prefix is remembered */
  readonly directory?: (name: string) => string;
}

/** Event names and their arguments; the first four are those of L3Events and DhcpEvents. */
export interface ControllerEvents {
  routersUpdated: [ids: string[]];
  routersDeleted: [ids: string[]];
  networksUpdated: [ids: string[]];
  networksDeleted: [ids: string[]];
  /** instances appeared, changed or went; ask instances() */
  instancesUpdated: [];
  /** the file was read and is valid, changed or not */
  loaded: [Topology];
  /** an edit that is wrong: the last good topology stays */
  invalid: [problems: readonly TopologyProblem[]];
}

interface State {
  readonly topology: Topology;
  readonly payloads: Payloads;
  readonly instances: readonly Instance[];
  readonly ports: PortIndex;
}

/** Ids in `next` that are new or another object than before, and ids that are gone. */
function changes<T extends { readonly id: string }>(old: readonly T[], next: readonly T[]) {
  const before = new Map(old.map((item) => [item.id, item]));
  const after = new Set(next.map(({ id }) => id));
  return {
    updated: next.filter((item) => before.get(item.id) !== item).map(({ id }) => id),
    deleted: old.filter(({ id }) => !after.has(id)).map(({ id }) => id),
  };
}

const isEqual = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean =>
  JSON.stringify([...a]) === JSON.stringify([...b]);

export class Controller
  extends EventEmitter<ControllerEvents>
  implements L3Plugin, DhcpPlugin, MetadataPlugin
{
  readonly file: string;
  readonly #options: ControllerOptions;
  readonly #statuses = new Map<string, FloatingIpStatus>();
  #state: State | undefined;
  #text: string | undefined;
  readonly #watchers = new Map<string, FSWatcher>();
  #delegated: ReadonlyMap<string, string> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(options: ControllerOptions) {
    super();
    this.#options = options;
    this.file = resolve(options.file);
  }

  /**
   * Reads the file for the first time.
   * @throws TopologyError if it is wrong or can't be read
   */
  async open(): Promise<Topology> {
    const problems = await this.#inTurn();
    if (problems) throw new TopologyError(problems);
    return this.topology;
  }

  /** Follows edits, and prefixes that other processes are delegated, until close(). */
  watch(): void {
    this.#follow(this.file);
    const delegated = this.#delegatedPath();
    if (delegated && existsSync(dirname(delegated))) this.#follow(delegated);
  }

  /** The directory is watched, as editors replace the file by a new one. */
  #follow(file: string): void {
    const readSoon = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.reload(), this.#options.debounce ?? 100);
    };
    if (this.#watchers.has(file)) return;
    const watcher = watch(dirname(file), (_event, changed) => {
      if (changed === null || changed === basename(file)) readSoon();
    }).on('error', () => {
      // The directory went: the next reading says so.
      watcher.close();
      this.#watchers.delete(file);
      readSoon();
    });
    this.#watchers.set(file, watcher);
  }

  /** Passes the events of the plugin interfaces on to an agent. @returns a function that stops it */
  follow(agent: Partial<L3Events & DhcpEvents>): () => void {
    const names = ['routersUpdated', 'routersDeleted', 'networksUpdated', 'networksDeleted'] as const;
    const listeners = names.map((name) => [name, (ids: string[]) => agent[name]?.(ids)] as const);
    for (const [name, listener] of listeners) this.on(name, listener);
    return () => {
      for (const [name, listener] of listeners) this.off(name, listener);
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Reads the file again, emits what changed, or 'invalid'. @returns whether it is valid */
  async reload(): Promise<boolean> {
    const problems = await this.#inTurn();
    if (problems) this.emit('invalid', problems);
    return !problems;
  }

  get topology(): Topology {
    return this.#current.topology;
  }

  networks(): readonly TopologyNetwork[] {
    return this.#current.topology.networks;
  }

  instances(): readonly Instance[] {
    return this.#current.instances;
  }

  /** Last reported status of a floating IP. */
  floatingIpStatus(id: string): FloatingIpStatus | undefined {
    return this.#statuses.get(id);
  }

  async syncRouters(ids?: readonly string[]): Promise<RouterPayload[]> {
    const { routers } = this.#current.payloads;
    return ids ? routers.filter(({ id }) => ids.includes(id)) : [...routers];
  }

  async updateFloatingIpStatuses(
    _routerId: string,
    statuses: Readonly<Record<string, FloatingIpStatus>>,
  ): Promise<void> {
    for (const [id, status] of Object.entries(statuses)) this.#statuses.set(id, status);
  }

  /** The subnets have these prefixes from now on. */
  async updatePrefixes(prefixes: Readonly<Record<string, string>>): Promise<void> {
    const path = this.#delegatedPath();
    if (path && noteDelegated(path, prefixes)) await this.reload();
  }

  async getActiveNetworksInfo(): Promise<NetworkPayload[]> {
    return this.#current.payloads.networks.filter(({ admin_state_up }) => admin_state_up);
  }

  /**
   * The same as in the listing. (A server leaves the DHCP-disabled subnets out here and not there, so that routes
   * to them come and go with the way a network was asked for; nothing depends on that.)
   */
  async getNetworkInfo(id: string): Promise<NetworkPayload | null> {
    return this.#current.payloads.networks.find((one) => one.id === id) ?? null;
  }

  async dhcpReadyOnPorts(): Promise<void> {}

  async portOf(identity: MetadataIdentity, peerAddress: string): Promise<MetadataPort[]> {
    return this.#current.ports.find(identity, peerAddress);
  }

  get #current(): State {
    if (!this.#state) throw new Error(`the topology ${this.file} was not read yet: call open() first`);
    return this.#state;
  }

  /** One reading after the other, so that an older text never replaces a newer one. */
  #inTurn(): Promise<readonly TopologyProblem[] | undefined> {
    const turn = this.#reading.then(() => this.#load());
    this.#reading = turn.catch(() => {});
    return turn;
  }

  /** @returns what is wrong with the file, if something is */
  async #load(): Promise<readonly TopologyProblem[] | undefined> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const fix = 'check that the file exists and may be read';
      return [{ file: this.#options.file, line: 1, column: 1, message: `can't be read: ${why}`, fix }];
    }
    const delegated = this.#readDelegated();
    if (text === this.#text && isEqual(delegated, this.#delegated) && this.#state) {
      this.emit('loaded', this.#state.topology);
      return undefined;
    }
    try {
      this.#replace(this.#parse(text, delegated));
      this.#text = text;
      return undefined;
    } catch (error) {
      if (error instanceof TopologyError) return error.problems;
      throw error;
    }
  }

  /** Only the file tells the name of the deployment, and that, which prefixes it was delegated. */
  #parse(text: string, delegated: ReadonlyMap<string, string>): Topology {
    const { file, host, directory } = this.#options;
    const topology = parseTopology(text, { file, host, delegated });
    this.#delegated = directory ? readDelegated(join(directory(topology.name), DELEGATED_FILE)) : delegated;
    if (isEqual(delegated, this.#delegated)) return topology;
    return parseTopology(text, { file, host, delegated: this.#delegated });
  }

  /** undefined: nothing is remembered */
  #delegatedPath(): string | undefined {
    const directory = this.#state && this.#options.directory?.(this.#state.topology.name);
    return directory === undefined ? undefined : join(directory, DELEGATED_FILE);
  }

  #readDelegated(): ReadonlyMap<string, string> {
    const path = this.#delegatedPath();
    return path === undefined ? new Map() : readDelegated(path);
  }

  #replace(parsed: Topology): void {
    const old = this.#state;
    const topology = share(old?.topology, parsed);
    const payloads = share(old?.payloads, payloadsOf(topology));
    const instances = share(old?.instances, instancesOf(topology));
    this.#state = { topology, payloads, instances, ports: new PortIndex(topology) };
    this.#forgetStatuses(topology);
    this.#announce(old, this.#state);
    this.emit('loaded', topology);
  }

  #forgetStatuses(topology: Topology): void {
    const present = new Set(topology.floating_ips.map(({ id }) => id));
    for (const id of this.#statuses.keys()) if (!present.has(id)) this.#statuses.delete(id);
  }

  /** Networks first: who follows them makes what routers plug into. */
  #announce(old: State | undefined, { payloads, instances }: State): void {
    const networks = changes(old?.payloads.networks ?? [], payloads.networks);
    const routers = changes(old?.payloads.routers ?? [], payloads.routers);
    if (networks.updated.length > 0) this.emit('networksUpdated', networks.updated);
    if (routers.updated.length > 0) this.emit('routersUpdated', routers.updated);
    if (instances !== old?.instances) this.emit('instancesUpdated');
    if (routers.deleted.length > 0) this.emit('routersDeleted', routers.deleted);
    if (networks.deleted.length > 0) this.emit('networksDeleted', networks.deleted);
  }
}

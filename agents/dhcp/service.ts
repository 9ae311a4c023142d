/**
 * Brings the dnsmasq of one network to what is wanted: start, add, signal or start anew, as reload.ts decides.
 */
import { basename } from 'node:path';
import { type Farewell, radvdLeft } from '../../lib/announcement/farewell.ts';
import { radvdDaemon } from '../../lib/announcement/radvd.ts';
import type { Network } from '../../lib/model/network.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import type { OwnerReconciler } from '../../lib/process/leftovers.ts';
import type { ReconcileResult } from '../../lib/process/owner-queue.ts';
import { radvdPlace, routedPrefixes } from './compile/announcement.ts';
import { dnsmasqArguments, mostLeases } from './compile/dnsmasq.ts';
import { networkDirectory, ownPort } from './compile/identity.ts';
import { type CompiledNetwork, compileNetwork, type DhcpHost, type DhcpService } from './compile/network.ts';
import { servesNetwork } from './compile/subnets.ts';
import * as files from './directory.ts';
import type { DnsmasqProcess } from './dnsmasq-process.ts';
import { initialLeases, type Lease, leasesOfOthers, parseLeases, staleLeases } from './leases.ts';
import { LinesInForce } from './lines-in-force.ts';
import type { DhcpOptions } from './options.ts';
import { releaseLeases } from './releases.ts';
import { type Addition, type Decision, decideReload, digestOf } from './reload.ts';

export interface ServiceSettings {
  /** owners are network ids */
  readonly reconciler: OwnerReconciler;
  readonly process: DnsmasqProcess;
  readonly host: DhcpHost;
  readonly options: DhcpOptions;
  readonly warn: (networkId: string, message: string) => void;
  /** tells hosts what is announced no more; absent where nothing is announced */
  readonly farewell?: Farewell | undefined;
  /** a network that goes is not served elsewhere, as Neutron does when it moves one */
  readonly removedForGood?: boolean | undefined;
}

export type Applied =
  /** how dnsmasq was told; 'start' also if it runs with other arguments */
  | { readonly told: Decision['action'] | 'start'; readonly failures: ReconcileResult['failures'] }
  /** not now: dnsmasq was told something a moment ago. Nothing was changed; milliseconds to wait */
  | { readonly wait: number };

/** Signals and new starts of one dnsmasq come at most this often, milliseconds. */
const SHORTEST_RELOAD_INTERVAL = 1_000;

/**
 * Additions of one dnsmasq come with a pause that grows with their number: at each it looks through its leases and
 * hosts, for a millisecond or two of its only thread, and a burst of them would keep clients waiting.
 */
const PAUSE_PER_ADDITION = 1;
const LONGEST_PAUSE = 100;

const RESTART: Decision = { action: 'restart' };

/** The program by its name, wherever whoever started it found it. */
const sameArguments = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((arg, i) => (i === 0 ? basename(arg) === basename(b[i]!) : arg === b[i]));

const isFileFailure = ({ key }: ReconcileResult['failures'][number]): boolean => key.includes('|file|');

export class Services {
  private readonly settings: ServiceSettings;
  private readonly toldAt = new Map<string, number>();
  private readonly addedAt = new Map<string, number>();
  /** own addresses that dnsmasq was last seen with */
  private readonly addresses = new Map<string, string>();
  /** by network; absent: what is in force must be read from the disk */
  private readonly inForce = new Map<string, LinesInForce>();
  /** networks whose dnsmasq could not watch its directories when it was started */
  private readonly unwatched = new Set<string>();

  private readonly withoutLogs: DhcpOptions;

  constructor(settings: ServiceSettings) {
    this.settings = settings;
    this.withoutLogs = { ...settings.options, dnsmasq_base_log_dir: '' };
  }

  /** With a directory for dnsmasq's log if one is wanted, and without a log if it can't be made, as Neutron's agent. */
  private optionsOf(network: Network): DhcpOptions {
    const { options, warn } = this.settings;
    if (!options.dnsmasq_base_log_dir || !servesNetwork(network)) return options;
    const directory = `${options.dnsmasq_base_log_dir}/${network.id}`;
    try {
      files.makeDirectory(directory);
      return options;
    } catch (error) {
      warn(network.id, `dnsmasq keeps no log in ${directory}: ${(error as Error).message}`);
      return this.withoutLogs;
    }
  }

  /** @throws MissingPort */
  compile(network: Network): CompiledNetwork & { readonly runs: boolean } {
    const { host, process } = this.settings;
    const options = this.optionsOf(network);
    const directory = networkDirectory(options.dhcp_confs, network.id);
    const running = process.running({ pidFile: `${directory}/pid`, id: network.id });
    const plain = dnsmasqArguments({ network, options, directory, watch: false });
    // One that Neutron's agent started goes on running: it has no watched directories.
    const watch =
      host.inotify && !this.unwatched.has(network.id) && !(running && sameArguments(running, plain));
    const compiled = compileNetwork({ network, host, options, watch });
    const wanted = compiled.service?.daemon.argv;
    return { ...compiled, runs: !!running && !!wanted && sameArguments(running, wanted) };
  }

  /** Makes it so. `payload` is remembered with the rows. */
  async apply(
    network: Network,
    compiled: ReturnType<Services['compile']>,
    service: DhcpService,
    payload: unknown,
  ): Promise<Applied> {
    const { reconciler } = this.settings;
    const { directory, lines, daemon } = service;
    const record = { kind: 'network', payload };
    const before = this.addresses.get(network.id);
    const addresses = this.addressesOf(network);
    const want = (groups: readonly RowGroup[]): Promise<ReconcileResult> => {
      this.addresses.set(network.id, addresses);
      this.endAnnouncement(network, service);
      reconciler.setDesired(network.id, groups, record);
      return reconciler.reconcile(network.id);
    };
    const start = async (oldHosts: string): Promise<ReconcileResult> => {
      files.removeAdditions(directory);
      const leases = files.readLeases(directory);
      const most = mostLeases(network, this.settings.options);
      const kept = initialLeases({ network, leases, oldHosts, newHosts: lines.host, most });
      files.writeLeases(directory, kept);
      const result = await want(compiled.groups);
      if (result.failures.length === 0) files.remember(directory, digestOf(lines));
      else this.noteUnwatched(network.id, result.failures);
      return result;
    };
    const known = this.inForce.get(network.id);
    this.inForce.delete(network.id);

    if (!compiled.runs) {
      files.forget(directory);
      return { told: 'start', ...(await start(files.readHosts(directory))) };
    }
    const add = async (addition: Addition, after: () => LinesInForce): Promise<Applied> => {
      const wait = this.timeToAdd(network.id, addition);
      if (wait > 0) {
        if (known) this.inForce.set(network.id, known);
        return { wait };
      }
      this.addedAt.set(network.id, performance.now());
      files.add(directory, addition);
      const result = await want(compiled.groups);
      this.inForce.set(network.id, after());
      await this.release(network, service, (leases) => leasesOfOthers(leases, addition.lines.host));
      return { told: 'add', ...result };
    };
    const none = async (after: () => LinesInForce): Promise<Applied> => {
      const result = await want(compiled.groups);
      this.inForce.set(network.id, after());
      return { told: 'none', ...result };
    };
    const watches = daemon.argv.some((arg) => arg.startsWith('--dhcp-hostsdir='));
    // dnsmasq answers from its own addresses: when they change Neutron's agent starts it anew, too.
    const hasMoved = before !== undefined && before !== addresses;
    const next = watches && !hasMoved ? known?.towards(lines) : undefined;
    if (known && next) return next === 'none' ? none(() => known) : add(next, () => known.added(next, lines));

    const inForce = files.readInForce(directory);
    const { additions } = inForce;
    const decision = hasMoved ? RESTART : decideReload(inForce, lines, watches);
    const told = decision.action;
    if (decision.action === 'none') return none(() => new LinesInForce(lines, additions));
    if (decision.action === 'add')
      return add(decision.addition, () => new LinesInForce(lines, [...additions, decision.addition]));

    const oldHosts = files.readHosts(directory);

    const wait = this.timeToWait(network.id);
    if (wait > 0) return { wait };
    files.forget(directory);
    if (decision.action === 'restart') {
      await want(compiled.groups.filter((group) => group.every(({ key }) => key !== daemon.key)));
      const result = await start(oldHosts);
      this.toldAt.set(network.id, performance.now());
      return { told, ...result };
    }
    const result = await want(compiled.groups);
    // What else failed does not keep dnsmasq from refusing a removed port.
    if (result.failures.some(isFileFailure)) return { told, ...result };
    files.removeAdditions(directory);
    this.settings.process.reload(daemon);
    this.toldAt.set(network.id, performance.now());
    await this.release(network, service, (leases) => this.stale(network, service, oldHosts, leases));
    files.remember(directory, digestOf(lines));
    return { told, ...result };
  }

  /** Removes the network from this host. */
  async remove(networkId: string): Promise<ReconcileResult> {
    const { reconciler, options, farewell, removedForGood } = this.settings;
    if (removedForGood) farewell?.say({ place: radvdPlace(networkId, options), wanted: [], options });
    reconciler.removeOwner(networkId);
    const result = await reconciler.reconcile(networkId);
    if (result.failures.length === 0) files.removeDirectory(networkDirectory(options.dhcp_confs, networkId));
    this.toldAt.delete(networkId);
    this.addedAt.delete(networkId);
    this.addresses.delete(networkId);
    this.inForce.delete(networkId);
    this.unwatched.delete(networkId);
    return result;
  }

  /** Hosts hear what is announced no more, and a radvd of an earlier agent is known, so that it ends. */
  private endAnnouncement(network: Network, { advertisements }: DhcpService): void {
    const { reconciler, options, farewell } = this.settings;
    if (!farewell) return;
    const place = radvdPlace(network.id, options);
    const wanted = advertisements;
    if (farewell.say({ place, wanted, options, elsewhere: routedPrefixes(network) }))
      reconciler.ended(radvdDaemon(place, options.radvd_user));
    if (advertisements.length > 0) return;
    const left = radvdLeft(place);
    if (left.length > 0) reconciler.setDesired(network.id, left);
  }

  private addressesOf(network: Network): string {
    const fixed = ownPort(network, this.settings.host.name)?.fixed_ips ?? [];
    return fixed
      .map(({ ip_address }) => ip_address)
      .sort()
      .join();
  }

  /** The kernel grants each user so many inotify instances (128 by default): beyond it signals must do. */
  private noteUnwatched(networkId: string, failures: ReconcileResult['failures']): void {
    if (!failures.some(({ key, message }) => key.includes('|daemon|') && message.includes('inotify'))) return;
    this.unwatched.add(networkId);
    this.settings.warn(
      networkId,
      'dnsmasq can watch no directories here, changes reach it by signals: raise the sysctl fs.inotify.max_user_instances',
    );
  }

  private timeToWait(networkId: string): number {
    const interval = Math.max(SHORTEST_RELOAD_INTERVAL, this.settings.options.bulk_reload_interval * 1_000);
    return (this.toldAt.get(networkId) ?? Number.NEGATIVE_INFINITY) + interval - performance.now();
  }

  private timeToAdd(networkId: string, { number }: Addition): number {
    const pause = Math.min(LONGEST_PAUSE, number * PAUSE_PER_ADDITION);
    return (this.addedAt.get(networkId) ?? Number.NEGATIVE_INFINITY) + pause - performance.now();
  }

  private release(
    network: Network,
    service: DhcpService,
    stale: (leases: string) => readonly Lease[],
  ): Promise<void> {
    const { host, process } = this.settings;
    const warn = (message: string): void => this.settings.warn(network.id, message);
    return releaseLeases({ network, service, hostName: host.name, process, stale, warn });
  }

  private stale({ ports }: Network, { lines }: DhcpService, oldHosts: string, text: string): Lease[] {
    const { leases } = parseLeases(text);
    return staleLeases({ oldHosts, newHosts: lines.host.join('\n'), leases, ports });
  }
}

/** The real DHCP agent on the kernel, for one network whose payload the test sets. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createDhcpAgent, type DhcpAgent } from '../../agents/dhcp/agent.ts';
import type { DhcpHost } from '../../agents/dhcp/compile/network.ts';
import { wholeLeases } from '../../agents/dhcp/directory.ts';
import { dhcpOptions } from '../../agents/dhcp/options.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { bridgeName } from '../../lib/wiring/bridge.ts';
import { NETWORK } from '../agents/dhcp/compile/payload.ts';
import { Machine } from '../e2e/packets.ts';

const HOST: DhcpHost = { name: 'net-1', ipv6: true, hostTags: true, inotify: true };

export class DhcpSite {
  readonly ns = `qdhcp-${NETWORK}`;
  readonly bridge = bridgeName(NETWORK);
  readonly confs = mkdtempSync(join(tmpdir(), 'vdt-dhcp-'));
  readonly directory = join(this.confs, NETWORK);
  readonly warnings: string[] = [];
  agent: DhcpAgent;
  private reconciler: Reconciler;
  private payloads: unknown[] = [];
  private readonly options: Readonly<Record<string, unknown>>;

  constructor(options: Readonly<Record<string, unknown>> = {}) {
    this.options = options;
    // dnsmasq reads its files as its own user.
    chmodSync(this.confs, 0o755);
    [this.agent, this.reconciler] = this.create();
  }

  private create(options = this.options): [DhcpAgent, Reconciler] {
    const reconciler = new Reconciler({ heal: true });
    const agent = createDhcpAgent({
      plugin: {
        getActiveNetworksInfo: async () => this.payloads,
        getNetworkInfo: async () => this.payloads[0] ?? null,
        dhcpReadyOnPorts: async () => {},
      },
      reconciler,
      options: dhcpOptions({ dhcp_confs: this.confs, ...options }),
      host: HOST,
      logger: { debug() {}, info() {}, warn: (_fields, message) => void this.warnings.push(message) },
      knownNetworks: [],
    });
    return [agent, reconciler];
  }

  /** Serve this network. */
  async start(payload: unknown): Promise<void> {
    this.payloads = [structuredClone(payload)];
    this.agent.start();
    await this.agent.idle();
    expect(this.agent.state().problems).toEqual({});
  }

  /** The network changed; resolves when dnsmasq has been told. */
  async change(payload: unknown): Promise<void> {
    this.payloads = [structuredClone(payload)];
    this.agent.networksUpdated([NETWORK]);
    await this.agent.idle();
    expect(this.agent.state().problems).toEqual({});
  }

  /** Another agent after this one, perhaps with other options. What it built stays in between. */
  async restart(options = this.options): Promise<void> {
    await this.agent.stop();
    await this.reconciler.close();
    [this.agent, this.reconciler] = this.create(options);
    this.agent.start();
    await this.agent.idle();
    expect(this.agent.state().problems).toEqual({});
  }

  /** Output of a command in the DHCP namespace. */
  sh(command: string): Promise<string> {
    return new Machine(this.ns).sh(command);
  }

  file(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }

  /** The lease file, in no moment in which dnsmasq writes it. */
  leases(): Promise<string> {
    return wholeLeases(this.directory);
  }

  /** Pid of dnsmasq. */
  pid(): number {
    return Number(this.file('pid'));
  }

  argv(): string[] {
    return readFileSync(`/proc/${this.pid()}/cmdline`, 'utf8').split('\0').slice(0, -1);
  }

  /** Everything away; that nothing is left is part of every test. */
  async remove(): Promise<void> {
    this.payloads = [];
    this.agent.networksDeleted([NETWORK]);
    await this.agent.idle();
    await this.agent.stop();
    await this.reconciler.close();
    expect(existsSync(this.directory)).toBe(false);
    expect(listNamespaces()).not.toContain(this.ns);
    expect(existsSync(`/sys/class/net/${this.bridge}`)).toBe(false);
    rmSync(this.confs, { recursive: true, force: true });
  }
}

/** Neutron's own agents (Debian's packages), on the same node and with the same configuration files as Viaduct's. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { output } from '../../e2e/shell.ts';
import { Daemon } from './daemon.ts';
import { type Ini, writeIni } from './ini.ts';
import type { NetworkNode, NodeAgent } from './node.ts';
import { endProcesses, type FoundProcess, type Mark, processesOf } from './processes.ts';

const THEIR_NAMESPACE = /^(qrouter|qdhcp|snat|fip)-/;

/**
 * With as many privsep threads as processors (the default) their L3 agent stalls for minutes when several routers come
 * at once. Viaduct's agents would only name these options as unknown.
 */
const PRIVSEP: Ini = Object.fromEntries(
  [
    'privsep',
    'privsep_dhcp_release',
    'privsep_ovs_vsctl',
    'privsep_namespace',
    'privsep_conntrack',
    'privsep_link',
  ].map((section) => [section, { thread_pool_size: 32 }]),
);

/**
 * The three agents run as root: `root_helper = env` of the node's configuration stands where an installation has sudo
 * and rootwrap, which only costs them less. What they start carries a mark in its environment and is found by it:
 * privsep daemons, haproxy, dnsmasq, radvd, keepalived, neutron-keepalived-state-change.
 */
export class NeutronAgents {
  readonly #mark: Mark = { name: 'VIADUCT_TEST_NEUTRON_AGENTS', value: randomUUID() };
  readonly #statePath: string;
  readonly #daemons: ReadonlyMap<NodeAgent, Daemon>;

  /** @param more options for these agents only */
  constructor(node: NetworkNode, more: Ini = {}) {
    this.#statePath = node.statePath;
    const only = writeIni(join(node.directory, 'neutron-agents-only.ini'), PRIVSEP, more);
    const environment = { ...process.env, [this.#mark.name]: this.#mark.value };
    const daemon = (role: NodeAgent): [NodeAgent, Daemon] => {
      const files = [...node.configFiles(role), only].flatMap((file) => ['--config-file', file]);
      return [
        role,
        new Daemon(`neutron-${role}-agent`, [`neutron-${role}-agent`, ...files], node.directory, environment),
      ];
    };
    this.#daemons = new Map([daemon('l3'), daemon('dhcp'), daemon('metadata')]);
  }

  agent(role: NodeAgent): Daemon {
    return this.#daemons.get(role)!;
  }

  start(...roles: NodeAgent[]): void {
    for (const [role, daemon] of this.#daemons)
      if (roles.length === 0 || roles.includes(role)) daemon.start();
  }

  /** The agents, and whatever runs on behalf of them. */
  get processes(): FoundProcess[] {
    return processesOf(this.#mark, this.#pids);
  }

  /** Ends the agents as an operator does: their helpers (dnsmasq, haproxy, radvd, keepalived) stay and go on working. */
  async stop(...roles: NodeAgent[]): Promise<void> {
    const ending = [...this.#daemons].filter(([role]) => roles.length === 0 || roles.includes(role));
    await Promise.all(ending.map(([, daemon]) => daemon.stop()));
  }

  /** Ends everything and removes namespaces and files that such agents make: nothing is left. */
  async remove(): Promise<void> {
    await endProcesses(this.#mark, this.#pids);
    await Promise.all([...this.#daemons.values()].map((daemon) => daemon.stop('SIGKILL')));
    for (const ns of listNamespaces()) if (THEIR_NAMESPACE.test(ns)) await output('ip', 'netns', 'del', ns);
    for (const name of ['dhcp', 'external', 'ha_confs', 'ns-metadata-proxy', 'ra', 'metadata_proxy'])
      rmSync(join(this.#statePath, name), { recursive: true, force: true });
  }

  get #pids(): number[] {
    return [...this.#daemons.values()].flatMap(({ pid }) => pid ?? []);
  }

  /** The end of every agent's log. */
  tail(characters = 2_500): string {
    return [...this.#daemons.values()].map((d) => `== ${d.name}\n${d.tail(characters)}`).join('\n');
  }
}

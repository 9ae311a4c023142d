/** The agents of a network node as one side of a comparison: all that runs on behalf of them is known. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { output } from '../../e2e/shell.ts';
import type { TestBroker } from '../rabbit/broker.ts';
import { Daemon } from './daemon.ts';
import type { NodeAgent } from './node.ts';
import { endProcesses, type FoundProcess, type Mark, processesOf } from './processes.ts';

const ROLES: readonly NodeAgent[] = ['l3', 'dhcp', 'metadata'];
const THEIR_NAMESPACE = /^(qrouter|qdhcp|snat|fip)-/;
const THEIR_QUEUE = /^(l3_agent|dhcp_agent)/;
/** What they keep in state_path. */
const THEIR_FILES = ['dhcp', 'external', 'ha_confs', 'metadata_proxy', 'ns-metadata-proxy', 'ra', 'viaduct'];

export interface AgentGroupSettings {
  /** 'neutron', 'viaduct': the first word of what they are called */
  readonly name: string;
  /** of their logs */
  readonly directory: string;
  /** [DEFAULT] state_path */
  readonly statePath: string;
  readonly argv: (role: NodeAgent) => readonly string[];
  /** whether an L3 agent that has logged this since its start is done with the router */
  readonly finished: (log: string, routerId: string) => boolean;
}

/**
 * What the agents start carries a mark in its environment and is found by it: privsep daemons, haproxy, dnsmasq, radvd,
 * keepalived, neutron-keepalived-state-change.
 */
export class AgentGroup {
  readonly #mark: Mark = { name: 'VIADUCT_TEST_AGENTS', value: randomUUID() };
  readonly #statePath: string;
  readonly #finished: AgentGroupSettings['finished'];
  readonly #daemons: ReadonlyMap<NodeAgent, Daemon>;

  constructor({ name, directory, statePath, argv, finished }: AgentGroupSettings) {
    this.#statePath = statePath;
    this.#finished = finished;
    const environment = { ...process.env, [this.#mark.name]: this.#mark.value };
    this.#daemons = new Map(
      ROLES.map((role) => [role, new Daemon(`${name}-${role}-agent`, argv(role), directory, environment)]),
    );
  }

  agent(role: NodeAgent): Daemon {
    return this.#daemons.get(role)!;
  }

  /** Starts those named, or all. */
  start(...roles: NodeAgent[]): void {
    for (const daemon of this.#those(roles)) daemon.start();
  }

  /** The agents, and whatever runs on behalf of them. */
  get processes(): FoundProcess[] {
    return processesOf(this.#mark, this.#pids);
  }

  /** Those that the L3 agent, since it was started, does not say to be done with. */
  unfinished(routerIds: readonly string[]): string[] {
    const log = this.agent('l3').said();
    return routerIds.filter((id) => !this.#finished(log, id));
  }

  /** Ends agents as an operator does: their helpers (dnsmasq, haproxy, radvd, keepalived) stay and go on working. */
  async stop(...roles: NodeAgent[]): Promise<void> {
    await Promise.all(this.#those(roles).map((daemon) => daemon.stop()));
  }

  /** Ends everything and removes namespaces and files that such agents make: nothing is left. */
  async remove(): Promise<void> {
    await endProcesses(this.#mark, this.#pids);
    await Promise.all(this.#those([]).map((daemon) => daemon.stop('SIGKILL')));
    for (const ns of listNamespaces()) if (THEIR_NAMESPACE.test(ns)) await output('ip', 'netns', 'del', ns);
    for (const name of THEIR_FILES) rmSync(join(this.#statePath, name), { recursive: true, force: true });
  }

  /** As after a boot of the node: nothing is left, and no notification waits in the queues of its agents. */
  async boot(broker: TestBroker): Promise<void> {
    await this.remove();
    for (const { name } of await broker.list('queues', 'name'))
      if (THEIR_QUEUE.test(String(name))) await broker.ctl('delete_queue', String(name));
  }

  /** The end of every agent's log. */
  tail(characters = 2_500): string {
    return this.#those([])
      .map((d) => `== ${d.name}\n${d.tail(characters)}`)
      .join('\n');
  }

  get #pids(): number[] {
    return this.#those([]).flatMap(({ pid }) => pid ?? []);
  }

  #those(roles: readonly NodeAgent[]): Daemon[] {
    const wanted = roles.length === 0 ? ROLES : roles;
    return wanted.map((role) => this.agent(role));
  }
}

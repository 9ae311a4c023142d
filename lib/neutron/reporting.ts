/**
 * State reports of an agent, and what follows from them: whether the server's listings can be trusted, and when to
 * ask for everything again.
 */
import type { ServerStatus } from '../process/roles.ts';
import { before } from '../rpc/deadline.ts';
import { type AgentIdentity, type ReportAnswer, StateReports } from '../rpc/plugins/state-reports.ts';
import type { RpcServer } from '../rpc/rpc.ts';
import type { NeutronNode } from './node.ts';

export interface ReportingSettings {
  readonly agent: AgentIdentity;
  /** as Neutron's agent reports them; read at each report */
  readonly configurations: () => Readonly<Record<string, unknown>>;
  /** after the first success reports are casts */
  readonly castLater?: boolean;
  /** what this agent listens to: its queues must be there before anything is listed */
  readonly servers?: readonly RpcServer[];
  /** everything must be asked for again */
  readonly resync?: () => void;
}

/** The server said nothing that a listing could be trusted on. */
export class UnconfirmedAgent extends Error {
  override readonly name = 'UnconfirmedAgent';
}

/** Several reasons for a resync that come together are one. */
const COLLECT_MS = 200;

/** What is needed of the node. */
type ReportingNode = Pick<NeutronNode, 'values' | 'host' | 'log' | 'rpc' | 'touch'>;

export class Reporting {
  readonly #node: ReportingNode;
  readonly #settings: ReportingSettings;
  readonly #reports: StateReports | undefined;
  /** [AGENT] report_interval, seconds; 0: this agent does not report */
  readonly #interval: number;
  readonly #stopping = new AbortController();
  /** everything is to be asked for, and no question was asked yet: at the start it is */
  #awaited = true;
  #unfollow: (() => void) | undefined;
  #collecting: NodeJS.Timeout | undefined;

  constructor(node: ReportingNode, settings: ReportingSettings) {
    this.#node = node;
    this.#settings = settings;
    const { values, host, log } = node;
    const zone = values.AGENT?.availability_zone;
    this.#interval = Number(values.AGENT?.report_interval);
    if (this.#interval === 0) return;
    this.#reports = new StateReports(node.rpc, {
      agent: settings.agent,
      host,
      ...(typeof zone === 'string' ? { availabilityZone: zone } : {}),
      configurations: () => ({
        ...settings.configurations(),
        log_agent_heartbeats: values.AGENT?.log_agent_heartbeats === true,
      }),
      interval: this.#interval,
      ...(settings.castLater ? { castLater: true } : {}),
      answered: (answer) => this.#answered(answer),
      log,
    });
  }

  start(): void {
    this.#reports?.start();
    let { connected } = this.#node.rpc.health();
    let lost = false;
    this.#unfollow = this.#node.rpc.onHealth((health) => {
      if (connected && !health.connected) lost = true;
      connected = health.connected;
      // What was sent meanwhile may be lost with a broker that forgot its queues.
      if (connected && lost) {
        lost = false;
        this.resync('the broker is back');
      }
    });
  }

  async stop(): Promise<void> {
    this.#unfollow?.();
    clearTimeout(this.#collecting);
    this.#stopping.abort(new Error('the agent is stopping'));
    await this.#reports?.stop();
  }

  /** Everything is to be asked for again, soon: once, whatever comes before the first question is asked. */
  resync(reason: string): void {
    const { resync } = this.#settings;
    if (!resync || this.#stopping.signal.aborted) return;
    if (this.#awaited) {
      this.#node.log.debug(`part of the full sync to come: ${reason}`);
      return;
    }
    this.#awaited = true;
    this.#node.log.info(`full sync: ${reason}`);
    this.#collecting = setTimeout(() => {
      this.#collecting = undefined;
      resync();
    }, COLLECT_MS);
  }

  /**
   * Resolves when the answer to a listing will be the truth about this agent: no notification is missed from now on,
   * and the server counts the agent as alive (of one that it does not know, or that counts as dead, it says that it
   * has nothing). What asks for everything from now on is newer than that listing.
   * @throws UnconfirmedAgent, or what a report throws
   */
  async confirm(): Promise<void> {
    const { signal } = this.#stopping;
    await this.#alive(signal);
    for (const server of this.#settings.servers ?? []) await server.ready(signal);
    this.#awaited = false;
  }

  async #alive(signal: AbortSignal): Promise<void> {
    const reports = this.#reports;
    if (!reports) return;
    await before(signal, reports.accepted());
    const { accepted } = reports.state;
    if (accepted && Date.now() - accepted.getTime() < this.#interval * 1000) return;
    if ((await reports.report()) === null)
      throw new UnconfirmedAgent(
        'the server ignored the state report of this agent, so that its listings would be empty: ' +
          'synchronise the clock of this machine (NTP)',
      );
  }

  status(): ServerStatus {
    const { connected, since } = this.#node.rpc.health();
    const accepted = this.#reports?.state.accepted ?? null;
    return { connected, since: since.toISOString(), reported: accepted?.toISOString() ?? null };
  }

  #answered(answer: ReportAnswer): void {
    this.#node.touch();
    if (answer === 'revived') this.resync('the server had taken this agent for dead');
  }
}

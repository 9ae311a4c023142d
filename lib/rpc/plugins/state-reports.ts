import { randomUUID } from 'node:crypto';
import { oneOf, orNull } from '../../model/reader.ts';
import { pause } from '../deadline.ts';
import { RemoteError } from '../failures.ts';
import type { RpcCaller, RpcLog } from '../rpc.ts';
import { checked } from './answer.ts';

/** What the server made of a report. null: ignored, because our clock is behind the start of the server. */
export type ReportAnswer = 'new' | 'alive' | 'revived' | null;

const answerOf = orNull(oneOf('new', 'alive', 'revived'));

/** Which agent this is, as the server knows agents. */
export interface AgentIdentity {
  readonly binary: string;
  readonly agent_type: string;
  readonly topic: string;
}

export const L3_AGENT: AgentIdentity = {
  binary: 'neutron-l3-agent',
  agent_type: 'L3 agent',
  topic: 'l3_agent',
};
export const DHCP_AGENT: AgentIdentity = {
  binary: 'neutron-dhcp-agent',
  agent_type: 'DHCP agent',
  topic: 'dhcp_agent',
};
export const METADATA_AGENT: AgentIdentity = {
  binary: 'neutron-metadata-agent',
  agent_type: 'Metadata agent',
  topic: 'N/A',
};

export interface ReportSettings {
  readonly agent: AgentIdentity;
  /** the same string as in queue names and every `host` argument */
  readonly host: string;
  /** [AGENT] availability_zone; absent for the metadata agent */
  readonly availabilityZone?: string;
  /** read at each report, so that counters are of the moment */
  readonly configurations: () => Readonly<Record<string, unknown>>;
  /** [AGENT] report_interval, seconds; also the timeout of a report */
  readonly interval: number;
  /** after the first success reports are casts: the metadata agent's way */
  readonly castLater?: boolean;
  /** each answer; of a cast there is none */
  readonly answered?: (answer: ReportAnswer) => void;
  readonly log: RpcLog;
}

/** Facts for status. */
export interface ReportState {
  /** when the server took the last report; null: none yet */
  readonly accepted: Date | null;
  /** why the last one failed */
  readonly problem: string | null;
}

/** A report that was under way for longer may be from before the start of the server that takes it. */
const WAITED_MS = 1_000;

/**
 * The heartbeat of an agent (`neutron/agent/rpc.py`, PluginReportStateAPI): a report now and each interval, through
 * the urgent channel, whatever else goes on. The first one that is taken carries the start flag.
 */
export class StateReports {
  readonly #rpc: RpcCaller;
  readonly #settings: ReportSettings;
  readonly #stopping = new AbortController();
  #state: ReportState = { accepted: null, problem: null };
  #started = false;
  #running: Promise<void> | null = null;
  #accepted: (() => void)[] = [];

  constructor(rpc: RpcCaller, settings: ReportSettings) {
    this.#rpc = rpc;
    this.#settings = settings;
  }

  get state(): ReportState {
    return this.#state;
  }

  /** Begins to report; once. */
  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent is stopping'));
    await this.#running;
  }

  /** Resolves when a report was taken: only then the server answers questions about this agent truthfully. */
  async accepted(): Promise<void> {
    if (!this.#state.accepted) await new Promise<void>((resolve) => this.#accepted.push(resolve));
  }

  /** One report. Throws what `call` throws. */
  async report(): Promise<ReportAnswer> {
    const { agent, host, availabilityZone, configurations, interval, castLater } = this.#settings;
    const agentState = {
      ...agent,
      host,
      ...(availabilityZone !== undefined && { availability_zone: availabilityZone }),
      configurations: configurations(),
      ...(!this.#started && { start_flag: true }),
      uuid: randomUUID(),
    };
    const args = { agent_state: { agent_state: agentState } };
    const request = { topic: 'q-reports-plugin', method: 'report_state', version: '1.2', urgent: true };
    if (castLater && this.#started) {
      const time = reportTime(new Date());
      await this.#rpc.cast({
        ...request,
        args: { ...args, time },
        signal: AbortSignal.timeout(interval * 1000),
      });
      this.#took();
      return 'alive';
    }
    const signal = this.#stopping.signal;
    const ask = async (time: string): Promise<ReportAnswer> =>
      checked(
        'report_state',
        answerOf,
        await this.#rpc.call({ ...request, args: { ...args, time }, timeout: interval, signal }),
      );
    const begun = Date.now();
    let answer = await ask(reportTime(new Date()));
    // It waited for the broker, and the server was started meanwhile: that is no matter of clocks.
    if (answer === null && Date.now() - begun > WAITED_MS) answer = await ask(reportTime(new Date()));
    if (answer !== null) this.#took();
    this.#settings.answered?.(answer);
    return answer;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const begun = Date.now();
      const alive = await this.#attempt();
      if (!alive) return;
      await pause(Math.max(this.#settings.interval - (Date.now() - begun) / 1000, 0.1), signal);
    }
  }

  /** false: the server cannot take reports at all. */
  async #attempt(): Promise<boolean> {
    const { log, interval } = this.#settings;
    const before = this.#state.problem;
    try {
      const answer = await this.report();
      if (answer === null) {
        this.#state = { ...this.#state, problem: 'the server ignored the report' };
        log.warn(
          'the server ignored the state report: by our clock it is from before the start of the server. ' +
            'Synchronise the clock of this machine (NTP)',
        );
      } else if (before !== null) log.info('the state report was taken, after a failure before');
      return true;
    } catch (error) {
      if (this.#stopping.signal.aborted) return false;
      if (error instanceof RemoteError && error.className === 'AttributeError') {
        log.error('the server has no report_state: no more reports are sent');
        return false;
      }
      const problem = error instanceof Error ? error.message : String(error);
      this.#state = { ...this.#state, problem };
      if (problem !== before) {
        log.warn(`the state report failed: ${problem}; the next one follows within ${interval} s`);
      }
      return true;
    }
  }

  #took(): void {
    this.#started = true;
    this.#state = { accepted: new Date(), problem: null };
    for (const resolve of this.#accepted.splice(0)) resolve();
  }
}

/** UTC with microseconds and no zone: the server parses exactly this. */
export const reportTime = (now: Date): string => now.toISOString().replace('Z', '000');

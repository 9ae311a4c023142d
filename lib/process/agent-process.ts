/**
 * What one process of agents is, whatever its source: the reconciler, the records, the journal and the status in
 * a state directory that its parts (fabric, L3, DHCP, metadata: one or all of them) share, and their life from
 * start to end.
 *
 *   records/          what was last asked for, one file for each router, network, instance
 *   journal/          what was done and why
 *   run/<role>.json   who runs now, and how far it is
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { counters } from '../kernel/counters.ts';
import { readProcess } from '../kernel/process.ts';
import { describeRow } from '../namespace/describe.ts';
import type { Step } from '../namespace/plan.ts';
import type { PortSwitch } from '../namespace/port-switch.ts';
import { Reconciler, type ReconcilerSettings, type Report } from '../namespace/reconciler.ts';
import { Records } from '../namespace/records.ts';
import type { RowGroup } from '../namespace/rows.ts';
import { type Journal, openJournal } from '../telemetry/journal.ts';
import type { Logger } from '../telemetry/log.ts';
import { writeAtomically } from './files.ts';
import { type Role, type RunStatus, type ServerStatus, statusPath, takeRole } from './roles.ts';

export interface PartStatus {
  /** nothing is left to do now (what failed and waits for its next attempt is in `problems`) */
  readonly settled: boolean;
  readonly problems: Readonly<Record<string, string>>;
  readonly server?: ServerStatus;
}

/** One agent inside this process. */
export interface Part {
  readonly role: Role;
  start(): void | Promise<void>;
  stop(): Promise<void>;
  status(): PartStatus;
}

/** What an owner is remembered by. */
export interface OwnerRecord {
  readonly kind: 'router' | 'network' | 'instance' | 'segment';
  readonly payload: unknown;
}

export interface ProcessSettings {
  /** state directory */
  readonly directory: string;
  readonly packageRoot: string;
  readonly log: Logger;
  /** listen to the kernel and repair what others change */
  readonly heal: boolean;
  /** where rows of kind ovs-port live; closed with the process */
  readonly portSwitch?: PortSwitch;
  /** how daemons are ended, and what it means when one ends by itself */
  readonly daemons?: Pick<ReconcilerSettings, 'killScripts' | 'onDaemonEnd'>;
  /** from takeRoles */
  readonly release: () => void;
}

const STATUS_DELAY_MS = 100;
const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 100;

/** In the operator's terms; a table that was only read has no texts to count. */
const describeStep = ({ row }: Step): string => ('state' in row ? row.key : describeRow(row));

/**
 * All of them or none; the result gives them back.
 * @throws RoleTaken
 */
export async function takeRoles(directory: string, roles: readonly Role[]): Promise<() => void> {
  const taken: (() => void)[] = [];
  const release = (): void => {
    for (const free of taken) free();
  };
  try {
    for (const role of roles) taken.push(await takeRole(directory, role));
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

export class AgentProcess {
  readonly reconciler: Reconciler;
  readonly directory: string;
  readonly packageRoot: string;
  readonly log: Logger;
  readonly records: Records;
  private readonly loaded: ReadonlyMap<string, OwnerRecord>;
  private readonly journal: Journal;
  private readonly parts: Part[] = [];
  private readonly release: () => void;
  private timer: NodeJS.Timeout | undefined;
  private ended = false;

  protected constructor(settings: ProcessSettings) {
    this.directory = settings.directory;
    this.packageRoot = settings.packageRoot;
    this.log = settings.log;
    this.release = settings.release;
    this.records = new Records(join(this.directory, 'records'));
    this.loaded = this.records.load() as Map<string, OwnerRecord>;
    this.journal = openJournal(join(this.directory, 'journal'));
    this.reconciler = new Reconciler({
      records: this.records,
      heal: settings.heal,
      ...(settings.portSwitch ? { portSwitch: settings.portSwitch } : {}),
      ...settings.daemons,
      onReport: (report) => this.report(report),
      onError: (message) => this.log.error(message),
    });
  }

  /** Ids on record of these kinds. */
  recorded(kinds: readonly string[]): string[] {
    return [...this.loaded].flatMap(([id, record]) => (kinds.includes(record.kind) ? [id] : []));
  }

  /**
   * What was built before this start is what is wanted until the source says otherwise: so removals and
   * changes made meanwhile are known as such.
   * @param basis what rows follow from besides the record, if the agent asks whether owners are untouched (`confirm`)
   */
  adopt(
    kinds: readonly OwnerRecord['kind'][],
    compile: (record: OwnerRecord) => readonly RowGroup[] | undefined,
    basis?: string,
  ): void {
    for (const [owner, record] of this.loaded) {
      if (!kinds.includes(record.kind)) continue;
      try {
        this.reconciler.expect(owner, () => compile(record) ?? [], basis);
      } catch (error) {
        this.log.warn({ owner }, `the record can't be used: ${(error as Error).message}`);
      }
    }
  }

  protected async startParts(parts: readonly Part[]): Promise<void> {
    this.parts.push(...parts);
    for (const part of parts) await part.start();
    this.touch();
  }

  /** Something happened that may have changed the status. */
  touch(): void {
    if (this.ended || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (!this.writeStatus()) this.touch();
    }, STATUS_DELAY_MS);
  }

  private settledNow(): boolean {
    return this.parts.every((part) => part.status().settled);
  }

  /** Problems of all parts by owner. */
  problems(): Record<string, string> {
    return Object.assign({}, ...this.parts.map((part) => part.status().problems)) as Record<string, string>;
  }

  /**
   * Resolves when everything was done or refused; then problems() tells what was refused. False: the process was
   * closed before.
   */
  async settled(): Promise<boolean> {
    for (let wait = FIRST_LOOK_MS; !this.settledNow(); wait = Math.min(wait * 1.1, LAST_LOOK_MS)) {
      if (this.ended) return false;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    await this.reconciler.settled();
    return true;
  }

  private writeStatus(): boolean {
    const settled = this.settledNow();
    for (const part of this.parts) {
      const { problems, server } = part.status();
      const status: RunStatus = {
        pid: process.pid,
        startTime: readProcess(process.pid)!.startTime,
        role: part.role,
        converged: settled && Object.keys(problems).length === 0,
        problems,
        ...(server ? { server } : {}),
        at: new Date().toISOString(),
      };
      writeAtomically(statusPath(this.directory, part.role), `${JSON.stringify(status)}\n`);
    }
    return settled;
  }

  private report({ owner, cause, outcomes, ms }: Report): void {
    const failed = outcomes.filter((outcome) => outcome.error !== undefined);
    this.journal.append(owner, {
      cause,
      decision: 'reconcile',
      operations: outcomes.map(
        ({ step, error }) => `${step.action} ${describeStep(step)}${error ? `: ${error}` : ''}`,
      ),
      ms,
      outcome: failed.length > 0 ? 'failed' : 'done',
      error: failed[0]?.error,
    });
    if (this.reconciler.delta.desiredBy(owner).length === 0 && failed.length === 0)
      this.journal.forget(owner);
    if (cause === 'drift') {
      for (const { step } of outcomes)
        this.log.warn({ owner }, `somebody changed it, repaired: ${describeStep(step)} (${step.reason})`);
    }
    this.touch();
  }

  /** Stop taking part. What was built stays. */
  async close(): Promise<void> {
    this.ended = true;
    clearTimeout(this.timer);
    for (const part of [...this.parts].reverse()) await part.stop();
    await this.reconciler.close();
    for (const part of this.parts) fs.rmSync(statusPath(this.directory, part.role), { force: true });
    this.release();
  }

  /** State-changing requests and forks so far. */
  static get cost(): { writes: number; forks: number } {
    return { ...counters };
  }
}

/**
 * One process of a standalone deployment: the controller, the reconciler and the state directory that its
 * parts (fabric, L3, DHCP, metadata: one or all of them) share, and their life from start to signal.
 */
import fs from 'node:fs';
import { join, resolve } from 'node:path';
import { counters } from '../kernel/counters.ts';
import { readProcess } from '../kernel/process.ts';
import { describeRow } from '../namespace/describe.ts';
import type { Step } from '../namespace/plan.ts';
import { Reconciler, type Report } from '../namespace/reconciler.ts';
import { Records } from '../namespace/records.ts';
import type { RowGroup } from '../namespace/rows.ts';
import { type Journal, openJournal } from '../telemetry/journal.ts';
import type { Logger } from '../telemetry/log.ts';
import { Controller } from './controller.ts';
import {
  type Role,
  type RunStatus,
  statusPath,
  takeRole,
  writeAtomically,
  writeFacts,
} from './deployment.ts';
import { problemText } from './problem.ts';

export interface PartStatus {
  /** nothing is left to do now (what failed and waits for its next attempt is in `problems`) */
  readonly settled: boolean;
  readonly problems: Readonly<Record<string, string>>;
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

export interface SiteSettings {
  readonly file: string;
  /** root of the state directories */
  readonly root: string;
  /** name of this machine */
  readonly host: string;
  readonly roles: readonly Role[];
  readonly packageRoot: string;
  readonly log: Logger;
  /** stay, repair and follow the file; false: build once */
  readonly stay: boolean;
}

const STATUS_DELAY_MS = 100;

/** In the operator's terms; a table that was only read has no texts to count. */
const describeStep = ({ row }: Step): string => ('state' in row ? row.key : describeRow(row));

export class Site {
  readonly controller: Controller;
  readonly reconciler: Reconciler;
  readonly directory: string;
  readonly packageRoot: string;
  readonly log: Logger;
  readonly records: Records;
  private readonly loaded: ReadonlyMap<string, OwnerRecord>;
  private readonly settings: SiteSettings;
  private readonly journal: Journal;
  private readonly parts: Part[] = [];
  private readonly release: (() => void)[];
  private timer: NodeJS.Timeout | undefined;
  private ended = false;

  private constructor(
    settings: SiteSettings,
    controller: Controller,
    directory: string,
    release: (() => void)[],
  ) {
    this.settings = settings;
    this.controller = controller;
    this.directory = directory;
    this.packageRoot = settings.packageRoot;
    this.log = settings.log;
    this.release = release;
    this.records = new Records(join(directory, 'records'));
    this.loaded = this.records.load() as Map<string, OwnerRecord>;
    this.journal = openJournal(join(directory, 'journal'));
    this.reconciler = new Reconciler({
      records: this.records,
      heal: settings.stay,
      onReport: (report) => this.report(report),
      onError: (message) => this.log.error(message),
    });
  }

  /**
   * Read the topology and take the roles. Nothing is changed if the file is wrong.
   * @throws TopologyError, RoleTaken
   */
  static async open(settings: SiteSettings): Promise<Site> {
    const controller = new Controller({ file: settings.file, host: settings.host });
    const topology = await controller.open();
    const directory = join(resolve(settings.root), topology.name);
    const release: (() => void)[] = [];
    try {
      for (const role of settings.roles) release.push(await takeRole(directory, role));
    } catch (error) {
      for (const free of release) free();
      throw error;
    }
    return new Site(settings, controller, directory, release);
  }

  /** Ids on record of these kinds. */
  recorded(kinds: readonly string[]): string[] {
    return [...this.loaded].flatMap(([id, record]) => (kinds.includes(record.kind) ? [id] : []));
  }

  /**
   * What was built before this start is what is wanted until the source says otherwise: so removals and
   * changes made meanwhile are known as such.
   */
  adopt(compile: (record: OwnerRecord) => readonly RowGroup[] | undefined): void {
    for (const [owner, record] of this.loaded) {
      try {
        const groups = compile(record);
        if (groups) this.reconciler.setDesired(owner, groups);
      } catch (error) {
        this.log.warn({ owner }, `the record can't be used: ${(error as Error).message}`);
      }
    }
  }

  async start(parts: readonly Part[], options: Readonly<Record<string, unknown>>): Promise<void> {
    const { name, host } = this.controller.topology;
    writeFacts(this.directory, { name, host, topology: this.controller.file, options });
    this.parts.push(...parts);
    this.controller.on('invalid', (problems) => {
      for (const problem of problems)
        this.log.error(`${problemText(problem)} (the last good topology stays)`);
    });
    this.controller.on('loaded', () => this.touch());
    if (this.settings.stay) this.controller.watch();
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

  /** Resolves when everything was done or refused; then problems() tells what was refused. */
  async settled(): Promise<void> {
    while (!this.settledNow()) await new Promise((resolve) => setTimeout(resolve, 20));
    await this.reconciler.settled();
  }

  private writeStatus(): boolean {
    const settled = this.settledNow();
    for (const part of this.parts) {
      const { problems } = part.status();
      const status: RunStatus = {
        pid: process.pid,
        startTime: readProcess(process.pid)!.startTime,
        role: part.role,
        converged: settled && Object.keys(problems).length === 0,
        problems,
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
    this.controller.close();
    for (const part of [...this.parts].reverse()) await part.stop();
    await this.reconciler.close();
    for (const part of this.parts) fs.rmSync(statusPath(this.directory, part.role), { force: true });
    for (const free of this.release) free();
  }

  /** State-changing requests and forks so far. */
  static get cost(): { writes: number; forks: number } {
    return { ...counters };
  }
}

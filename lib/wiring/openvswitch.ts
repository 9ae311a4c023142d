/**
 * Open vSwitch through its database: the ports of the agents, in the form the L2 agent looks for
 * (`neutron/agent/common/ovs_lib.py`, `replace_port`; ovs-vswitchd.conf.db(5)). No process is started for it.
 */
import type { Outcome } from '../namespace/apply.ts';
import type { Step } from '../namespace/plan.ts';
import type { PortSwitch } from '../namespace/port-switch.ts';
import type { OvsPortRow } from '../namespace/rows.ts';
import { MONITORED, OvsTables } from './ovs-tables.ts';
import { OvsdbClient, OvsdbError, type OvsdbTls } from './ovsdb.ts';
import { map, namedUuid, numberIn, rowUpdates, uuid } from './ovsdb-values.ts';

const DATABASE = 'Open_vSwitch';
/** Until the L2 agent has looked at a port it must carry nothing: no flow matches this VLAN. */
const DEAD_VLAN = 4095;
/** While ovs-vswitchd does not react it is not given the whole time-out for every port. */
const SHORT_PATIENCE_MS = 500;

export interface OpenVswitchSettings {
  /** as OvsdbSettings.remotes */
  readonly remotes: readonly string[];
  /** option `ovsdb_timeout` */
  readonly timeoutMs: number;
  readonly tls?: OvsdbTls;
  /** told once when the database is lost, and once when it is back */
  readonly onState?: (message: string) => void;
}

type Operation = Readonly<Record<string, unknown>>;

export class OpenVswitch implements PortSwitch {
  readonly #settings: OpenVswitchSettings;
  readonly #client: OvsdbClient;
  #tables = new OvsTables();
  #known = false;
  #connected = false;
  /** the last attempt failed: who needs the ports now is not kept waiting for the next */
  #failed: string | undefined;
  #stalled = false;
  #session = 0;
  /** while all is read anew: what the database tells after it has answered and before the answer is taken in */
  #early: unknown[] | undefined;
  #listeners = new Set<() => void>();
  #changed: (name: string | undefined) => void = () => undefined;

  constructor(settings: OpenVswitchSettings) {
    this.#settings = settings;
    this.#client = new OvsdbClient({
      ...settings,
      onConnect: () => this.#readAll(),
      onDisconnect: (reason) => this.#lost(reason),
      onNotification: (method, params) => {
        if (method === 'update' && params[0] === this.#session) this.#update(params[1]);
      },
    });
  }

  get known(): boolean {
    return this.#known;
  }

  async ready(): Promise<void> {
    if (!this.#known)
      await this.#wait(() => this.#known || this.#failed !== undefined, this.#settings.timeoutMs);
  }

  ports(): Iterable<OvsPortRow> {
    return this.#tables.ports();
  }

  port(name: string, bridge: string): OvsPortRow | undefined {
    return this.#tables.port(name, bridge);
  }

  follow(changed: (name: string | undefined) => void): void {
    this.#changed = changed;
  }

  close(): void {
    this.#changed = () => undefined;
    this.#client.close();
    this.#tell();
  }

  async apply(steps: readonly Step[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const todo: { step: Step; operations: Operation[] }[] = [];
    try {
      if (!this.#connected)
        await this.#wait(() => this.#connected || this.#failed !== undefined, this.#settings.timeoutMs);
      if (!this.#connected)
        throw new OvsdbError(this.#failed ?? `Open vSwitch database ${this.#client.remote} does not answer`);
      for (const [i, step] of steps.entries()) {
        const row = step.row as OvsPortRow;
        if (step.action !== 'remove' && !this.#tables.hasBridge(row.bridge))
          outcomes.push({ step, error: `Open vSwitch has no bridge ${row.bridge}: the L2 agent makes it` });
        else todo.push({ step, operations: this.#operations(step.action, row, `p${i}`) });
      }
      const trouble = await this.#commit(todo.flatMap(({ operations }) => operations));
      for (const { step } of todo) outcomes.push(this.#outcome(step, trouble));
    } catch (error) {
      for (const { step } of todo.length > 0 ? todo : steps.map((step) => ({ step })))
        outcomes.push({ step, error: (error as Error).message });
    }
    return outcomes;
  }

  /** A port that is out of the database is gone, whether or not the switch is there to see it. */
  #outcome(step: Step, trouble: string | undefined): Outcome {
    if (step.action === 'remove') return { step };
    const refused = this.#tables.find((step.row as OvsPortRow).name)?.error;
    const error = trouble ?? (refused && `Open vSwitch: ${refused}`);
    return error === undefined ? { step } : { step, error };
  }

  // --- transactions ------------------------------------------------------------------------------------------

  #operations(action: Step['action'], row: OvsPortRow, label: string): Operation[] {
    const found = this.#tables.find(row.name);
    const is = this.#tables.port(row.name, row.bridge);
    const ids = { 'iface-id': row.ifaceId, 'iface-status': 'active', 'attached-mac': row.mac };
    const removal = found
      ? [
          {
            op: 'mutate',
            table: 'Bridge',
            where: [['ports', 'includes', uuid(found.uuid)]],
            mutations: [['ports', 'delete', uuid(found.uuid)]],
          },
        ]
      : [];
    if (action === 'remove') return removal;
    // The same port for another MAC keeps its wiring.
    if (found?.interface && is?.type === row.type && is.bridge === row.bridge && is.ifaceId === row.ifaceId)
      return is.mac === row.mac
        ? []
        : [
            {
              op: 'update',
              table: 'Interface',
              where: [['_uuid', '==', uuid(found.interface)]],
              row: { external_ids: map(ids) },
            },
          ];
    return [
      ...removal,
      {
        op: 'insert',
        table: 'Interface',
        'uuid-name': `i${label}`,
        row: { name: row.name, type: row.type === 'internal' ? 'internal' : '', external_ids: map(ids) },
      },
      {
        op: 'insert',
        table: 'Port',
        'uuid-name': label,
        row: {
          name: row.name,
          interfaces: namedUuid(`i${label}`),
          tag: DEAD_VLAN,
          vlan_mode: 'trunk',
          trunks: DEAD_VLAN,
        },
      },
      {
        op: 'mutate',
        table: 'Bridge',
        where: [['name', '==', row.bridge]],
        mutations: [['ports', 'insert', namedUuid(label)]],
      },
    ];
  }

  /**
   * Commit, and wait until ovs-vswitchd has done it: it counts the configurations it has carried out. Resolves to what
   * went wrong with the switch, if anything did. @throws OvsdbError if nothing was committed, or that is not known
   */
  async #commit(operations: readonly Operation[]): Promise<string | undefined> {
    if (operations.length === 0) return undefined;
    const results = await this.#client.transact(DATABASE, [
      ...operations,
      { op: 'mutate', table: DATABASE, where: [], mutations: [['next_cfg', '+=', 1]] },
      { op: 'select', table: DATABASE, where: [], columns: ['next_cfg'] },
      { op: 'comment', comment: 'viaduct' },
    ]);
    const rows = results[operations.length + 1]?.rows;
    const next =
      numberIn(Array.isArray(rows) ? (rows[0] as Record<string, unknown>)?.next_cfg : undefined) ?? 0;
    const patience = this.#stalled ? SHORT_PATIENCE_MS : this.#settings.timeoutMs;
    const answered = await this.#wait(() => this.#tables.applied >= next || !this.#connected, patience);
    this.#stalled = !answered;
    if (!answered) return `ovs-vswitchd has not reacted in ${patience / 1000} s: is it running?`;
    return this.#tables.applied >= next
      ? undefined
      : 'the Open vSwitch database went away before the switch reacted';
  }

  // --- the copy ----------------------------------------------------------------------------------------------

  async #readAll(): Promise<void> {
    const session = ++this.#session;
    this.#early = [];
    const answer = await this.#client.request('monitor', [DATABASE, session, MONITORED]);
    this.#tables = new OvsTables();
    for (const tables of [answer, ...this.#early]) this.#tables.take(rowUpdates(tables));
    this.#early = undefined;
    this.#connected = true;
    this.#stalled = false;
    const again = this.#known || this.#failed !== undefined;
    this.#known = true;
    this.#failed = undefined;
    if (again) this.#settings.onState?.(`Open vSwitch database ${this.#client.remote} is connected again`);
    this.#tell();
    if (again) this.#changed(undefined);
  }

  #update(tables: unknown): void {
    if (this.#early) {
      this.#early.push(tables);
      return;
    }
    const touched = this.#tables.take(rowUpdates(tables));
    this.#tell();
    for (const name of touched) this.#changed(name);
  }

  #lost(reason: string): void {
    if (this.#connected || this.#failed === undefined) this.#settings.onState?.(reason);
    this.#connected = false;
    this.#failed = reason;
    this.#tell();
  }

  // --- waiting -----------------------------------------------------------------------------------------------

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Resolves to true once the condition holds, to false when the time is over. */
  #wait(condition: () => boolean, ms: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (result: boolean): void => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        resolve(result);
      };
      const look = (): void => {
        if (condition()) end(true);
      };
      const timer = setTimeout(() => end(false), ms);
      this.#listeners.add(look);
    });
  }
}

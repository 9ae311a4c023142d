/**
 * Our copy of the switch's tables, as far as ports go: who is called what, whose port it is, what went wrong. Kept by
 * a monitor (RFC 7047 §4.1.5; ovs-vswitchd.conf.db(5) for the columns). Pure.
 */
import { HOST, type OvsPortRow, ovsPort } from '../namespace/rows.ts';
import { mapIn, numberIn, type RowUpdate, textIn, uuidsIn } from './ovsdb-values.ts';

/**
 * What to ask the monitor for. Which ports a bridge has is asked for once only: the column is sent whole with every
 * port that comes or goes, and a port that is there is in some bridge.
 */
export const MONITORED = {
  Open_vSwitch: { columns: ['cur_cfg'] },
  Bridge: [
    { columns: ['name'] },
    { columns: ['ports'], select: { initial: true, insert: true, delete: false, modify: false } },
  ],
  Port: { columns: ['name', 'interfaces'] },
  Interface: { columns: ['name', 'type', 'external_ids', 'error'] },
} as const;

interface Interface {
  readonly name: string;
  readonly type: string;
  readonly ids: ReadonlyMap<string, string>;
  readonly error: string | undefined;
}

interface Port {
  readonly name: string;
  readonly interfaces: readonly string[];
}

/** A port as the database has it, by what the transactions need. */
export interface FoundPort {
  readonly uuid: string;
  /** of the interface that has the port's name; a bond may have none */
  readonly interface: string | undefined;
  /** why the switch could not do it */
  readonly error: string | undefined;
}

export class OvsTables {
  private readonly bridges = new Map<string, string>();
  private readonly bridgeOf = new Map<string, string>();
  private readonly portsById = new Map<string, Port>();
  private readonly idOfPort = new Map<string, string>();
  private readonly interfaces = new Map<string, Interface>();
  /** number of the last configuration the switch has carried out */
  applied = 0;

  /** Take changes in; returns the names of the ports they are about. */
  take(updates: readonly RowUpdate[]): ReadonlySet<string> {
    const touched = new Set<string>();
    for (const update of updates) {
      if (update.table === 'Bridge') this.takeBridge(update);
      else if (update.table === 'Port') this.takePort(update, touched);
      else if (update.table === 'Interface') this.takeInterface(update, touched);
      else this.applied = numberIn(update.row?.cur_cfg) ?? this.applied;
    }
    return touched;
  }

  private takeBridge({ uuid, row }: RowUpdate): void {
    if (!row) {
      this.bridges.delete(uuid);
      return;
    }
    const name = textIn(row.name) ?? this.bridges.get(uuid) ?? '';
    this.bridges.set(uuid, name);
    for (const port of uuidsIn(row.ports)) this.bridgeOf.set(port, name);
  }

  private takePort({ uuid, row }: RowUpdate, touched: Set<string>): void {
    const before = this.portsById.get(uuid)?.name;
    if (before !== undefined) {
      touched.add(before);
      if (this.idOfPort.get(before) === uuid) this.idOfPort.delete(before);
    }
    if (!row) {
      this.portsById.delete(uuid);
      this.bridgeOf.delete(uuid);
      return;
    }
    const name = textIn(row.name) ?? '';
    this.portsById.set(uuid, { name, interfaces: uuidsIn(row.interfaces) });
    this.idOfPort.set(name, uuid);
    touched.add(name);
  }

  private takeInterface({ uuid, row }: RowUpdate, touched: Set<string>): void {
    const before = this.interfaces.get(uuid);
    if (before) touched.add(before.name);
    if (!row) {
      this.interfaces.delete(uuid);
      return;
    }
    const name = textIn(row.name) ?? '';
    const error = textIn(row.error);
    this.interfaces.set(uuid, { name, type: textIn(row.type) ?? '', ids: mapIn(row.external_ids), error });
    touched.add(name);
  }

  hasBridge(name: string): boolean {
    return [...this.bridges.values()].includes(name);
  }

  find(name: string): FoundPort | undefined {
    const uuid = this.idOfPort.get(name);
    if (uuid === undefined) return undefined;
    const id = this.portsById
      .get(uuid)
      ?.interfaces.find((other) => this.interfaces.get(other)?.name === name);
    return { uuid, interface: id, error: this.interfaces.get(id ?? '')?.error };
  }

  /** A port as a row; `bridge` is what to call a bridge that is not known. */
  port(name: string, bridge: string): OvsPortRow | undefined {
    const found = this.find(name);
    if (!found) return undefined;
    const device = this.interfaces.get(found.interface ?? '');
    return ovsPort({
      ns: HOST,
      name,
      bridge: this.bridgeOf.get(found.uuid) ?? bridge,
      type: device?.type === 'internal' ? 'internal' : 'system',
      ifaceId: device?.ids.get('iface-id') ?? '',
      mac: device?.ids.get('attached-mac')?.toLowerCase() ?? '',
    });
  }

  /** Ports that belong to a Neutron port, of agents and instances alike. */
  *ports(): Generator<OvsPortRow> {
    for (const name of this.idOfPort.keys()) {
      const row = this.port(name, '');
      if (row && row.ifaceId !== '') yield row;
    }
  }
}

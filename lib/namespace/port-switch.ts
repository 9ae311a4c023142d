/**
 * Ports of a switch as rows: what the reconciler asks of a switch (Open vSwitch through its database,
 * lib/wiring/openvswitch.ts), and in which order ports and devices come and go.
 */
import type { ActualRow } from './actual.ts';
import type { Outcome } from './apply.ts';
import type { Step } from './plan.ts';
import { HOST, type OvsPortRow, ovsPort, type Row } from './rows.ts';

/** It keeps a copy of its ports at hand: reading is synchronous, as all reading is; changing them is not. */
export interface PortSwitch {
  /** Resolves once the ports are known, or when that can't be expected soon. Never rejects. */
  ready(): Promise<void>;
  /** The ports have been read at least once. */
  readonly known: boolean;
  /** Ports that belong to a Neutron port, as last known. */
  ports(): Iterable<OvsPortRow>;
  /** One port by name, whoever made it. `bridge` is what to say where its bridge is not known. */
  port(name: string, bridge: string): OvsPortRow | undefined;
  /**
   * Make, change and remove ports in one transaction; resolves once the switch has done it. Never rejects: each step
   * has its outcome.
   */
  apply(steps: readonly Step[]): Promise<Outcome[]>;
  /** Tell of ports that change, by name; undefined: the ports were read anew, after an absence of the database. */
  follow(changed: (name: string | undefined) => void): void;
  /** Let go of the connection. The ports stay. */
  close(): void;
}

export const portKey = (name: string): string => `${HOST}|ovs-port|${name}`;

/**
 * Put a switch's ports among the actual rows of the host's namespace. Before they are known, those on their way out
 * are taken for present: absence that nobody has seen removes nothing and forgets nothing.
 */
export function addPorts(
  into: Map<string, ActualRow>,
  ports: PortSwitch,
  wanted: readonly Row[],
  isWanted: (key: string) => boolean,
): void {
  for (const row of ports.ports()) into.set(row.key, row);
  for (const row of wanted) {
    if (row.kind !== 'ovs-port') continue;
    const found = ports.known ? ports.port(row.name, row.bridge) : isWanted(row.key) ? undefined : row;
    if (found) into.set(row.key, found);
  }
}

/** Steps on ports before those on devices, and after. */
export interface PortSteps {
  readonly before: readonly Step[];
  readonly after: readonly Step[];
}

/** A port of which nothing is known but its device's name. */
const nameless = (name: string): OvsPortRow =>
  ovsPort({ ns: HOST, name, bridge: '', type: 'internal', ifaceId: '', mac: '' });

/**
 * Ports go before their devices do; a port that makes a device comes before it, one that takes a device after. A
 * device that is stale takes along the port it is of.
 */
export function portSteps(
  steps: readonly Step[],
  ports: PortSwitch | undefined,
  isWanted: (key: string) => boolean,
): PortSteps {
  const own = steps.filter(({ row }) => row.kind === 'ovs-port');
  const takes = ({ action, row }: Step): boolean =>
    action !== 'remove' && row.kind === 'ovs-port' && row.type === 'system';
  const known = new Set(own.map(({ row }) => row.key));
  const stale = steps.flatMap(({ action, row }): Step[] => {
    if (!ports || action !== 'remove' || row.kind !== 'link' || row.ns === HOST) return [];
    if (row.type !== 'internal' && row.type !== 'abandoned') return [];
    const port = ports.known ? ports.port(row.name, '') : nameless(row.name);
    if (!port || known.has(port.key) || isWanted(port.key)) return [];
    return [{ action: 'remove', row: port, reason: 'its device is not wanted' }];
  });
  return { before: [...stale, ...own.filter((step) => !takes(step))], after: own.filter(takes) };
}

/** Run steps on ports; with no switch to run them on, each fails. */
export async function applyPorts(
  steps: readonly Step[],
  ports: PortSwitch | undefined,
): Promise<readonly Outcome[]> {
  if (steps.length === 0) return [];
  if (ports) return await ports.apply(steps);
  return steps.map((step) => ({ step, error: 'this agent is not connected to Open vSwitch' }));
}

/**
 * Steps left to do when a port could not be removed: its device and its namespace stay, they are the only trace of
 * it.
 */
export function withoutOrphans(steps: readonly Step[], outcomes: readonly Outcome[]): readonly Step[] {
  const names = new Set(
    outcomes.flatMap(({ step, error }) =>
      error !== undefined && step.action === 'remove' && step.row.kind === 'ovs-port' ? [step.row.name] : [],
    ),
  );
  if (names.size === 0) return steps;
  const devices = steps.filter(
    ({ action, row }) => action === 'remove' && row.kind === 'link' && names.has(row.name),
  );
  const places = new Set(devices.map(({ row }) => row.ns));
  return steps.filter(
    (step) =>
      !devices.includes(step) &&
      !(step.action === 'remove' && step.row.kind === 'netns' && places.has(step.row.ns)),
  );
}

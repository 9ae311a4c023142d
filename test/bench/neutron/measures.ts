/** The lines of the bench: one for each measure, both sides and how many times the other one takes. */
import type { TableRow } from '../../../agents/cli/table.ts';
import { rounded } from '../figures.ts';
import type { Found } from './sides.ts';

/** One JSON line. */
export interface Measure {
  readonly bench: 'neutron';
  readonly measure: string;
  readonly unit: 's' | 'ms' | 'MB';
  readonly n: number;
  readonly viaduct: number;
  readonly neutron: number;
  /** neutron / viaduct */
  readonly ratio: number;
  /** what is to be shown; undefined: told for completeness */
  readonly wanted?: number;
}

interface Kind {
  readonly key: keyof Found;
  readonly measure: string;
  readonly unit: Measure['unit'];
  readonly wanted?: number;
}

const KINDS: readonly Kind[] = [
  { key: 'routers', measure: 'agent start until all routers are complete', unit: 's', wanted: 20 },
  { key: 'restart', measure: 'L3 agent restart without a change until all rests', unit: 's', wanted: 20 },
  { key: 'associationAgent', measure: "floating IP association: the agent's share", unit: 'ms', wanted: 10 },
  { key: 'association', measure: 'floating IP association: from the request', unit: 'ms' },
  { key: 'routersMemory', measure: 'memory of L3 and metadata agent with helpers', unit: 'MB', wanted: 5 },
  { key: 'networks', measure: 'agent start until all networks serve', unit: 's', wanted: 5 },
  { key: 'networksRestart', measure: 'DHCP agent restart without a change until all rests', unit: 's' },
  { key: 'networksMemory', measure: 'memory of DHCP agent with helpers', unit: 'MB' },
];

/** from seconds and bytes */
const SCALE = { s: 1, ms: 1000, MB: 1e-6 };

export const measuresOf = (n: number, viaduct: Found, neutron: Found): Measure[] =>
  KINDS.map(({ key, measure, unit, wanted }) => ({
    bench: 'neutron',
    measure,
    unit,
    n,
    viaduct: rounded(viaduct[key] * SCALE[unit]),
    neutron: rounded(neutron[key] * SCALE[unit]),
    ratio: rounded(neutron[key] / viaduct[key], 1),
    ...(wanted === undefined ? {} : { wanted }),
  }));

export const MEASURE_HEADS = ['measure', 'n', 'unit', 'Viaduct', 'Neutron', 'ratio', 'wanted'] as const;

export const measureRow = (m: Measure): TableRow =>
  [m.measure, m.n, m.unit, m.viaduct, m.neutron, `${m.ratio}x`, m.wanted ? `${m.wanted}x` : ''].map(String);

/** How the figures come about, for people who read them. */
export const NOTES: readonly string[] = [
  'complete: namespace, devices, addresses, default route, metadata listener and the NAT of each floating IP are in the kernel',
  'a network serves when the DHCP server offers the right address on its port',
  'both sides find the same server, with everything scheduled and every port made, and a node as after a boot',
  'at rest: agents, their helpers and neutron-server together take less than 6 % of a processor for 3 s',
  "association: until a packet from outside reaches the port; the agent's share begins when the notification passes the " +
    'broker, and is without the time in which the server answers its calls',
  'memory: proportional set size of the agents and all they have started',
  'no L2 agent runs: what is measured does not depend on the bridge a tap is in',
  "Neutron's agents: privsep with 32 threads, as root without sudo and rootwrap, without their random delay at the start",
];

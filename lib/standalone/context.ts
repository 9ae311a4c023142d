/** What the steps of reading a topology share. */
import { Catalogue } from './catalogue.ts';
import type { Source } from './document.ts';
import { idMaker } from './identity.ts';
import type { PortPlan } from './ports.ts';
import type { TopologyNetwork, TopologySubnet } from './topology.ts';

export interface Context {
  readonly source: Source;
  /** of the deployment */
  readonly name: string;
  readonly host: string;
  readonly makeId: (...path: string[]) => string;
  readonly networks: Catalogue<TopologyNetwork>;
  readonly subnets: Catalogue<TopologySubnet>;
  readonly routers: Catalogue<true>;
  readonly ports: Catalogue<PortPlan>;
  readonly instances: Catalogue<{ readonly name: string; readonly ports: readonly PortPlan[] }>;
  /** ids of networks with a subnet that was found wrong: what its ports lack may be due to that */
  readonly incomplete: Set<string>;
  /** CIDR by subnet id */
  readonly delegated: ReadonlyMap<string, string>;
  /** in the order of the file */
  readonly all: { readonly networks: TopologyNetwork[]; readonly ports: PortPlan[] };
}

export const newContext = (
  source: Source,
  name: string,
  host: string,
  delegated: ReadonlyMap<string, string> = new Map(),
): Context => ({
  delegated,
  source,
  name,
  host,
  makeId: idMaker(name),
  networks: new Catalogue(source, 'network'),
  subnets: new Catalogue(source, 'subnet'),
  routers: new Catalogue(source, 'router'),
  ports: new Catalogue(source, 'port'),
  instances: new Catalogue(source, 'instance'),
  incomplete: new Set(),
  all: { networks: [], ports: [] },
});

import type { Recorded } from '../../../agents/cli/deployment.ts';
import { compileRecord } from '../../../agents/cli/parts.ts';
import { fabricRecords } from '../../../agents/fabric/agent.ts';
import { instancesOf } from '../../../lib/standalone/instance-view.ts';
import { payloadsOf } from '../../../lib/standalone/payload.ts';
import type { OwnerRecord } from '../../../lib/standalone/site.ts';
import { parseTopology } from '../../../lib/standalone/topology.ts';

/** Two tenants with the same addresses, one floating IP each. */
const TOPOLOGY = `
name: pair
networks:
  - {name: ext, external: true, subnets: [{cidr: 203.0.113.0/24}]}
  - {name: red, subnets: [{cidr: 10.0.0.0/24, name: red-sub}]}
  - {name: blue, subnets: [{cidr: 10.0.0.0/24, name: blue-sub}]}
routers:
  - {name: r-red, external_gateway_info: {network: ext}, interfaces: [red-sub]}
  - {name: r-blue, external_gateway_info: {network: ext}, interfaces: [blue-sub]}
instances:
  - {name: a, network: red, fixed_ips: [{ip_address: 10.0.0.5}]}
  - {name: b, network: blue, fixed_ips: [{ip_address: 10.0.0.5}]}
floating_ips:
  - {floating_network: ext, instance: a, floating_ip_address: 203.0.113.50}
  - {floating_network: ext, instance: b, floating_ip_address: 203.0.113.60}
`;

/** The records that `viaduct up` of it would leave, as a later process reads them. */
export function recordedPair(): Recorded[] {
  const topology = parseTopology(TOPOLOGY, { file: 'pair.yaml', host: 'host' });
  const records = new Map<string, OwnerRecord>(
    fabricRecords({ networks: () => topology.networks, instances: () => instancesOf(topology) }),
  );
  for (const router of payloadsOf(topology).routers)
    records.set(router.id, { kind: 'router', payload: router });
  const context = { directory: '/state/pair', host: 'host', options: {} };
  return [...records].map(([owner, saved]) => {
    const record = JSON.parse(JSON.stringify(saved)) as OwnerRecord;
    return { owner, record, groups: compileRecord(record, context) };
  });
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eui64 } from '../../lib/model/ip.ts';
import { advertised, configured, learned } from '../e2e/advertisements.ts';
import { DelegatingServer } from '../e2e/delegating-server.ts';
import type { Machine } from '../e2e/packets.ts';
import { Cloud } from './cloud/cloud.ts';
import type { Resource } from './cloud/server.ts';
import { fixedIps, Tenant } from './cloud/tenant.ts';

const LINK = '2001:db8:e::/64';
const POOL = '2001:db8:f000:';

describe('prefix delegation with a real neutron-server', () => {
  let cloud: Cloud;
  let tenant: Tenant;
  let provider: DelegatingServer | undefined;
  let router: Resource;
  let subnet: Resource;
  let port: Resource;
  let vm: Machine;

  const interfaces = (action: 'add' | 'remove') =>
    cloud.server.request('PUT', `routers/${router.id}/${action}_router_interface`, { subnet_id: subnet.id });
  const cidrNow = async (): Promise<string> => String((await cloud.server.show('subnets', subnet.id)).cidr);
  const delegated = () =>
    tenant.soon('the server knows the prefix', async () => {
      const cidr = await cidrNow();
      return cidr.startsWith(POOL) && cidr;
    });

  beforeAll(async () => {
    cloud = await Cloud.start({ server: { DEFAULT: { ipv6_pd_enabled: true } } });
    tenant = new Tenant(cloud);
    cloud.node.start();
    for (const agent of ['L3 agent', 'DHCP agent', 'Linux bridge agent']) await tenant.alive(agent);
    await tenant.settled(cloud.node, 'l3', 'dhcp');
    const { network: external } = await tenant.external();
    await tenant.subnet(external, {
      ip_version: 6,
      cidr: LINK,
      gateway_ip: '2001:db8:e::1',
      enable_dhcp: false,
    });
    router = await cloud.server.create('routers', {
      name: 'pd',
      external_gateway_info: { network_id: external.id },
    });
    const modes = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
    const made = await tenant.network('delegated', [
      { ip_version: 6, subnetpool_id: 'prefix_delegation', ...modes },
    ]);
    [subnet] = made.subnets as [Resource];
    ({ port, vm } = await tenant.machine('vmpd', made.network));
    await cloud.outside.sh('ip -6 address add 2001:db8:e::1/64 dev eth0 nodad');
    await cloud.outside.sh('sysctl -qw net.ipv6.conf.all.forwarding=1');
    provider = await DelegatingServer.start(cloud.outside, {
      directory: `${cloud.directory}/kea`,
      link: LINK,
      pool: { prefix: `${POOL}:`, length: 48 },
    });
  }, 400_000);

  afterAll(async () => {
    await provider?.stop();
    await cloud?.stop();
  }, 60_000);

  it('[Q1] the prefix that the agent is delegated becomes the subnet’s, and instances use it', async () => {
    expect(await cidrNow()).toBe('::/64');
    await interfaces('add');
    const cidr = await delegated();
    await advertised(vm, ({ prefixes }) => prefixes.some(({ prefix }) => prefix === cidr));
    const own = await configured(vm, cidr.replace(/:\/64$/, ''));
    expect(own).toBe(eui64(cidr, String(port.mac_address)));
    await tenant.soon('the server has the instance’s address', async () =>
      fixedIps(await cloud.server.show('ports', port.id)).some(({ ip_address }) => ip_address === own),
    );
    const gateway = (await cloud.server.show('routers', router.id)).external_gateway_info as {
      external_fixed_ips: { ip_address: string }[];
    };
    const uplink = gateway.external_fixed_ips.find(({ ip_address }) => ip_address.includes(':'))!;
    await cloud.outside.sh(`ip -6 route add ${POOL}:/48 via ${uplink.ip_address}`);
    expect((await vm.reaches('2001:db8:e::1')).ttls).toEqual([63]);
    expect(provider!.bindings().map(({ prefix }) => `${prefix}/64`)).toEqual([cidr]);
  });

  it('[Q1] another start of the agent keeps it', async () => {
    const before = await cidrNow();
    const asked = provider!.said('DHCP6_PD_LEASE_ALLOC');
    await tenant.restart(cloud.node.agent('l3'));
    await tenant.settled(cloud.node, 'l3');
    expect(await cidrNow()).toBe(before);
    await vm.reaches('2001:db8:e::1');
    expect(provider!.said('DHCP6_PD_LEASE_ALLOC')).toBe(asked);
  });

  it('[Q1] with the router’s interface it is given back, and the subnet waits for another', async () => {
    await interfaces('remove');
    await tenant.soon('the provider has it back', () => provider!.bindings().length === 0);
    await tenant.soon('the subnet has none', async () => (await cidrNow()) === '::/64');
    await tenant.soon('the address is deprecated', async () =>
      (await learned(vm)).every(({ deprecated }) => deprecated),
    );
    await interfaces('add');
    const cidr = await delegated();
    await configured(vm, cidr.replace(/:\/64$/, ''));
    await vm.reaches('2001:db8:e::1');
  });
});

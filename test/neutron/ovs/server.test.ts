import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stopChecksumOffload } from '../../../lib/kernel/ethtool.ts';
import { inNamespace, listNamespaces } from '../../../lib/kernel/netns.ts';
import { program } from '../../e2e/build.ts';
import { lease } from '../../e2e/dhcp-client.ts';
import { Machine } from '../../e2e/packets.ts';
import { output, run } from '../../e2e/shell.ts';
import { Cloud, EXTERNAL_BRIDGE, OUTSIDE } from '../cloud/cloud.ts';
import type { Resource } from '../cloud/server.ts';
import { addressOf, short, Tenant, type TenantNetwork } from '../cloud/tenant.ts';
import { TestSwitch } from './open-vswitch.ts';

const INTEGRATION = 'vdtbr-int';
const PHYSICAL = 'vdtbr-ex';
let ovs: TestSwitch;
let cloud: Cloud;
let tenant: Tenant;
let external: TenantNetwork;
let net: TenantNetwork;
let router: Resource;
let vm: Machine;
let port: Resource;

const ns = (): string => `qrouter-${router.id}`;
const ports = async (): Promise<string[]> => (await ovs.vsctl('list-ports', INTEGRATION)).split('\n');
const deviceOf = async (owner: string, prefix: string): Promise<{ device: string; port: Resource }> => {
  const [found] = await cloud.server.list('ports', `?device_id=${router.id}&device_owner=network:${owner}`);
  return { device: `${prefix}-${short(found!.id)}`, port: found! };
};

/** As Nova plugs an instance: a port of the integration bridge that names the Neutron port. */
async function boot(name: string, given: Resource): Promise<Machine> {
  const tap = `tap${short(given.id)}`;
  const machine = new Machine(name);
  const ip = (text: string) => output('ip', ...text.split(' '));
  await ip(`netns add ${name}`);
  await ip(`link add ${tap} type veth peer name eth0 netns ${name}`);
  await ip(`-n ${name} link set eth0 address ${String(given.mac_address)}`);
  await ip(`-n ${name} link set lo up`);
  await ip(`-n ${name} link set eth0 up`);
  await ip(`link set ${tap} up`);
  // A switch in user space reads packets before the kernel would compute their checksums.
  inNamespace(name, () => stopChecksumOffload('eth0'));
  const ids = [`iface-id=${given.id}`, 'iface-status=active', `attached-mac="${String(given.mac_address)}"`];
  const settings = ids.map((id) => `external_ids:${id}`);
  await ovs.vsctl('add-port', INTEGRATION, tap, '--', 'set', 'Interface', tap, ...settings);
  return machine;
}

beforeAll(async () => {
  ovs = await TestSwitch.start();
  await ovs.addBridge(PHYSICAL);
  await ovs.addBridge(INTEGRATION);
  cloud = await Cloud.start({
    server: { ml2: { mechanism_drivers: 'openvswitch' } },
    node: { openvswitch: { remote: ovs.remote, integrationBridge: INTEGRATION } },
    externalBridge: PHYSICAL,
  });
  tenant = new Tenant(cloud);
  // The outside world hangs on the switch, not on a Linux bridge.
  await output('ip', 'link', 'set', 'to-outside', 'nomaster');
  await output('ip', 'link', 'del', EXTERNAL_BRIDGE);
  await ovs.vsctl('add-port', PHYSICAL, 'to-outside');
  inNamespace(cloud.outside.ns, () => stopChecksumOffload('eth0'));
  cloud.node.start();
  await tenant.alive('Open vSwitch agent');
  await tenant.alive('L3 agent');
  await tenant.alive('DHCP agent');
  external = await tenant.external();
  net = await tenant.network('a', ['10.1.0.0/24']);
  port = await tenant.port(net.network);
  vm = await boot('vm1', port);
  router = await cloud.server.create('routers', { name: 'r1' });
  await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, {
    subnet_id: net.subnets[0]!.id,
  });
  await cloud.server.update('routers', router.id, {
    external_gateway_info: { network_id: external.network.id },
  });
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
  await ovs?.stop();
});

describe('Open vSwitch with Neutron’s L2 agent', () => {
  it('[O1][O2] ports are found by the L2 agent, which takes them out of the dead VLAN', async () => {
    const { device, port: own } = await deviceOf('router_interface', 'qr');
    await tenant.soon('it is plugged', async () => (await ports()).includes(device));
    expect(
      await ovs.vsctl('get', 'Interface', device, 'external_ids:iface-id', 'external_ids:attached-mac'),
    ).toBe(`"${own.id}"\n"${String(own.mac_address)}"`);
    await tenant.soon('it is wired', async () => {
      const tag = await ovs.vsctl('get', 'Port', device, 'tag');
      return tag !== '4095' && tag !== '[]';
    });
    await tenant.soon('it is ACTIVE', () => tenant.isActive(own));
  });

  it('[J1][J2][J3] a port gets its address by DHCP', async () => {
    const [dhcp] = await tenant.dhcpPorts(net.network);
    await tenant.soon('the DHCP port is wired', () => tenant.isActive(dhcp!));
    expect(await ports()).toContain(`tap${short(dhcp!.id)}`);
    await tenant.soon(
      'an address',
      async () => (await lease(vm, { timeout: 3 })).ack?.address === addressOf(port),
    );
    await cloud.lease(vm);
    await tenant.soon('the port is ACTIVE', () => tenant.isActive(port));
  });

  it('[B4][B13][C1][C4] packets leave by SNAT and come by a floating IP', async () => {
    await tenant.soon(
      'the outside answers',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
    expect((await vm.ping(OUTSIDE.address)).ttls).toEqual([63, 63, 63]);
    const fip = await cloud.server.create('floatingips', {
      floating_network_id: external.network.id,
      port_id: port.id,
    });
    const address = String(fip.floating_ip_address);
    await tenant.soon(
      'it answers',
      async () => (await cloud.outside.ping(address, { count: 1 })).received > 0,
    );
    await tenant.soon(
      'it is ACTIVE',
      async () => (await cloud.server.show('floatingips', fip.id)).status === 'ACTIVE',
    );
    await cloud.server.remove('floatingips', fip.id);
  });

  it('the operator’s command sees the ports: all is as it should be, and a missing one is told', async () => {
    await tenant.settled(cloud.node, 'l3', 'dhcp');
    const { device } = await deviceOf('router_interface', 'qr');
    const diff = async () =>
      await run(program('cli', 'diff', '--exit-code', '--state-dir', cloud.node.statePath));
    // What was just deleted is in the record of its router for a moment still.
    await tenant.soon('nothing differs', async () => {
      const { code, stdout, stderr } = await diff();
      expect([code, stdout + stderr]).toEqual([0, expect.any(String)]);
      return true;
    });
    await cloud.node.agent('l3').stop();
    await ovs.vsctl('del-port', INTEGRATION, device);
    const missing = await diff();
    expect(missing.code).toBe(2);
    expect(missing.stdout).toContain(device);
    cloud.node.start('l3');
    await tenant.soon('it is back', async () => (await ports()).includes(device));
    await tenant.soon(
      'the outside answers',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
  });

  it('a switch that was started anew while the agent was away has its new devices in the router', async () => {
    await cloud.node.agent('l3').stop();
    await ovs.killSwitch();
    await ovs.startSwitch();
    cloud.node.start('l3');
    await tenant.soon(
      'the outside answers',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
  });

  it('[B24] what is deleted leaves nothing in the bridge', async () => {
    const { device } = await deviceOf('router_interface', 'qr');
    await cloud.server.update('routers', router.id, { external_gateway_info: {} });
    await cloud.server.request('PUT', `routers/${router.id}/remove_router_interface`, {
      subnet_id: net.subnets[0]!.id,
    });
    await cloud.server.remove('routers', router.id);
    await tenant.soon('the namespace is gone', () => !listNamespaces().includes(ns()));
    const left = await ports();
    expect(left).not.toContain(device);
    expect(left.filter((name) => /^q[rg]-/.test(name))).toEqual([]);
  });

  it('viaduct down takes what is left from the host and from the switch', async () => {
    const [dhcp] = await tenant.dhcpPorts(net.network);
    expect(await ports()).toContain(`tap${short(dhcp!.id)}`);
    await cloud.node.agent('metadata').stop();
    await cloud.node.agent('dhcp').stop();
    await cloud.node.agent('l3').stop();
    const { code, stdout, stderr } = await run(
      program('cli', 'down', '--all', '--state-dir', cloud.node.statePath),
    );
    expect([code, stdout + stderr]).toEqual([0, expect.any(String)]);
    expect(await ports()).not.toContain(`tap${short(dhcp!.id)}`);
    expect(listNamespaces().filter((name) => /^q(router|dhcp)-/.test(name))).toEqual([]);
  });
});

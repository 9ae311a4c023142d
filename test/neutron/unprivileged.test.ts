/** The agents as an unprivileged user with what the systemd units in deploy/ grant, on a node where root ran them before. */
import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces, NETNS_DIRECTORY } from '../../lib/kernel/netns.ts';
import { configured } from '../e2e/advertisements.ts';
import { packageRoot, program } from '../e2e/build.ts';
import type { Machine } from '../e2e/packets.ts';
import { output, run } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import { Daemon } from './cloud/daemon.ts';
import type { NodeAgent } from './cloud/node.ts';
import type { Resource } from './cloud/server.ts';
import { dnsmasqIn, fixedIps, Tenant, type TenantNetwork } from './cloud/tenant.ts';

const ROLES: readonly NodeAgent[] = ['l3', 'dhcp', 'metadata'];
/** linux/capability.h: CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW */
const OF_DAEMONS = (1n << 10n) | (1n << 12n) | (1n << 13n);
const INSTANCE = 'a0000000-0000-4000-8000-000000000009';
const METADATA = 'http://169.254.169.254/latest/meta-data/instance-id';
let cloud: Cloud;
let tenant: Tenant;
let agents: ReadonlyMap<NodeAgent, Daemon>;

/** The values of a unit's setting. */
function unit(role: NodeAgent, setting: string): string[] {
  const text = fs.readFileSync(join(packageRoot, `deploy/viaduct-${role}-agent.service`), 'utf8');
  return new RegExp(`^${setting}=(.*)$`, 'm').exec(text)![1]!.split(' ');
}
/** As systemd starts it: user, capabilities, nothing more. */
function asUser(role: NodeAgent, capabilities = unit(role, 'AmbientCapabilities')): string[] {
  const [user] = unit(role, 'User');
  const granted = capabilities.map((name) => `+${name.replace('CAP_', '').toLowerCase()}`);
  const set = ['-all', ...granted].join(',');
  const identity = ['--reuid', user!, '--regid', user!, '--clear-groups', '--no-new-privs'];
  return ['setpriv', ...identity, '--inh-caps', set, '--ambient-caps', set, '--bounding-set', set];
}
const commandOf = (role: NodeAgent): string[] =>
  program(role, ...cloud.node.configFiles(role).flatMap((file) => ['--config-file', file]));

/** User id and effective capabilities of a process. */
function rightsOf(pid: number): { uid: number; capabilities: bigint; newPrivileges: boolean } {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)![1]!;
  return {
    uid: Number(field('Uid')),
    capabilities: BigInt(`0x${field('CapEff')}`),
    newPrivileges: field('NoNewPrivs') === '0',
  };
}
async function daemonsIn(ns: string): Promise<{ pid: number; name: string }[]> {
  const pids = (await output('ip', 'netns', 'pids', ns)).split('\n').filter(Boolean).map(Number);
  return pids.map((pid) => ({ pid, name: fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() }));
}
const soon: Tenant['soon'] = (...given) =>
  tenant.soon(...given).catch((error: Error) => {
    throw new Error(`${error.message}\n${[...agents.values()].map((daemon) => daemon.tail()).join('\n')}`);
  });

const v4Of = (port: Resource): string =>
  fixedIps(port).find(({ ip_address }) => ip_address.includes('.'))!.ip_address;

/** A network with both IP versions behind a router with a gateway, and a machine in it. */
async function site(name: string, second: number, external: TenantNetwork) {
  const six = { ip_version: 6, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
  const net = await tenant.network(name, [
    `10.${second}.0.0/24`,
    { ...six, cidr: `2001:db8:${second}::/64` },
  ]);
  const router = await cloud.server.create('routers', {
    name,
    external_gateway_info: { network_id: external.network.id },
  });
  for (const { id } of net.subnets)
    await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, { subnet_id: id });
  const { vm, port } = await tenant.machine(`vm-${name}`, net.network, { device_id: INSTANCE });
  await soon('it is wired and served', () => tenant.isActive(port));
  return { net, router, vm, port };
}
async function isServed(vm: Machine, port: Resource): Promise<void> {
  expect(await cloud.lease(vm)).toBe(v4Of(port));
  await soon('SNAT', async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0);
  await soon('metadata', async () => (await vm.curl(METADATA)).body === `instance ${INSTANCE}`);
  await configured(vm, '2001:db8:');
}

beforeAll(async () => {
  // As on a host: with the sticky bit of this machine's own /run/netns only root could remove what root has made.
  fs.chmodSync(NETNS_DIRECTORY, 0o755);
  cloud = await Cloud.start();
  tenant = new Tenant(cloud);
  agents = new Map(
    ROLES.map((role) => {
      const argv = [...asUser(role), ...commandOf(role)];
      return [role, new Daemon(`user-${role}`, argv, cloud.directory)];
    }),
  );
  cloud.node.start();
  for (const type of ['L3 agent', 'DHCP agent', 'Linux bridge agent']) await tenant.alive(type);
}, 400_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await Promise.all([...(agents?.values() ?? [])].map((daemon) => daemon.stop()));
  await cloud?.stop();
}, 60_000);

describe('agents as an unprivileged user', () => {
  let external: TenantNetwork;
  let old: Awaited<ReturnType<typeof site>>;
  let uid: number;

  it('[O9] say what they may not do, and do nothing, without capabilities', async () => {
    for (const role of ROLES) {
      const { code, stderr } = await run([...asUser(role, []), ...commandOf(role)]);
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/needs root, or a user with .*CAP_SYS_ADMIN/),
      ]);
    }
  });

  it('[O9] take over what root’s agents have built: the same daemons, no write, no lost ping', async () => {
    external = await tenant.external();
    old = await site('old', 1, external);
    await isServed(old.vm, old.port);
    uid = Number(await output('id', '-u', unit('l3', 'User')[0]!));
    const namespaces = [`qrouter-${old.router.id}`, `qdhcp-${old.net.network.id}`];
    const before = (await Promise.all(namespaces.map(daemonsIn))).flat();
    expect(new Set(before.map(({ name }) => name))).toEqual(new Set(['dnsmasq', 'radvd']));
    const stream = old.vm.pingStream(OUTSIDE.address);
    await Promise.all(ROLES.map((role) => cloud.node.agent(role).stop()));
    const [command, ...rest] = unit('l3', 'ExecStartPre');
    expect(rest.at(-1)).toBe('/var/lib/neutron');
    await output(command!.replace(/^[+-]+/, ''), ...rest.slice(0, -1), cloud.node.statePath);
    for (const daemon of agents.values()) daemon.start();
    for (const role of ROLES)
      await soon(`${role} finds all as it is`, () =>
        /settled after \d+ ms: 0 kernel writes, 0 forks/.test(agents.get(role)!.tail(50_000)),
      );
    expect((await Promise.all(namespaces.map(daemonsIn))).flat()).toEqual(before);
    expect((await stream.stop()).lost).toEqual([]);
    await isServed(old.vm, old.port);
    for (const role of ROLES) {
      const rights = rightsOf(agents.get(role)!.pid!);
      expect([rights.uid, rights.newPrivileges]).toEqual([uid, false]);
    }
  });

  it('[O9] build a network, whose daemons have less than they', async () => {
    const made = await site('new', 2, external);
    await isServed(made.vm, made.port);
    const namespaces = [`qrouter-${made.router.id}`, `qdhcp-${made.net.network.id}`];
    const daemons = (await Promise.all(namespaces.map(daemonsIn))).flat();
    expect(new Set(daemons.map(({ name }) => name))).toEqual(new Set(['dnsmasq', 'radvd']));
    for (const { pid } of daemons) {
      const { uid: owner, capabilities } = rightsOf(pid);
      expect(owner).toBe(uid);
      expect(capabilities & ~OF_DAEMONS).toBe(0n);
    }
    await remove(made);
  });

  it('[O9] go on with what root’s agents left: a new port is served, a killed dnsmasq comes back, all can go', async () => {
    const { vm, port } = await tenant.machine('vm-late', old.net.network);
    await soon('it is served', () => tenant.isActive(port));
    expect(await cloud.lease(vm)).toBe(v4Of(port));
    const ns = `qdhcp-${old.net.network.id}`;
    const { pid } = (await dnsmasqIn(ns))!;
    process.kill(pid, 'SIGKILL');
    const next = await soon('another dnsmasq', async () => {
      const found = await dnsmasqIn(ns);
      return found !== undefined && found.pid !== pid && found;
    });
    expect(rightsOf(next.pid).uid).toBe(uid);
    expect(await cloud.lease(vm)).toBe(v4Of(port));
    await cloud.destroy(vm);
    await cloud.server.remove('ports', port.id);
    await remove(old);
    await soon('nothing is left', () => listNamespaces().every((name) => name === 'outside'));
  });

  async function remove({ net, router, vm, port }: Awaited<ReturnType<typeof site>>): Promise<void> {
    await cloud.destroy(vm);
    await cloud.server.remove('ports', port.id);
    for (const { id } of net.subnets)
      await cloud.server.request('PUT', `routers/${router.id}/remove_router_interface`, { subnet_id: id });
    await cloud.server.remove('routers', router.id);
    await cloud.server.remove('networks', net.network.id);
    await soon('its namespaces are gone', () =>
      listNamespaces().every((name) => !name.includes(router.id) && !name.includes(net.network.id)),
    );
  }
});

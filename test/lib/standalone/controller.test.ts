import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linkLocal } from '../../../lib/model/ip.ts';
import { parseRouter } from '../../../lib/model/router.ts';
import { Controller } from '../../../lib/standalone/controller.ts';
import { TopologyError } from '../../../lib/standalone/topology.ts';

const text = readFileSync(join(import.meta.dirname, 'demo.yaml'), 'utf8');
let directory: string;
let file: string;
let controller: Controller;
let heard: [string, ...unknown[]][];

const edit = (change: (text: string) => string) => {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  heard.length = 0;
  return controller.reload();
};
const routerNamed = async (name: string) =>
  (await controller.syncRouters()).find((one) => one.name === name)!;
const networkNamed = async (name: string) =>
  (await controller.getActiveNetworksInfo()).find((one) => one.name === name)!;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vdt-controller-'));
  file = join(directory, 'demo.yaml');
  writeFileSync(file, text);
  controller = new Controller({ file, host: 'net-1', debounce: 20 });
  heard = [];
  controller.on('instancesUpdated', () => heard.push(['instancesUpdated']));
  controller.on('invalid', (problems) => heard.push(['invalid', problems.length]));
  controller.follow({
    routersUpdated: (ids) => heard.push(['routersUpdated', ...ids]),
    routersDeleted: (ids) => heard.push(['routersDeleted', ...ids]),
    networksUpdated: (ids) => heard.push(['networksUpdated', ...ids]),
    networksDeleted: (ids) => heard.push(['networksDeleted', ...ids]),
  });
  await controller.open();
});

afterEach(() => {
  controller.close();
  rmSync(directory, { recursive: true });
});

describe('reading', () => {
  it('everything is new at first', async () => {
    const networks = await controller.getActiveNetworksInfo();
    const routers = await controller.syncRouters();
    expect(heard).toEqual([
      ['networksUpdated', ...networks.map(({ id }) => id)],
      ['routersUpdated', ...routers.map(({ id }) => id)],
      ['instancesUpdated'],
    ]);
    expect(await controller.syncRouters([routers[1]!.id])).toEqual([routers[1]]);
    expect(await controller.syncRouters(['nobody'])).toEqual([]);
  });

  it('a wrong or missing file is refused', async () => {
    writeFileSync(file, 'networks: 7');
    await expect(new Controller({ file, host: 'h' }).open()).rejects.toThrow(TopologyError);
    const missing = new Controller({ file: join(directory, 'none.yaml'), host: 'h' });
    await expect(missing.open()).rejects.toThrow("can't be read: ENOENT");
    await expect(missing.syncRouters()).rejects.toThrow('call open() first');
  });

  it('single networks are those of the listing, with all their subnets', async () => {
    const blue = await networkNamed('blue');
    const view = await controller.getNetworkInfo(blue.id);
    expect(view?.subnets).toHaveLength(2);
    expect(await controller.getNetworkInfo(blue.id)).toBe(view);
    expect((await controller.getNetworkInfo((await networkNamed('public')).id))?.subnets).toHaveLength(2);
    expect(await controller.getNetworkInfo('none')).toBeNull();
  });
});

describe('edits', () => {
  it('a comment changes nothing', async () => {
    const before = [
      await controller.syncRouters(),
      await controller.getActiveNetworksInfo(),
      controller.instances(),
    ];
    expect(await edit((old) => `# hello\n${old}`)).toBe(true);
    expect(heard).toEqual([]);
    const after = [
      await controller.syncRouters(),
      await controller.getActiveNetworksInfo(),
      controller.instances(),
    ];
    expect(after[2]).toBe(before[2]);
    for (const [i, list] of [before[0], before[1]].entries()) {
      for (const [j, one] of list!.entries()) expect(after[i]![j]).toBe(one);
    }
  });

  it('one floating IP more leaves every other object the same one', async () => {
    const before = await routerNamed('r-red');
    const blue = await routerNamed('r-blue');
    await edit((old) => old.replace('floating_ips:', '  - {name: db2, network: red}\nfloating_ips:'));
    heard.length = 0;
    await edit((old) => `${old}  - {floating_network: public, instance: db2}\n`);
    const after = await routerNamed('r-red');
    expect(heard).toEqual([
      ['networksUpdated', (await networkNamed('public')).id],
      ['routersUpdated', after.id],
    ]);
    expect(await routerNamed('r-blue')).toBe(blue);
    expect(after).not.toBe(before);
    expect(after.gw_port).toBe(before.gw_port);
    expect(after._interfaces).toBe(before._interfaces);
    expect(after._floatingips).toHaveLength(2);
    expect(after._floatingips![0]).toBe(before._floatingips![0]);
    expect(parseRouter(after)._floatingips[0]).toBe(parseRouter(before)._floatingips[0]);
  });

  it('a changed port leaves the other ports of its network the same', async () => {
    const before = await networkNamed('blue');
    await edit((old) => old.replace('opt_value: x', 'opt_value: y'));
    const after = await networkNamed('blue');
    expect(heard).toEqual([['networksUpdated', after.id]]);
    expect(after.subnets).toBe(before.subnets);
    const changed = after.ports.filter((port) => !before.ports.includes(port));
    expect(changed.map(({ name }) => name)).toEqual(['web']);
  });

  it('removed objects are told as deleted', async () => {
    const [red, router] = [await networkNamed('red'), await routerNamed('r-red')];
    await controller.updateFloatingIpStatuses(router.id, { [router._floatingips![0]!.id]: 'ACTIVE' });
    await edit((old) =>
      old
        .replace(/ {2}- name: red\n(.*\n){3}/, '')
        .replace(/ {2}- name: r-red\n(.*\n){3}/, '')
        .replace(/.*db1.*\n/g, ''),
    );
    expect(heard.map(([name]) => name)).toEqual([
      'networksUpdated',
      'instancesUpdated',
      'routersDeleted',
      'networksDeleted',
    ]);
    expect(heard[2]).toEqual(['routersDeleted', router.id]);
    expect(heard[3]).toEqual(['networksDeleted', red.id]);
    expect(controller.floatingIpStatus(router._floatingips![0]!.id)).toBeUndefined();
  });

  it('an admin-down router counts as deleted', async () => {
    const router = await routerNamed('r-red');
    await edit((old) => old.replace('- name: r-red', '- name: r-red\n    admin_state_up: false'));
    expect(heard).toEqual([['routersDeleted', router.id]]);
  });

  it('a wrong one keeps the last good topology', async () => {
    const before = await controller.syncRouters();
    expect(await edit((old) => old.replace('cidr: 10.0.0.0/24', 'cidr: nonsense'))).toBe(false);
    expect(heard).toEqual([['invalid', 1]]);
    expect(await controller.syncRouters()).toEqual(before);
    rmSync(file);
    expect(await controller.reload()).toBe(false);
    expect(await controller.syncRouters()).toEqual(before);
    writeFileSync(file, text);
    expect(await edit((same) => same)).toBe(true);
    expect(heard).toEqual([]);
  });

  it('are seen when an editor writes or replaces the file', async () => {
    controller.watch();
    const next = () => new Promise<void>((done) => controller.once('instancesUpdated', () => done()));
    let seen = next();
    writeFileSync(file, text.replace('role: web', 'role: front'));
    await seen;
    expect(controller.instances().find(({ name }) => name === 'web1')?.metadata).toEqual({ role: 'front' });
    seen = next();
    writeFileSync(`${file}.new`, text.replace('role: web', 'role: back'));
    renameSync(`${file}.new`, file);
    await seen;
    expect(controller.instances().find(({ name }) => name === 'web1')?.metadata).toEqual({ role: 'back' });
  });
});

describe('instances', () => {
  it('have all that the fabric needs', () => {
    const [internet, web, db] = controller.instances();
    expect(internet).toMatchObject({ namespace: 'vm-internet', configure: 'static' });
    expect(internet?.ports[0]).toMatchObject({
      mtu: 1500,
      fixed_ips: [
        { ip_address: '198.18.0.1', prefixlen: 24, gateway_ip: null, auto: false },
        { ip_address: '2001:db8:e::1', prefixlen: 64, gateway_ip: null, auto: false },
      ],
    });
    expect(web?.ports[0]?.fixed_ips).toMatchObject([
      { ip_address: '10.0.0.50', gateway_ip: '10.0.0.1', ip_version: 4 },
      { ip_version: 6, gateway_ip: 'fd00:0:0:1::1', auto: true },
    ]);
    expect(web).toMatchObject({ user_data: '#!/bin/sh\necho hi', metadata: { role: 'web' } });
    expect(db?.ports[0]).toMatchObject({ mtu: 1400, network_id: controller.networks()[2]?.id });
  });
});

describe('the port of a metadata request', () => {
  const ask = (identity: { router: string } | { network: string }, peer: string) =>
    controller.portOf(identity, peer);

  it('is found on the networks of the router or the network itself', async () => {
    const router = (await routerNamed('r-blue')).id;
    const network = (await networkNamed('blue')).id;
    const web = controller.instances()[1]!;
    const expected = [{ device_id: web.id, project_id: 'demo' }];
    expect(await ask({ router }, '10.0.0.50')).toEqual(expected);
    expect(await ask({ router }, '::ffff:10.0.0.50')).toEqual(expected);
    expect(await ask({ network }, '10.0.0.50')).toEqual(expected);
    expect(await ask({ network }, `${linkLocal(web.ports[0]!.mac_address)}%ns-1`)).toEqual(expected);
    expect(await ask({ network }, web.ports[0]!.fixed_ips[1]!.ip_address)).toEqual(expected);
  });

  it('is not found elsewhere, though the address is the same', async () => {
    const [blue, red] = [await routerNamed('r-blue'), await routerNamed('r-red')];
    expect(await ask({ router: red.id }, '10.0.0.50')).toEqual([]);
    expect(await ask({ router: red.id }, '10.0.0.3')).toEqual([
      { device_id: controller.instances()[2]!.id, project_id: 'demo' },
    ]);
    expect(await ask({ router: blue.id }, '198.18.0.1')).toEqual([]);
    expect(await ask({ router: 'nobody' }, '10.0.0.50')).toEqual([]);
    await expect(ask({ router: blue.id }, '10.0.0.50, 10.0.0.3')).rejects.toThrow(TypeError);
  });
});

describe('statuses of floating IPs', () => {
  it('are kept and change no payload', async () => {
    const router = await routerNamed('r-blue');
    const id = router._floatingips![0]!.id;
    await controller.updateFloatingIpStatuses(router.id, { [id]: 'ACTIVE' });
    expect(controller.floatingIpStatus(id)).toBe('ACTIVE');
    expect(await routerNamed('r-blue')).toBe(router);
  });
});

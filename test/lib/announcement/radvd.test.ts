import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Advertisement,
  type AnnouncedSubnet,
  advertisementOf,
} from '../../../lib/announcement/advertisement.ts';
import { type AnnouncementOptions, announcementShape } from '../../../lib/announcement/options.ts';
import { RADVD_TEMPLATE, radvdConf, radvdRows } from '../../../lib/announcement/radvd.ts';
import { readTemplate } from '../../../lib/daemon/template.ts';
import { fields } from '../../../lib/model/reader.ts';
import { findPackageRoot } from '../../../lib/process/life.ts';

const ID = '5f0c8a7e-0000-4000-8000-000000000001';
const template = readTemplate(findPackageRoot(), RADVD_TEMPLATE);
const read = fields(announcementShape);
const installed = spawnSync('radvd', ['--version']).error === undefined;

const subnet = (n: number, mode: AnnouncedSubnet['ipv6_ra_mode'], dns: string[] = []): AnnouncedSubnet => ({
  cidr: `2001:db8:${n}::/64`,
  ipv6_ra_mode: mode,
  dns_nameservers: dns,
});
const router = (subnets: AnnouncedSubnet[], wish: Partial<Advertisement> = {}): Advertisement => ({
  ...advertisementOf(
    { device: 'qr-5f0c8a7e-00', mtu: 1450, routes: ['fe80::a9fe:a9fe/128'], defaultRouter: true },
    subnets,
  ),
  ...wish,
});
const DNS = ['2001:db8::53', '2001:db8::54'];

const CASES: Record<string, [Advertisement[], Partial<AnnouncementOptions>?]> = {
  slaac: [[router([subnet(1, 'slaac', DNS)])]],
  'dhcpv6-stateless': [[router([subnet(1, 'dhcpv6-stateless', DNS)])]],
  'dhcpv6-stateful': [[router([subnet(1, 'dhcpv6-stateful', DNS)])]],
  'no-ra-mode': [[router([subnet(1, null, DNS)])]],
  'several-modes': [
    [
      router([
        subnet(1, 'slaac', DNS),
        subnet(2, 'dhcpv6-stateless'),
        subnet(3, 'dhcpv6-stateful'),
        subnet(4, null),
      ]),
    ],
  ],
  'several-devices': [
    [
      router([subnet(1, 'slaac')]),
      router([subnet(2, 'dhcpv6-stateful')], { device: 'qr-5f0c8a7e-01', mtu: 9000 }),
      router([subnet(3, null)], { device: 'qr-5f0c8a7e-02', mtu: undefined }),
    ],
  ],
  isolated: [
    [
      router([subnet(1, 'slaac', DNS)], {
        device: 'ns-5f0c8a7e-00',
        routes: [],
        defaultRouter: false,
        source: 'fe80::f816:3eff:fe00:1',
      }),
    ],
  ],
  options: [
    [router([subnet(1, 'slaac')])],
    {
      min_rtr_adv_interval: 3,
      max_rtr_adv_interval: 4,
      adv_default_lifetime: 9000,
      adv_default_preference: 'high',
      adv_valid_lifetime: 4_294_967_295,
      adv_preferred_lifetime: 600,
    },
  ],
};

const confOf = ([advertisements, options]: (typeof CASES)[string]): string =>
  radvdConf(template, `router ${ID}`, advertisements, read(options ?? {}));

describe.each(Object.entries(CASES))('radvd.conf of %s', (name, given) => {
  test('is as known', async () => {
    await expect(confOf(given)).toMatchFileSnapshot(`golden/${name}.radvd.conf`);
  });
});

describe.skipIf(!installed)('the radvd of this machine', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'vdt-radvd-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const check = (name: string, conf: string) => {
    const path = join(directory, `${name}.conf`);
    writeFileSync(path, conf);
    chmodSync(path, 0o444);
    return spawnSync('radvd', ['-c', '-C', path, '-m', 'stderr'], { encoding: 'utf8' });
  };

  test.each(Object.entries(CASES))('accepts the file of %s', (name, given) => {
    const { status, stderr } = check(name, confOf(given));
    expect(stderr).toContain('syntax ok');
    expect(status).toBe(0);
  });

  test('would refuse a wrong one', () => {
    expect(
      check('wrong', confOf(CASES.slaac!).replace('AdvSendAdvert on', 'AdvSendAdvert maybe')).status,
    ).not.toBe(0);
    expect(() => execFileSync('radvd', ['-c', '-C', join(directory, 'absent')], { stdio: 'pipe' })).toThrow();
  });
});

describe('what comes from outside', () => {
  const slaac = router([subnet(1, 'slaac')]);

  test.each([
    { device: 'eth0 {' },
    { device: '' },
    { nameServers: ['2001:db8::1 { }; }; interface x {'] },
    { routes: ['::/0 { }; #'] },
    { source: 'fe80::1; }; route ::/0 {' },
    { prefixes: [{ prefix: '2001:db8::/64 { }; };', autonomous: true }] },
  ])('never becomes a declaration: %o', (wish) => {
    expect(() => confOf([[{ ...slaac, ...wish }]])).toThrow();
  });

  test('is named in the error', () => {
    expect(() => confOf([[{ ...slaac, device: 'a;b' }]])).toThrow(
      'device name "a;b" can\'t stand in radvd.conf',
    );
    expect(() => radvdConf(template, 'x\n}', [slaac], read({}))).toThrow('id "x\\n}"');
  });
});

describe('the rows', () => {
  const place = {
    ns: 'qrouter-x',
    id: ID,
    confPath: `/ra/${ID}.radvd.conf`,
    pidFile: `/pids/${ID}.pid.radvd`,
  };

  test('are a file nobody may write and a process with Neutron’s arguments that reads it again', () => {
    const [conf, radvd] = radvdRows(place, 'text', '');
    expect(conf).toMatchObject({ path: place.confPath, content: 'text', mode: 0o444, reloads: radvd.key });
    expect(radvd).toMatchObject({ service: 'radvd', id: ID, pidFile: place.pidFile, endsBy: 'SIGKILL' });
    expect(radvd.argv.join(' ')).toBe(`radvd -C /ra/${ID}.radvd.conf -p /pids/${ID}.pid.radvd -m syslog`);
  });

  test('name a user that is not root', () => {
    expect(radvdRows(place, '', 'root')[1].argv).not.toContain('-u');
    expect(radvdRows(place, '', 'nobody')[1].argv.slice(-2)).toEqual(['-u', 'nobody']);
  });
});

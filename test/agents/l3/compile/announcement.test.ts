import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileRouter } from '../../../../agents/l3/compile/router.ts';
import { type L3Options, l3Options } from '../../../../agents/l3/options.ts';
import { RADVD_TEMPLATE } from '../../../../lib/announcement/radvd.ts';
import { readTemplate } from '../../../../lib/daemon/template.ts';
import { parseRouter, type Router } from '../../../../lib/model/router.ts';
import type { DaemonRow, FileRow } from '../../../../lib/namespace/rows.ts';
import { findPackageRoot } from '../../../../lib/process/life.ts';
import * as payload from './payload.ts';
import { recordedRouter } from './rendered.ts';

const host = { name: 'net-1', radvd: readTemplate(findPackageRoot(), RADVD_TEMPLATE) };
const installed = spawnSync('radvd', ['--version']).error === undefined;

const compiled = (router: Router, options: Partial<L3Options> = {}) =>
  compileRouter({ router, host, options: l3Options(options) });

function radvdOf(...given: Parameters<typeof compiled>): { conf?: FileRow; radvd?: DaemonRow } {
  const rows = compiled(...given).flat();
  const conf = rows.find((row) => row.kind === 'file');
  const radvd = rows.find((row) => row.kind === 'daemon');
  return { ...(conf && { conf }), ...(radvd && { radvd }) };
}

const port = (mode: string | null, wish: Readonly<Record<string, unknown>> = {}) => ({
  ...payload.portPayload({ ips: ['2001:db8:1::1/64'], subnets: [] }),
  subnets: [{ ...payload.subnetPayload({ cidr: '2001:db8:1::/64' }), ipv6_ra_mode: mode, ...wish }],
});
const routerWith = (...ports: unknown[]) => parseRouter(payload.routerPayload({ _interfaces: ports }));

describe('the recorded dual-stack router of Neutron 21', () => {
  const { conf, radvd } = radvdOf(recordedRouter('dual-stack', 'sync_routers-6'));

  it('is announced as known', async () => {
    await expect(conf?.content).toMatchFileSnapshot('golden/dual-stack-sync_routers-6.radvd.conf');
  });

  it('has file and process where Neutron has them', () => {
    const id = recordedRouter('dual-stack', 'sync_routers-6').id;
    expect(conf).toMatchObject({
      path: `/var/lib/neutron/ra/${id}.radvd.conf`,
      mode: 0o444,
      reloads: radvd?.key,
    });
    expect(radvd?.pidFile).toBe(`/var/lib/neutron/external/pids/${id}.pid.radvd`);
  });

  it.skipIf(!installed)('is accepted by radvd', () => {
    const directory = mkdtempSync(join(tmpdir(), 'vdt-ra-'));
    const path = join(directory, 'radvd.conf');
    writeFileSync(path, conf!.content);
    chmodSync(path, 0o444);
    const { status, stderr } = spawnSync('radvd', ['-c', '-C', path, '-m', 'stderr'], { encoding: 'utf8' });
    rmSync(directory, { recursive: true });
    expect(stderr).toContain('syntax ok');
    expect(status).toBe(0);
  });
});

describe('radvd of a router', () => {
  it('is not wanted without an IPv6 subnet, without IPv6 on the host, or without devices', () => {
    expect(radvdOf(routerWith(payload.internalPayload()))).toEqual({});
    expect(radvdOf(routerWith(port('slaac')), { wiring: 'null' }).radvd).toBeUndefined();
    const rows = compileRouter({
      router: routerWith(port('slaac')),
      host: { name: 'net-1' },
      options: l3Options(),
    }).flat();
    expect(rows.filter(({ kind }) => kind === 'daemon' || kind === 'file')).toEqual([]);
  });

  it('is the same group again when something else changed', () => {
    const ports = [port('slaac')];
    const one = payload.routerPayload({ _interfaces: ports });
    const groupOf = (given: object) =>
      compiled(parseRouter(given)).find((group) => group.some(({ kind }) => kind === 'daemon'));
    const other = { ...structuredClone(one), routes: [{ destination: '10.9.0.0/24', nexthop: '10.0.0.9' }] };
    expect(groupOf(one)).toBeDefined();
    expect(groupOf(other)).toBe(groupOf(one));
  });

  it('is announced the same in whatever order the server names ports and subnets', () => {
    const ports = [port('slaac'), port('dhcpv6-stateful')];
    const more = {
      ...payload.subnetPayload({ cidr: '2001:db8:2::/64' }),
      ipv6_ra_mode: 'slaac',
      dns_nameservers: ['2001:db8::53'],
    };
    const first = { ...ports[0]!, subnets: [...ports[0]!.subnets, more] };
    const one = payload.routerPayload({ _interfaces: [first, ports[1]!] });
    const other = { ...one, _interfaces: [ports[1]!, { ...first, subnets: first.subnets.toReversed() }] };
    expect(radvdOf(parseRouter(other)).conf?.content).toBe(radvdOf(parseRouter(one)).conf?.content);
  });

  it('takes options and paths from the configuration', () => {
    const { conf, radvd } = radvdOf(routerWith(port('slaac')), {
      ra_confs: '/ra/',
      external_pids: '/pids',
      radvd_user: 'nobody',
      min_rtr_adv_interval: 10,
      max_rtr_adv_interval: 20,
    });
    expect(conf?.content).toMatch(/MinRtrAdvInterval 10;\s+MaxRtrAdvInterval 20;\s+AdvDefaultLifetime 60;/);
    expect(radvd?.argv.slice(0, 2)).toEqual(['radvd', '-C']);
    expect(radvd?.argv[2]).toMatch(/^\/ra\/[0-9a-f-]{36}\.radvd\.conf$/);
    expect(radvd?.argv[4]).toMatch(/^\/pids\/[0-9a-f-]{36}\.pid\.radvd$/);
    expect(radvd?.argv.slice(-2)).toEqual(['-u', 'nobody']);
  });

  it.each([
    { cidr: '2001:db8::/64 { }; };' },
    { dns_nameservers: ['2001:db8::1 {};'] },
    { ipv6_ra_mode: 'slaac; prefix ::/0' },
  ])('is not made of a payload that is not what it should be: %o', (wish) => {
    expect(() => routerWith(port('slaac', wish))).toThrow(/^router /);
  });
});

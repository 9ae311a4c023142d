import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readNamespace } from '../../lib/namespace/read.ts';
import * as rows from '../../lib/namespace/rows.ts';
import {
  BRIDGE,
  FIP,
  ip,
  lines,
  loopback,
  openSteps,
  pair,
  RFP,
  ROUTER,
  RowRig,
  SNAT,
  vdtNamespaces,
} from './row-rig.ts';

const HA = 'ha-0a0b0c0d-0e';
const QR = 'qr-0a0b0c0d-0e';

describe('devices and namespaces as HA and DVR need them', () => {
  let rig: RowRig;
  beforeEach(() => {
    rig = new RowRig();
  });
  afterEach(() => rig.close());

  test('a veth pair joins two namespaces, and packets pass', async () => {
    await rig.build('r', pair);
    await rig.expectConverged({ r: [pair] });
    expect(
      execFileSync('ip', ['netns', 'exec', ROUTER, 'ping', '-c1', '-W2', '169.254.31.29'], {
        encoding: 'utf8',
      }),
    ).toContain('1 received');
    expect(ip(ROUTER, 'link', 'show', RFP)).toContain('mtu 1450');
    await rig.remove('r');
    expect(vdtNamespaces()).toEqual([]);
  });

  test('a veth pair of which the other end alone was renamed is made anew', async () => {
    await rig.build('r', pair);
    ip(ROUTER, 'link', 'set', RFP, 'down');
    ip(ROUTER, 'link', 'set', RFP, 'name', 'elsewhere');
    await rig.restart();
    await rig.build('r', pair);
    expect(openSteps(rig.reconciler, 'r')).toEqual([]);
    expect(ip(ROUTER, '-br', 'link')).not.toContain('elsewhere');
  });

  test('checksums are computed on devices of which the check alone has no switch, too', async () => {
    const bridge = rows.link({ ns: ROUTER, name: BRIDGE, type: 'bridge' });
    const group: rows.RowGroup = [rows.netns(ROUTER), { ...bridge, checksumOffload: false }];
    await rig.build('r', group);
    await rig.expectConverged({ r: [group] });
    await rig.remove('r');
  });

  test('what keepalived keeps is neither made nor removed nor drift', async () => {
    const device: rows.RowGroup = [
      rows.netns(ROUTER),
      rows.link({ ns: ROUTER, name: `${HA}p`, type: 'veth' }),
      rows.link({ ns: ROUTER, name: HA, type: 'veth', peer: { ns: ROUTER, name: `${HA}p` } }),
      rows.address({ ns: ROUTER, dev: HA, ip: '169.254.192.1', prefix: 18, family: 4 }),
    ];
    const vips: rows.RowGroup = [
      rows.address({ ns: ROUTER, dev: HA, ip: '169.254.0.1', prefix: 24, family: 4, keeper: 'keepalived' }),
      rows.address({ ns: ROUTER, dev: HA, ip: '10.0.0.1', prefix: 24, family: 4, keeper: 'keepalived' }),
      rows.route({
        ns: ROUTER,
        family: 4,
        destination: '0.0.0.0/0',
        nexthops: [{ via: '10.0.0.254', dev: HA, weight: 1 }],
        keeper: 'keepalived',
      }),
    ];
    await rig.build('r', device, vips);
    expect(ip(ROUTER, 'address', 'show', 'dev', HA)).not.toContain('10.0.0.1');
    await rig.expectConverged({ r: [device, vips] });
    // As keepalived does when this node becomes the active one.
    ip(ROUTER, 'address', 'add', '169.254.0.1/24', 'dev', HA, 'scope', 'link');
    ip(ROUTER, 'address', 'add', '10.0.0.1/24', 'dev', HA);
    ip(ROUTER, 'route', 'add', 'default', 'via', '10.0.0.254', 'dev', HA, 'proto', 'static');
    await rig.restart();
    await rig.build('r', device, vips);
    await rig.expectConverged({ r: [device, vips] });
    expect(ip(ROUTER, 'address', 'show', 'dev', HA)).toMatch(/169\.254\.0\.1\/24[\s\S]*10\.0\.0\.1\/24/);
    expect(ip(ROUTER, 'route', 'show', 'default')).toContain('via 10.0.0.254');
    await rig.remove('r');
    expect(vdtNamespaces()).toEqual([]);
  });

  test('two owners share a namespace: what one leaves behind is not missing to the other', async () => {
    const shared: rows.RowGroup = [rows.netns(FIP), loopback(FIP)];
    const own = (n: number): rows.RowGroup => {
      const device = `fpr-0a0b0c0d-${n}`;
      const ns = n === 1 ? ROUTER : SNAT;
      return [
        rows.netns(ns),
        rows.link({ ns: FIP, name: device, type: 'veth' }),
        rows.link({ ns, name: `rfp-0a0b0c0d-${n}`, type: 'veth', peer: { ns: FIP, name: device } }),
        rows.address({ ns: FIP, dev: device, ip: `169.254.31.${n * 2}`, prefix: 31, family: 4 }),
        rows.route({
          ns: FIP,
          family: 4,
          destination: `203.0.113.${n}/32`,
          nexthops: [{ dev: device, weight: 1 }],
          scope: 'link',
        }),
        rows.rule({ ns: FIP, family: 4, priority: 50_000 + n, table: n }),
      ];
    };
    await rig.build('r1', shared, own(1));
    await rig.build('r2', shared, own(2));
    await rig.expectConverged({ r1: [shared, own(1)], r2: [shared, own(2)] });
    await rig.remove('r1');
    await rig.expectConverged({ r2: [shared, own(2)] });
    expect(ip(FIP, '-br', 'link')).not.toContain('fpr-0a0b0c0d-1');
    expect(lines(ip(FIP, 'route', 'show', 'proto', 'static'))).toEqual([
      '203.0.113.2 dev fpr-0a0b0c0d-2 scope link',
    ]);
    expect(ip(FIP, 'rule', 'show')).not.toContain('50001:');
    expect(vdtNamespaces()).toEqual([FIP, SNAT].sort());
    await rig.remove('r2');
    expect(vdtNamespaces()).toEqual([]);
  });

  test.each([1200, 1280, 9000])('devices and bridges work with an MTU of %d', async (mtu) => {
    const plugged = (size: number): rows.RowGroup => [
      rows.netns(ROUTER),
      rows.link({ ns: '', name: BRIDGE, type: 'bridge', addrGenMode: 'none' }),
      rows.link({ ns: '', name: 'tapvdtrows', type: 'veth', mtu: size, master: BRIDGE, addrGenMode: 'none' }),
      rows.link({ ns: ROUTER, name: QR, type: 'veth', mtu: size, peer: { ns: '', name: 'tapvdtrows' } }),
      rows.sysctl({ ns: ROUTER, name: `net/ipv6/conf/${QR}/accept_ra`, value: '0', optional: true }),
    ];
    await rig.build('r', plugged(mtu));
    await rig.expectConverged({ r: [plugged(mtu)] });
    await rig.build('r', plugged(1500));
    // A bridge gets IPv6 back, with the kernel's defaults, when its last small port has grown.
    rig.reconciler.delta.setActual('', readNamespace('', rig.reconciler.delta.desiredIn('')));
    await rig.build('r', plugged(1500));
    await rig.expectConverged({ r: [plugged(1500)] });
    await rig.build('r', plugged(mtu));
    await rig.expectConverged({ r: [plugged(mtu)] });
    await rig.remove('r');
    expect(execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' })).not.toMatch(/vdtrows|vdt-rows/);
  });

  test('a bridge that another process made meanwhile is taken as it is', async () => {
    const bridge = [rows.link({ ns: '', name: BRIDGE, type: 'bridge', addrGenMode: 'none' })];
    await rig.build('r', [rows.link({ ns: '', name: 'lo', type: 'loopback' })]);
    execFileSync('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
    await rig.build('r', bridge);
    await rig.expectConverged({ r: [bridge] });
    await rig.remove('r');
    expect(execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' })).not.toContain(BRIDGE);
  });

  test('a failing row is named with its namespace and the words of the kernel, and the rest is built', async () => {
    const bad = rows.route({
      ns: ROUTER,
      family: 4,
      destination: '198.51.100.0/24',
      nexthops: [{ via: '192.0.2.99', dev: RFP, weight: 1 }],
    });
    const good = rows.route({
      ns: ROUTER,
      family: 4,
      destination: '192.0.2.0/24',
      nexthops: [{ via: '169.254.31.29', dev: RFP, weight: 1 }],
    });
    rig.reconciler.setDesired('r', [pair, [bad, good]]);
    expect((await rig.reconciler.reconcile('r')).failures).toEqual([
      { ns: ROUTER, key: bad.key, message: 'Nexthop has invalid gateway (network is unreachable)' },
    ]);
    expect(openSteps(rig.reconciler, 'r')).toEqual([`create ${bad.key}: missing`]);
    expect(ip(ROUTER, 'route', 'show', 'proto', 'static')).toContain('192.0.2.0/24 via');
  });
});

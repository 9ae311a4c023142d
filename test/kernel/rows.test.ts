import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deleteNamespace, listNamespaces } from '../../lib/kernel/netns.ts';
import { readNamespace } from '../../lib/namespace/read.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import * as rows from '../../lib/namespace/rows.ts';

/** Rows that high availability and DVR are made of, one kind at a time, in namespaces with their names. */
const FIP = 'fip-vdt-rows';
const ROUTER = 'qrouter-vdt-rows';
const SNAT = 'snat-vdt-rows';
const FPR = 'fpr-0a0b0c0d-e';
const RFP = 'rfp-0a0b0c0d-e';
const HA = 'ha-0a0b0c0d-0e';
const QR = 'qr-0a0b0c0d-0e';
const BRIDGE = 'brq-vdt-rows';

const ip = (ns: string, ...args: string[]): string =>
  execFileSync('ip', ['-n', ns, ...args], { encoding: 'utf8', stdio: 'pipe' });
const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();

const loopback = (ns: string) => rows.link({ ns, name: 'lo', type: 'loopback' });
const pair: rows.RowGroup = [
  rows.netns(ROUTER),
  rows.netns(FIP),
  loopback(ROUTER),
  loopback(FIP),
  rows.link({ ns: FIP, name: FPR, type: 'veth', mtu: 1450, mac: 'fa:16:3e:00:00:02' }),
  rows.link({
    ns: ROUTER,
    name: RFP,
    type: 'veth',
    mtu: 1450,
    mac: 'fa:16:3e:00:00:01',
    peer: { ns: FIP, name: FPR },
  }),
  rows.address({ ns: ROUTER, dev: RFP, ip: '169.254.31.28', prefix: 31, family: 4 }),
  rows.address({ ns: FIP, dev: FPR, ip: '169.254.31.29', prefix: 31, family: 4 }),
];

describe('rows in real namespaces', () => {
  let reconciler: Reconciler;

  const namespaces = () => listNamespaces().filter((name) => name.includes('vdt-rows'));
  const open = (one: Reconciler, owner: string) =>
    one.plan(owner).map((step) => `${step.action} ${step.row.key}: ${step.reason}`);

  async function build(owner: string, ...groups: rows.RowGroup[]): Promise<void> {
    reconciler.setDesired(owner, groups);
    expect((await reconciler.reconcile(owner)).failures).toEqual([]);
  }

  /** Nothing is left to do: for this process, and for one that knows nothing but what is wanted. */
  async function expectConverged(owners: Record<string, readonly rows.RowGroup[]>): Promise<void> {
    const newcomer = new Reconciler();
    for (const [owner, groups] of Object.entries(owners)) newcomer.setDesired(owner, structuredClone(groups));
    for (const owner of Object.keys(owners)) {
      expect(open(reconciler, owner)).toEqual([]);
      expect(open(newcomer, owner)).toEqual([]);
    }
    await newcomer.close();
  }

  async function remove(owner: string): Promise<void> {
    reconciler.removeOwner(owner);
    expect((await reconciler.reconcile(owner)).failures).toEqual([]);
  }

  /** Apply, read back, nothing left to do, then without them again, and everything gone. */
  async function roundTrip(extra: rows.RowGroup, shown: () => void): Promise<void> {
    await build('r', pair, extra);
    shown();
    await expectConverged({ r: [pair, extra] });
    await build('r', pair);
    await expectConverged({ r: [pair] });
    expect(shown).toThrow();
    await build('r', pair, extra);
    shown();
    await remove('r');
    expect(namespaces()).toEqual([]);
  }

  beforeEach(() => {
    for (const name of namespaces()) deleteNamespace(name);
    reconciler = new Reconciler({ announce: false });
  });

  afterEach(async () => {
    await reconciler.close();
    for (const name of namespaces()) deleteNamespace(name);
    try {
      execFileSync('ip', ['link', 'del', BRIDGE], { stdio: 'pipe' });
    } catch {
      // it is only there when a test failed
    }
  });

  test('a veth pair joins two namespaces, and packets pass', async () => {
    await build('r', pair);
    await expectConverged({ r: [pair] });
    expect(
      execFileSync('ip', ['netns', 'exec', ROUTER, 'ping', '-c1', '-W2', '169.254.31.29'], {
        encoding: 'utf8',
      }),
    ).toContain('1 received');
    expect(ip(ROUTER, 'link', 'show', RFP)).toContain('mtu 1450');
    await remove('r');
    expect(namespaces()).toEqual([]);
  });

  test('a veth pair of which the other end alone was renamed is made anew', async () => {
    await build('r', pair);
    ip(ROUTER, 'link', 'set', RFP, 'down');
    ip(ROUTER, 'link', 'set', RFP, 'name', 'elsewhere');
    await reconciler.close();
    reconciler = new Reconciler({ announce: false });
    await build('r', pair);
    expect(open(reconciler, 'r')).toEqual([]);
    expect(ip(ROUTER, '-br', 'link')).not.toContain('elsewhere');
  });

  test('routes stand in several tables, on-link and with a source, and go', async () => {
    const extra = [
      rows.route({
        ns: ROUTER,
        family: 4,
        table: 16,
        destination: '0.0.0.0/0',
        nexthops: [{ via: '169.254.31.29', dev: RFP, weight: 1 }],
      }),
      rows.route({
        ns: ROUTER,
        family: 4,
        table: 70_000,
        destination: '0.0.0.0/0',
        nexthops: [{ via: '169.254.31.29', dev: RFP, weight: 1 }],
      }),
      rows.route({
        ns: FIP,
        family: 4,
        destination: '203.0.113.7/32',
        nexthops: [{ via: '169.254.31.28', dev: FPR, weight: 1 }],
      }),
      rows.route({
        ns: FIP,
        family: 4,
        destination: '203.0.113.0/24',
        scope: 'link',
        nexthops: [{ dev: FPR, weight: 1 }],
      }),
      rows.route({
        ns: FIP,
        family: 4,
        destination: '198.51.100.0/24',
        onlink: true,
        nexthops: [{ via: '192.0.2.99', dev: FPR, weight: 1 }],
      }),
      rows.route({
        ns: FIP,
        family: 4,
        destination: '198.51.100.0/24',
        metric: 50,
        source: '169.254.31.29',
        nexthops: [{ dev: FPR, weight: 1 }],
        scope: 'link',
      }),
    ];
    await roundTrip(extra, () => {
      expect(lines(ip(ROUTER, 'route', 'show', 'table', '16'))).toEqual([
        `default via 169.254.31.29 dev ${RFP} proto static`,
      ]);
      expect(lines(ip(ROUTER, 'route', 'show', 'table', '70000'))).toEqual([
        `default via 169.254.31.29 dev ${RFP} proto static`,
      ]);
      expect(lines(ip(FIP, 'route', 'show', 'proto', 'static'))).toEqual([
        `198.51.100.0/24 dev ${FPR} scope link src 169.254.31.29 metric 50`,
        `198.51.100.0/24 via 192.0.2.99 dev ${FPR} onlink`,
        `203.0.113.0/24 dev ${FPR} scope link`,
        `203.0.113.7 via 169.254.31.28 dev ${FPR}`,
      ]);
    });
  });

  test('multipath routes have weights, change by one next hop, and become plain again', async () => {
    const hop = (last: number, weight = 1) => ({ via: `10.9.0.${last}`, weight });
    const multi = (...nexthops: rows.Nexthop[]) => [
      rows.address({ ns: ROUTER, dev: RFP, ip: '10.9.0.1', prefix: 24, family: 4 }),
      rows.route({ ns: ROUTER, family: 4, destination: '198.51.100.0/24', nexthops }),
    ];
    const shown = () =>
      lines(ip(ROUTER, 'route', 'show', '198.51.100.0/24').replace(/\s+nexthop/g, ' nexthop')).map((line) =>
        line.replaceAll(` dev ${RFP}`, ''),
      );
    await build('r', pair, multi(hop(2), hop(3, 7)));
    expect(shown()).toEqual([
      '198.51.100.0/24 proto static nexthop via 10.9.0.2 weight 1 nexthop via 10.9.0.3 weight 7',
    ]);
    await expectConverged({ r: [pair, multi(hop(3, 7), hop(2))] });
    await build('r', pair, multi(hop(2), hop(4, 7)));
    expect(shown()).toEqual([
      '198.51.100.0/24 proto static nexthop via 10.9.0.2 weight 1 nexthop via 10.9.0.4 weight 7',
    ]);
    await build('r', pair, multi(hop(4)));
    expect(shown()).toEqual(['198.51.100.0/24 via 10.9.0.4 proto static']);
    await expectConverged({ r: [pair, multi(hop(4))] });
    await build('r', pair);
    expect(shown()).toEqual([]);
  });

  test('IPv6 routes do the same, with and without a metric of their own', async () => {
    const hop = (last: number) => ({ via: `fd09::${last}`, weight: 1 });
    const six = (metric: number, ...nexthops: rows.Nexthop[]) => [
      rows.address({ ns: ROUTER, dev: RFP, ip: 'fd09::1', prefix: 64, family: 6, nodad: true }),
      rows.route({ ns: ROUTER, family: 6, destination: '2001:db8::/32', metric, nexthops }),
    ];
    const shown = () =>
      ip(ROUTER, '-6', 'route', 'show', '2001:db8::/32')
        .match(/via \S+|metric \d+/g)
        ?.sort();
    for (const [metric, hops, text] of [
      [0, [hop(2), hop(3)], ['metric 1024', 'via fd09::2', 'via fd09::3']],
      [0, [hop(3), hop(4)], ['metric 1024', 'via fd09::3', 'via fd09::4']],
      [0, [hop(5)], ['metric 1024', 'via fd09::5']],
      [7, [hop(5)], ['metric 7', 'via fd09::5']],
      [1024, [hop(6)], ['metric 1024', 'via fd09::6']],
    ] as const) {
      await build('r', pair, six(metric, ...hops));
      expect(shown()).toEqual(text);
      await expectConverged({ r: [pair, six(metric, ...hops)] });
    }
    await build('r', pair);
    expect(shown()).toBeUndefined();
  });

  test('rules have priorities, selectors and tables, also several of one priority', async () => {
    const rule = (part: Omit<Parameters<typeof rows.rule>[0], 'ns' | 'family'>) =>
      rows.rule({ ns: ROUTER, family: 4, ...part });
    const extra = [
      rule({ priority: 57_481, from: '10.0.0.5', table: 16 }),
      rule({ priority: 57_482, from: '10.0.0.0/24', table: 16 }),
      rule({ priority: 57_482, from: '10.0.0.0/24', iif: RFP, table: 17 }),
      rule({ priority: 57_482, table: 18 }),
      rule({ priority: 80_000, iif: RFP, table: 70_000 }),
      rule({
        priority: 90_000,
        to: '192.0.2.0/24',
        fwmark: { value: 0x4000000, mask: 0xffff0000 },
        table: 16,
      }),
      rows.rule({ ns: ROUTER, family: 6, priority: 60_000, from: 'fd00::/64', table: 16 }),
    ];
    await roundTrip(extra, () => {
      expect(lines(ip(ROUTER, 'rule', 'show'))).toEqual(
        [
          '0:	from all lookup local',
          '32766:	from all lookup main',
          '32767:	from all lookup default',
          '57481:	from 10.0.0.5 lookup 16',
          '57482:	from 10.0.0.0/24 lookup 16',
          `57482:	from 10.0.0.0/24 iif ${RFP} lookup 17`,
          '57482:	from all lookup 18',
          `80000:	from all iif ${RFP} lookup 70000`,
          '90000:	from all to 192.0.2.0/24 fwmark 0x4000000/0xffff0000 lookup 16',
        ].sort(),
      );
      expect(ip(ROUTER, '-6', 'rule', 'show')).toContain('60000:	from fd00::/64 lookup 16');
    });
  });

  test('one of several rules of one priority can go or change, and the others stay', async () => {
    const narrow = (table: number) =>
      rows.rule({ ns: ROUTER, family: 4, priority: 50_000, from: '10.0.0.0/24', iif: RFP, table });
    const wide = (table: number) => rows.rule({ ns: ROUTER, family: 4, priority: 50_000, table });
    const shown = () => lines(ip(ROUTER, 'rule', 'show', 'priority', '50000'));
    const texts = {
      narrow: `50000:	from 10.0.0.0/24 iif ${RFP} lookup 16`,
      wide: '50000:	from all lookup 17',
    };
    await build('r', pair, [narrow(16), wide(17)]);
    await build('r', pair, [narrow(16)]);
    expect(shown()).toEqual([texts.narrow]);
    await build('r', pair, [narrow(16), wide(19)]);
    await build('r', pair, [narrow(16), wide(17)]);
    expect(shown()).toEqual([texts.narrow, texts.wide].sort());
    await build('r', pair, [wide(17)]);
    expect(shown()).toEqual([texts.wide]);
    await expectConverged({ r: [pair, [wide(17)]] });
  });

  test('neighbours are permanent, or proxied, of both families', async () => {
    const extra = [
      rows.neighbour({ ns: ROUTER, dev: RFP, ip: '10.0.0.9', family: 4, mac: 'fa:16:3e:00:00:09' }),
      rows.neighbour({ ns: ROUTER, dev: RFP, ip: 'fd00::9', family: 6, mac: 'fa:16:3e:00:00:09' }),
      rows.neighbour({ ns: FIP, dev: FPR, ip: '203.0.113.7', family: 4, proxy: true }),
      rows.neighbour({ ns: FIP, dev: FPR, ip: '2001:db8::7', family: 6, proxy: true }),
    ];
    await roundTrip(extra, () => {
      expect(lines(ip(ROUTER, 'neighbour', 'show', 'nud', 'permanent'))).toEqual([
        `10.0.0.9 dev ${RFP} lladdr fa:16:3e:00:00:09 PERMANENT`,
        `fd00::9 dev ${RFP} lladdr fa:16:3e:00:00:09 PERMANENT`,
      ]);
      expect(lines(ip(FIP, '-4', 'neighbour', 'show', 'proxy'))).toEqual([`203.0.113.7 dev ${FPR} proxy`]);
      expect(lines(ip(FIP, '-6', 'neighbour', 'show', 'proxy'))).toEqual([`2001:db8::7 dev ${FPR} proxy`]);
    });
  });

  test('a neighbour whose MAC somebody changed is put right', async () => {
    const extra = [
      rows.neighbour({ ns: ROUTER, dev: RFP, ip: '10.0.0.9', family: 4, mac: 'fa:16:3e:00:00:09' }),
    ];
    await build('r', pair, extra);
    ip(
      ROUTER,
      'neighbour',
      'replace',
      '10.0.0.9',
      'lladdr',
      'fa:16:3e:00:00:66',
      'dev',
      RFP,
      'nud',
      'permanent',
    );
    await reconciler.close();
    reconciler = new Reconciler({ announce: false });
    await build('r', pair, extra);
    expect(ip(ROUTER, 'neighbour', 'show')).toContain('lladdr fa:16:3e:00:00:09 PERMANENT');
  });

  test('addresses have scope and flags, and another scope is put right', async () => {
    const address = (part: Partial<rows.AddressRow>) =>
      rows.address({ ns: ROUTER, dev: RFP, ip: '169.254.192.1', prefix: 18, family: 4, ...part });
    const extra = [
      address({ scope: 'link' }),
      address({ ip: '10.0.0.1', prefix: 24, broadcast: true }),
      address({ ip: 'fd00::1', prefix: 64, family: 6, nodad: true }),
      address({ ip: 'fe80::a9fe:a9fe', prefix: 64, family: 6, nodad: true, scope: 'link' }),
    ];
    await roundTrip(extra, () => {
      const text = ip(ROUTER, 'address', 'show', 'dev', RFP);
      expect(text).toContain(`inet 169.254.192.1/18 scope link ${RFP}`);
      expect(text).toContain(`inet 10.0.0.1/24 brd 10.0.0.255 scope global ${RFP}`);
      expect(text).toMatch(/inet6 fd00::1\/64 scope global nodad/);
      expect(text).toMatch(/inet6 fe80::a9fe:a9fe\/64 scope link nodad/);
    });
    await build('r', pair, extra);
    ip(ROUTER, 'address', 'del', '169.254.192.1/18', 'dev', RFP);
    ip(ROUTER, 'address', 'add', '169.254.192.1/18', 'dev', RFP);
    await reconciler.close();
    reconciler = new Reconciler({ announce: false });
    await build('r', pair, extra);
    expect(ip(ROUTER, 'address', 'show', 'dev', RFP)).toContain('inet 169.254.192.1/18 scope link');
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
    await build('r', device, vips);
    expect(ip(ROUTER, 'address', 'show', 'dev', HA)).not.toContain('10.0.0.1');
    await expectConverged({ r: [device, vips] });
    // As keepalived does when this node becomes the active one.
    ip(ROUTER, 'address', 'add', '169.254.0.1/24', 'dev', HA, 'scope', 'link');
    ip(ROUTER, 'address', 'add', '10.0.0.1/24', 'dev', HA);
    ip(ROUTER, 'route', 'add', 'default', 'via', '10.0.0.254', 'dev', HA, 'proto', 'static');
    await reconciler.close();
    reconciler = new Reconciler({ announce: false });
    await build('r', device, vips);
    await expectConverged({ r: [device, vips] });
    expect(ip(ROUTER, 'address', 'show', 'dev', HA)).toMatch(/169\.254\.0\.1\/24[\s\S]*10\.0\.0\.1\/24/);
    expect(ip(ROUTER, 'route', 'show', 'default')).toContain('via 10.0.0.254');
    await remove('r');
    expect(namespaces()).toEqual([]);
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
    await build('r1', shared, own(1));
    await build('r2', shared, own(2));
    await expectConverged({ r1: [shared, own(1)], r2: [shared, own(2)] });
    await remove('r1');
    await expectConverged({ r2: [shared, own(2)] });
    expect(ip(FIP, '-br', 'link')).not.toContain('fpr-0a0b0c0d-1');
    expect(lines(ip(FIP, 'route', 'show', 'proto', 'static'))).toEqual([
      '203.0.113.2 dev fpr-0a0b0c0d-2 scope link',
    ]);
    expect(ip(FIP, 'rule', 'show')).not.toContain('50001:');
    expect(namespaces()).toEqual([FIP, SNAT].sort());
    await remove('r2');
    expect(namespaces()).toEqual([]);
  });

  test.each([1200, 1280, 9000])('devices and bridges work with an MTU of %d', async (mtu) => {
    const plugged = (size: number): rows.RowGroup => [
      rows.netns(ROUTER),
      rows.link({ ns: '', name: BRIDGE, type: 'bridge', addrGenMode: 'none' }),
      rows.link({ ns: '', name: 'tapvdtrows', type: 'veth', mtu: size, master: BRIDGE, addrGenMode: 'none' }),
      rows.link({ ns: ROUTER, name: QR, type: 'veth', mtu: size, peer: { ns: '', name: 'tapvdtrows' } }),
      rows.sysctl({ ns: ROUTER, name: `net/ipv6/conf/${QR}/accept_ra`, value: '0', optional: true }),
    ];
    await build('r', plugged(mtu));
    await expectConverged({ r: [plugged(mtu)] });
    await build('r', plugged(1500));
    // A bridge gets IPv6 back, with the kernel's defaults, when its last small port has grown.
    reconciler.delta.setActual('', readNamespace('', reconciler.delta.desiredIn('')));
    await build('r', plugged(1500));
    await expectConverged({ r: [plugged(1500)] });
    await build('r', plugged(mtu));
    await expectConverged({ r: [plugged(mtu)] });
    await remove('r');
    expect(execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' })).not.toMatch(/vdtrows|vdt-rows/);
  });

  test('a bridge that another process made meanwhile is taken as it is', async () => {
    const bridge = [rows.link({ ns: '', name: BRIDGE, type: 'bridge', addrGenMode: 'none' })];
    await build('r', [rows.link({ ns: '', name: 'lo', type: 'loopback' })]);
    execFileSync('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
    await build('r', bridge);
    await expectConverged({ r: [bridge] });
    await remove('r');
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
    reconciler.setDesired('r', [pair, [bad, good]]);
    expect((await reconciler.reconcile('r')).failures).toEqual([
      { ns: ROUTER, key: bad.key, message: 'Nexthop has invalid gateway (network is unreachable)' },
    ]);
    expect(open(reconciler, 'r')).toEqual([`create ${bad.key}: missing`]);
    expect(ip(ROUTER, 'route', 'show', 'proto', 'static')).toContain('192.0.2.0/24 via');
  });
});

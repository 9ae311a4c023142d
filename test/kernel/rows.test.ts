import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as rows from '../../lib/namespace/rows.ts';
import { FIP, FPR, ip, lines, pair, RFP, ROUTER, RowRig } from './row-rig.ts';

describe('routes, rules, neighbours and addresses as HA and DVR need them', () => {
  let rig: RowRig;
  beforeEach(() => {
    rig = new RowRig();
  });
  afterEach(() => rig.close());

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
    await rig.roundTrip(extra, () => {
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
    await rig.build('r', pair, multi(hop(2), hop(3, 7)));
    expect(shown()).toEqual([
      '198.51.100.0/24 proto static nexthop via 10.9.0.2 weight 1 nexthop via 10.9.0.3 weight 7',
    ]);
    await rig.expectConverged({ r: [pair, multi(hop(3, 7), hop(2))] });
    await rig.build('r', pair, multi(hop(2), hop(4, 7)));
    expect(shown()).toEqual([
      '198.51.100.0/24 proto static nexthop via 10.9.0.2 weight 1 nexthop via 10.9.0.4 weight 7',
    ]);
    await rig.build('r', pair, multi(hop(4)));
    expect(shown()).toEqual(['198.51.100.0/24 via 10.9.0.4 proto static']);
    await rig.expectConverged({ r: [pair, multi(hop(4))] });
    await rig.build('r', pair);
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
      await rig.build('r', pair, six(metric, ...hops));
      expect(shown()).toEqual(text);
      await rig.expectConverged({ r: [pair, six(metric, ...hops)] });
    }
    await rig.build('r', pair);
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
    await rig.roundTrip(extra, () => {
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
    await rig.build('r', pair, [narrow(16), wide(17)]);
    await rig.build('r', pair, [narrow(16)]);
    expect(shown()).toEqual([texts.narrow]);
    await rig.build('r', pair, [narrow(16), wide(19)]);
    await rig.build('r', pair, [narrow(16), wide(17)]);
    expect(shown()).toEqual([texts.narrow, texts.wide].sort());
    await rig.build('r', pair, [wide(17)]);
    expect(shown()).toEqual([texts.wide]);
    await rig.expectConverged({ r: [pair, [wide(17)]] });
  });

  test('neighbours are permanent, or proxied, of both families', async () => {
    const extra = [
      rows.neighbour({ ns: ROUTER, dev: RFP, ip: '10.0.0.9', family: 4, mac: 'fa:16:3e:00:00:09' }),
      rows.neighbour({ ns: ROUTER, dev: RFP, ip: 'fd00::9', family: 6, mac: 'fa:16:3e:00:00:09' }),
      rows.neighbour({ ns: FIP, dev: FPR, ip: '203.0.113.7', family: 4, proxy: true }),
      rows.neighbour({ ns: FIP, dev: FPR, ip: '2001:db8::7', family: 6, proxy: true }),
    ];
    await rig.roundTrip(extra, () => {
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
    await rig.build('r', pair, extra);
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
    await rig.restart();
    await rig.build('r', pair, extra);
    expect(ip(ROUTER, 'neighbour', 'show')).toContain('lladdr fa:16:3e:00:00:09 PERMANENT');
  });

  test('addresses have scope and flags, and another scope is put right', async () => {
    const address = (part: Partial<rows.AddressRow>) =>
      rows.address({ ns: ROUTER, dev: RFP, ip: '169.254.192.1', prefix: 18, family: 4, ...part });
    const extra = [
      address({ scope: 'link' }),
      address({ ip: '10.0.0.1', prefix: 24, broadcast: true }),
      address({ ip: 'fd00::1', prefix: 64, family: 6, nodad: true }),
      address({ ip: 'fe80::a9fe:a9fe', prefix: 128, family: 6, nodad: true, scope: 'link' }),
    ];
    await rig.roundTrip(extra, () => {
      const text = ip(ROUTER, 'address', 'show', 'dev', RFP);
      expect(text).toContain(`inet 169.254.192.1/18 scope link ${RFP}`);
      expect(text).toContain(`inet 10.0.0.1/24 brd 10.0.0.255 scope global ${RFP}`);
      expect(text).toMatch(/inet6 fd00::1\/64 scope global nodad/);
      expect(text).toMatch(/inet6 fe80::a9fe:a9fe\/128 scope link nodad/);
    });
    await rig.build('r', pair, extra);
    ip(ROUTER, 'address', 'del', '169.254.192.1/18', 'dev', RFP);
    ip(ROUTER, 'address', 'add', '169.254.192.1/18', 'dev', RFP);
    await rig.restart();
    await rig.build('r', pair, extra);
    expect(ip(ROUTER, 'address', 'show', 'dev', RFP)).toContain('inet 169.254.192.1/18 scope link');
  });
});

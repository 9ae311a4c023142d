import { readdirSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { type L3Options, l3Options } from '../../agents/l3/options.ts';
import {
  attributeList,
  attributes,
  MessageWriter,
  NETLINK_NETFILTER,
  NetlinkSocket,
} from '../../lib/kernel/netlink.ts';
import { createNamespace, deleteNamespace } from '../../lib/kernel/netns.ts';
import type { NftChange, NftElementPart } from '../../lib/kernel/nft-batch.ts';
import { readNftTable } from '../../lib/kernel/nft-table.ts';
import { loadRuleset, NftablesError, nft, sendBatch } from '../../lib/kernel/nftables.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { changesBatch, loadChanges } from '../../lib/namespace/nft-load.ts';
import { changesText, ruleMark } from '../../lib/namespace/nft-text.ts';
import { type NftElementRow, type NftTableRow, nftTable, type RowGroup } from '../../lib/namespace/rows.ts';
import { compiled, recordedRouter } from '../agents/l3/compile/rendered.ts';
import { stateNames, stateOf } from './router-states.ts';

const OURS = 'vdt-nft-ours';
const THEIRS = 'vdt-nft-theirs';

const clear = (): void => {
  for (const ns of [OURS, THEIRS]) deleteNamespace(ns);
};

/** What there is to read of tables: chains, rules, sets, by the number of the message that asks for it. */
const DUMPS = { tables: 1, chains: 4, rules: 7, sets: 10 };
const ELEMENTS = 13;
const ELEMENT_LIST = 3;
const NFPROTO_INET = 1;

function dump(
  socket: NetlinkSocket,
  message: number,
  take: (payload: Buffer) => string[],
  ...names: string[]
) {
  const found: string[] = [];
  const asked = new MessageWriter((10 << 8) | message, 0).fixed([NFPROTO_INET, 0, 0, 0]);
  for (const [i, name] of names.entries()) asked.text(i + 1, name);
  socket.dump(
    asked.finish(),
    ({ payload }) => found.push(...take(payload)),
    () => found.splice(0),
    'dump',
  );
  return found;
}

/** All but the fixed part, which ends with the generation of the ruleset. */
const whole = (payload: Buffer): string[] => [payload.toString('hex', 4)];
const elementsOf = (payload: Buffer): string[] =>
  attributeList(attributes(payload, 4).get(ELEMENT_LIST) ?? Buffer.alloc(0)).map(({ value }) =>
    value.toString('hex'),
  );

/** Every byte the kernel tells of the tables of a namespace, handles too; elements sorted, as they have no order. */
function bytesIn(ns: string, elements: readonly NftElementPart[]): Record<string, string[]> {
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  const sets = new Set(elements.map(({ table, set }) => `${table} ${set}`));
  return {
    ...Object.fromEntries(
      Object.entries(DUMPS).map(([what, message]) => [what, dump(socket, message, whole)]),
    ),
    ...Object.fromEntries(
      [...sets].map((set) => [set, dump(socket, ELEMENTS, elementsOf, ...set.split(' ')).sort()]),
    ),
  };
}

const listing = (ns: string): string =>
  nft(ns, 'list ruleset').replace(/elements = \{([^}]*)\}/g, (_, list: string) =>
    list
      .split(',')
      .map((element) => element.trim())
      .sort()
      .join(),
  );

const elementsIn = (changes: readonly NftChange[]): NftElementPart[] =>
  changes.flatMap((change) => ('elements' in change ? change.elements : []));

function load(ns: string, changes: readonly NftChange[]): void {
  const batch = changesBatch(changes);
  if (!batch) throw new Error(`not understood: ${changesText(changes)}`);
  sendBatch(ns, batch);
}

/** Loads the changes one after the other, both ways. */
function expectEqual(...all: readonly (readonly NftChange[])[]): void {
  for (const changes of all) {
    load(OURS, changes);
    loadRuleset(THEIRS, changesText(changes));
  }
  expect(listing(OURS)).toBe(listing(THEIRS));
  const changed = elementsIn(all.flat());
  expect(bytesIn(OURS, changed)).toEqual(bytesIn(THEIRS, changed));
}

const changesOf = (groups: readonly RowGroup[]): NftChange[] => {
  const rows = groups.flat();
  const tables = rows.filter((row): row is NftTableRow => row.kind === 'nft-table');
  const elements = rows.filter((row): row is NftElementRow => row.kind === 'nft-element');
  return [
    ...tables.map((table) => ({ verb: 'add table', table }) as const),
    ...(elements.length > 0 ? [{ verb: 'add elements', elements } as const] : []),
  ];
};

const nat = (hook: 'prerouting' | 'postrouting', ...rules: string[]) => ({
  name: hook,
  hook: { type: 'nat', hook, priority: hook === 'prerouting' ? -100 : 100 } as const,
  rules,
});
const filter = (...rules: string[]) => ({
  name: 'filter',
  hook: { type: 'filter', hook: 'forward', priority: 0 } as const,
  rules,
});
const table = (...chains: NftTableRow['chains']): NftTableRow =>
  nftTable({
    ns: OURS,
    family: 'inet',
    name: 'viaduct',
    sets: [
      { name: 'four', type: 'ipv4_addr' },
      { name: 'six', type: 'ipv6_addr' },
      { name: 'fixed', type: 'ipv4_addr', flags: ['constant'] },
      { name: 'four_map', type: 'ipv4_addr : ipv4_addr' },
      { name: 'six_map', type: 'ipv6_addr : ipv6_addr' },
      { name: 'mixed_map', type: 'ipv4_addr : ipv6_addr' },
    ],
    chains: [{ name: 'other', rules: [] }, ...chains],
  });
const added = (...chains: NftTableRow['chains']): NftChange[] => [
  { verb: 'add table', table: table(...chains) },
];
const elements = (set: string, ...list: [element: string, value?: string][]): NftElementPart[] =>
  list.map(([element, value]) => ({ family: 'inet', table: 'viaduct', set, element, value }));

const FILTERS = [
  'accept',
  'drop',
  'return',
  'jump other',
  'goto other',
  'counter',
  'counter accept',
  'meta nfproto ipv4 accept',
  'meta nfproto ipv6 drop',
  'meta nfproto != ipv6 accept',
  'meta l4proto tcp accept',
  'meta l4proto udp accept',
  'meta l4proto != udp accept',
  'iifname "qr-*" accept',
  'iifname != "qr-*" accept',
  'oifname "abcdefghijklmn*" accept',
  'iifname == "eth0" oifname "abcdefghijklmno" accept',
  'oifname != "qg-1.2_3" accept',
  'ip saddr 10.0.0.1 accept',
  'ip daddr != 10.0.0.1 accept',
  'ip daddr 10.0.0.0/8 accept',
  'ip daddr 10.0.0.0/16 accept',
  'ip daddr 10.0.0.77/24 accept',
  'ip daddr 10.0.0.77/23 accept',
  'ip daddr != 10.0.0.0/25 accept',
  'ip saddr 0.0.0.0/0 accept',
  'ip saddr 10.0.0.1/32 accept',
  'ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept',
  'ip daddr 10.0.0.2 ip saddr 10.0.0.1 accept',
  'ip saddr 10.0.0.0/24 ip daddr 10.1.0.0/16 accept',
  'ip saddr @four accept',
  'ip daddr == @fixed accept',
  'ip6 saddr @six accept',
  'ip6 saddr fd00::1 accept',
  'ip6 daddr != ::1 accept',
  'ip6 daddr fd00::/64 accept',
  'ip6 daddr fd00::/61 accept',
  'ip6 daddr ::/0 accept',
  'ip6 daddr fd00::1/128 accept',
  'ip6 daddr fd00:1:2:3:4:5:6:7/112 accept',
  'tcp dport 80 accept',
  'tcp sport != 65535 accept',
  'udp dport 53 accept',
  'ip6 saddr fd00::1 ip6 daddr fd00::2 accept',
  'ip saddr 10.0.0.1 tcp dport 80 accept',
  'ip6 saddr fd00::1 udp dport 80 accept',
  'tcp dport 80 ip saddr 10.0.0.1 accept',
  'meta nfproto ipv4 ip saddr 10.0.0.1 accept',
  'meta nfproto ipv4 iifname "a" ip saddr 10.0.0.1 accept',
  'meta nfproto ipv6 ip6 saddr fd00::1 accept',
  'meta l4proto tcp tcp dport 80 accept',
  'meta mark 1 accept',
  'meta mark 0 accept',
  'meta mark == 0x10 drop',
  'meta mark != 4294967295 drop',
  'meta mark & 0xffff == 1 accept',
  'meta mark & 0xffff0000 != 0x10000 accept',
  'meta mark & 0xff == 0x100 accept',
  'meta mark set 1',
  'meta mark set 0xffffffff',
  'meta mark set meta mark & 0xffff0000 | 0x2',
  'meta mark set meta mark & 0xffff | 0x1',
  'meta mark set meta mark & 0xffff0000',
  'meta mark set meta mark | 0x2',
  'meta mark set meta mark | 0x80000000',
  'meta mark set ct mark',
  'meta mark set ct mark & 0xffff0000',
  'meta mark set ct mark & 0xffff0000 | 7',
  'ct mark set meta mark',
  'ct mark set meta mark & 0xff',
  'ct mark set 5',
  'ct mark 5 return',
  'ct mark & 0xff != 5 return',
  'ct mark & 0xff == 5 meta mark set 3 accept',
  'ct status & dnat == 0 accept',
  'ct status & dnat != 0 accept',
  'ct status & dnat == dnat accept',
  'ct status & snat != snat accept',
  'iifname "qr-*" ip daddr 169.254.169.254 tcp dport 80 meta mark set meta mark & 0xffff0000 | 0x1',
];
const PREROUTING = [
  'dnat ip to 10.0.0.1',
  'dnat ip6 to fd00::1',
  'dnat ip to 10.0.0.1 random',
  'dnat ip to 10.0.0.1 persistent',
  'dnat ip to ip daddr map @four_map',
  'dnat ip to ip saddr map @four_map fully-random',
  'dnat ip6 to ip6 daddr map @six_map',
  'meta nfproto ipv4 dnat ip to ip daddr map @four_map',
  'ip daddr 10.0.0.1 dnat ip to ip daddr map @four_map',
  'ip daddr 10.0.0.1 dnat ip to 10.0.0.2',
  'tcp dport 80 redirect to :9697',
  'udp dport 53 redirect to :53 random',
  'meta l4proto tcp redirect to :1',
  'iifname "qr-*" ip6 daddr fe80::a9fe:a9fe tcp dport 80 redirect to :9697',
];
const POSTROUTING = [
  'snat ip to 10.0.0.1',
  'oifname "qg-1" snat ip to 10.0.0.1 fully-random',
  'snat ip to ip saddr map @four_map fully-random',
  'snat ip6 to ip6 saddr map @six_map persistent',
  'masquerade',
  'masquerade fully-random',
  'meta nfproto ipv4 oifname "qg-1" masquerade',
  'meta nfproto ipv4 oifname != "qg-1" ct status & dnat == 0 accept',
  'meta mark & 0xffff != 0x2 ct status & dnat == dnat snat ip to 10.0.0.1',
];

const OPTIONS: Record<string, Partial<L3Options>> = {
  'the usual options': {},
  'no metadata proxy': { enable_metadata_proxy: false },
  'other marks, random ports': {
    use_random_fully: !l3Options().use_random_fully,
    metadata_access_mark: 0xabcd,
    external_ingress_mark: 0xffff,
    metadata_port: 1,
  },
};
const withOptions = (payload: object, options: Partial<L3Options>): RowGroup[] =>
  compileRouter({
    router: parseRouter(payload),
    host: { name: 'vdt' },
    options: { ...l3Options(), ...options },
  });

const GOLDEN = readdirSync(new URL('../agents/l3/compile/golden/', import.meta.url))
  .map((name) => /^(.*)-(sync_routers(?:-\d+)?)\.nft$/.exec(name))
  .flatMap((match) => (match ? [[match[1]!, match[2]!] as const] : []));

describe('a transaction of our own gives what nft gives, byte by byte', () => {
  beforeEach(() => {
    clear();
    for (const ns of [OURS, THEIRS]) createNamespace(ns);
  });
  afterAll(clear);

  test.each(FILTERS)('%s', (rule) => expectEqual(added(filter(rule))));
  test.each(PREROUTING)('%s', (rule) => expectEqual(added(nat('prerouting', rule))));
  test.each(POSTROUTING)('%s', (rule) => expectEqual(added(nat('postrouting', rule))));

  const everything = table(
    nat('prerouting', ...PREROUTING),
    nat('postrouting', ...POSTROUTING),
    filter(...FILTERS),
  );

  test('all rules together, put in place of others and taken away', () => {
    expectEqual(added(filter('drop')), [{ verb: 'replace table', table: everything }]);
    expectEqual([{ verb: 'delete table', table: everything }]);
    expect(listing(OURS)).toBe('');
  });

  test('a chain that changes its hook, a set that changes its type', () => {
    const [first, second] = [everything, table({ ...filter('accept'), name: 'postrouting' })];
    const sets = [{ name: 'four_map', type: 'ipv6_addr' }];
    for (const each of [first, { ...second, sets }, first]) {
      expectEqual([{ verb: 'add table', table: each }]);
      expectEqual([{ verb: 'delete table', table: each }]);
    }
  });

  test('elements, of IPv4 and IPv6, added and deleted', () => {
    expectEqual(added(), [
      {
        verb: 'add elements',
        elements: [
          ...elements('four', ['10.0.0.1'], ['255.255.255.255'], ['0.0.0.0']),
          ...elements('six', ['fd00::1'], ['::']),
          ...elements('four_map', ['10.0.0.1', '10.1.0.1'], ['10.0.0.2', '10.1.0.2']),
          ...elements('six_map', ['fd00::1', 'fd00::2']),
          ...elements('mixed_map', ['10.0.0.1', 'fd00::2']),
          ...elements('four', ['10.0.0.9']),
        ],
      },
    ]);
    expectEqual([
      {
        verb: 'delete elements',
        elements: [
          ...elements('four', ['10.0.0.1']),
          ...elements('four_map', ['10.0.0.2', '10.1.0.2']),
          ...elements('six_map', ['fd00::1', 'fd00::2']),
        ],
      },
      { verb: 'add elements', elements: elements('four_map', ['10.0.0.2', '10.9.0.2']) },
    ]);
  });

  test('some thousand elements at once', () => {
    const many = Array.from({ length: 5000 }, (_, i): [string, string] => [
      `fd00::${i.toString(16)}`,
      `fd01::${i.toString(16)}`,
    ]);
    expectEqual(added(), [{ verb: 'add elements', elements: elements('six_map', ...many) }]);
    using socket = new NetlinkSocket(NETLINK_NETFILTER, OURS);
    expect(readNftTable(socket, 'inet', 'viaduct')?.elements.get('six_map')?.size).toBe(5000);
  });

  for (const [name, options] of Object.entries(OPTIONS)) {
    test.each(stateNames)(`${name}: %s`, (state) => {
      for (const payload of stateOf(state).values()) {
        const changes = changesOf(withOptions(payload, options));
        expect(changes.length).toBeGreaterThan(0);
        expectEqual(changes);
        clear();
        for (const ns of [OURS, THEIRS]) createNamespace(ns);
      }
    });
    test.each(GOLDEN)(`${name}: recorded %s, %s`, (scenario, file) => {
      expectEqual(changesOf(compiled(recordedRouter(scenario, file), options)));
    });
  }
});

describe('a ruleset that is loaded', () => {
  beforeEach(() => {
    clear();
    createNamespace(OURS);
  });
  afterAll(clear);

  const refused = (changes: readonly NftChange[]): string => {
    const before = listing(OURS);
    let message = '';
    expect(() => {
      try {
        loadChanges(OURS, changes);
      } catch (error) {
        message = (error as Error).message;
        throw error;
      }
    }).toThrow(NftablesError);
    expect(listing(OURS)).toBe(before);
    return message;
  };

  test('is read back with the marks of its rules', () => {
    loadChanges(OURS, [
      ...added(filter('accept', 'drop')),
      { verb: 'add elements', elements: elements('four_map', ['10.0.0.1', '10.1.0.1']) },
    ]);
    using socket = new NetlinkSocket(NETLINK_NETFILTER, OURS);
    const found = readNftTable(socket, 'inet', 'viaduct');
    expect(found?.chains).toEqual([
      { name: 'other', accepts: true, rules: [] },
      {
        name: 'filter',
        hook: { type: 'filter', hook: 'forward', priority: 0 },
        accepts: true,
        rules: [ruleMark('accept'), ruleMark('drop')],
      },
    ]);
    expect([...found!.elements.get('four_map')!]).toEqual([['10.0.0.1', '10.1.0.1']]);
  });

  test('stays as it was when what is to take its place is refused, which names chain and rule', () => {
    loadChanges(OURS, added(filter('accept')));
    const next = table(filter('drop', 'ip saddr @missing accept', 'return'));
    expect(refused([{ verb: 'replace table', table: next }])).toBe(
      'nft: table inet viaduct, chain filter, rule "ip saddr @missing accept": ENOENT',
    );
  });

  test('takes none of the elements when one is refused, and names that', () => {
    loadChanges(OURS, [
      ...added(),
      { verb: 'add elements', elements: elements('four_map', ['10.0.0.2', '10.1.0.1']) },
    ]);
    const list = elements('four_map', ['10.0.0.1', '10.1.0.1'], ['10.0.0.2', '10.1.0.2']);
    expect(refused([{ verb: 'add elements', elements: list }])).toBe(
      'nft: table inet viaduct, element 10.0.0.2 : 10.1.0.2 of four_map: EEXIST',
    );
    expect(refused([{ verb: 'delete elements', elements: elements('six', ['::2']) }])).toBe(
      'nft: table inet viaduct, element ::2 of six: ENOENT',
    );
  });

  test('names the chain, set or table that is refused', () => {
    const hook = { type: 'nat', hook: 'forward', priority: 0 } as const;
    expect(refused(added({ name: 'c', hook, rules: [] }))).toMatch(/^nft: table inet viaduct, chain c: /);
    expect(refused([{ verb: 'delete table', table: { family: 'inet', name: 'none' } }])).toBe(
      'nft: table inet none: ENOENT',
    );
    expect(refused([{ verb: 'add elements', elements: elements('none', ['::1']) }])).toBe(
      'nft: table inet viaduct, elements of none: ENOENT',
    );
  });

  test('goes by way of libnftables where it says what is not understood here', () => {
    loadChanges(OURS, added(filter('tcp sport 1 tcp dport 2 counter', 'ip protocol icmp accept')));
    expect(nft(OURS, 'list ruleset')).toContain('ip protocol icmp accept');
    expect(refused(added(filter('accept drop')))).toMatch(/syntax error|Error/);
  });
});

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inNamespace } from '../../lib/kernel/netns.ts';
import { legacyTables } from '../../lib/kernel/xtables.ts';
import { setStepHook } from '../../lib/namespace/apply.ts';
import * as rows from '../../lib/namespace/rows.ts';
import { openSteps, pair, ROUTER, RowRig } from './row-rig.ts';

/** `iptables-save` and `ip6tables-save` of a router that Neutron's agent (21.0) built. */
const RULES = {
  iptables: fs.readFileSync(new URL('../fixtures/iptables/zed.txt', import.meta.url), 'utf8'),
  ip6tables: fs.readFileSync(new URL('../fixtures/iptables/zed6.txt', import.meta.url), 'utf8'),
};
type Program = keyof typeof RULES;
const PROGRAMS = Object.keys(RULES) as Program[];

const inRouter = (argv: readonly string[], input?: string): string =>
  inNamespace(ROUTER, () => ({
    text: execFileSync(argv[0]!, argv.slice(1), { encoding: 'utf8', stdio: 'pipe', input }),
  })).text;
const neutron = (): void => {
  for (const program of PROGRAMS) inRouter([`${program}-restore`], RULES[program]);
};
const saved = (program: Program): string[] =>
  inRouter([`${program}-save`])
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/\[\d+:\d+\]/, '[0:0]'));
const tables = (): string[] => inRouter(['nft', 'list', 'tables']).trim().split('\n');

const ruleset: rows.RowGroup = [
  rows.nftTable({
    ns: ROUTER,
    family: 'inet',
    name: 'viaduct',
    sets: [{ name: 'fip_dnat', type: 'ipv4_addr : ipv4_addr' }],
    chains: [
      {
        name: 'nat_prerouting',
        hook: { type: 'nat', hook: 'prerouting', priority: -100 },
        rules: ['dnat ip to ip daddr map @fip_dnat'],
      },
    ],
  }),
  rows.nftElement({
    ns: ROUTER,
    family: 'inet',
    table: 'viaduct',
    set: 'fip_dnat',
    element: '203.0.113.7',
    value: '10.0.0.7',
    flushConntrack: '203.0.113.7',
  }),
];

describe('a namespace with the iptables rules of Neutron’s L3 agent', () => {
  let rig: RowRig;
  beforeEach(async () => {
    rig = new RowRig();
    await rig.build('r', pair);
    neutron();
    await rig.restart();
  });
  afterEach(async () => {
    setStepHook(undefined);
    await rig.close();
  });

  test('is planned: our ruleset comes before theirs goes', () => {
    rig.reconciler.setDesired('r', [pair, ruleset]);
    expect(openSteps(rig.reconciler, 'r').map((step) => step.split(': ')[0])).toEqual([
      `create ${ROUTER}|nft-table|inet viaduct`,
      `create ${ROUTER}|nft-element|inet viaduct|fip_dnat|203.0.113.7`,
      `remove ${ROUTER}|xtables|ip`,
      `remove ${ROUTER}|xtables|ip6`,
    ]);
  });

  test('has none of them once it is taken over, and nothing is left to do', async () => {
    await rig.build('r', pair, ruleset);
    expect(tables()).toEqual(['table inet viaduct']);
    await rig.expectConverged({ r: [pair, ruleset] });
  });

  test('keeps what others put beside them: rules, chains, those of the metering agent', async () => {
    inRouter(['iptables', '-A', 'FORWARD', '-s', '192.0.2.66', '-j', 'DROP']);
    inRouter(['iptables', '-N', 'neutron-meter-FORWARD']);
    inRouter(['iptables', '-N', 'neutron-meter-local']);
    inRouter(['iptables', '-A', 'neutron-filter-top', '-j', 'neutron-meter-local']);
    inRouter(['ip6tables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'ACCEPT']);
    await rig.build('r', pair, ruleset);
    const [v4, v6] = PROGRAMS.map(saved);
    expect(v4).toEqual([
      '*filter',
      ':INPUT ACCEPT [0:0]',
      ':FORWARD ACCEPT [0:0]',
      ':OUTPUT ACCEPT [0:0]',
      ':neutron-filter-top - [0:0]',
      ':neutron-meter-FORWARD - [0:0]',
      ':neutron-meter-local - [0:0]',
      '-A FORWARD -j neutron-filter-top',
      '-A FORWARD -s 192.0.2.66/32 -j DROP',
      '-A OUTPUT -j neutron-filter-top',
      '-A neutron-filter-top -j neutron-meter-local',
      'COMMIT',
    ]);
    expect(v6?.filter((line) => line.startsWith('-A'))).toEqual(['-A POSTROUTING -j ACCEPT']);
    await rig.expectConverged({ r: [pair, ruleset] });
  });

  test('keeps them as long as ours can’t be loaded', async () => {
    const before = PROGRAMS.map(saved);
    setStepHook(({ row }) => {
      if (row.kind === 'nft-table') throw new Error('refused for the test');
    });
    rig.reconciler.setDesired('r', [pair, ruleset]);
    const { failures } = await rig.reconciler.reconcile('r');
    expect(failures.map(({ key }) => key)).toContain(`${ROUTER}|xtables|ip`);
    expect(PROGRAMS.map(saved)).toEqual(before);
    setStepHook(undefined);
    await rig.build('r', pair, ruleset);
    expect(tables()).toEqual(['table inet viaduct']);
  });

  test('is known to have rules of the old iptables, which are not nftables’', (context) => {
    expect(legacyTables(ROUTER)).toEqual([]);
    try {
      inRouter(['ip6tables-legacy', '-t', 'mangle', '-N', 'neutron-l3-agent-mark']);
    } catch {
      context.skip('this kernel has no iptables but nftables');
    }
    expect(legacyTables(ROUTER)).toEqual(['ip6 mangle']);
    expect(legacyTables('qrouter-vdt-nowhere')).toEqual([]);
  });

  test('gets them back, and only then ours go', async () => {
    const before = PROGRAMS.map(saved);
    await rig.build('r', pair, ruleset);
    const theirs = PROGRAMS.map((program) =>
      rows.xtables({
        ns: ROUTER,
        family: program === 'iptables' ? 'ip' : 'ip6',
        rules: RULES[program],
      }),
    );
    rig.reconciler.setDesired('r', [pair, theirs]);
    expect(openSteps(rig.reconciler, 'r').map((step) => step.split(': ')[0])).toEqual([
      `create ${ROUTER}|xtables|ip`,
      `create ${ROUTER}|xtables|ip6`,
      `remove ${ROUTER}|nft-element|inet viaduct|fip_dnat|203.0.113.7`,
      `remove ${ROUTER}|nft-table|inet viaduct`,
    ]);
    await rig.build('r', pair, theirs);
    expect(PROGRAMS.map((program) => new Set(saved(program)))).toEqual(before.map((lines) => new Set(lines)));
    expect(tables()).not.toContain('table inet viaduct');
  });
});

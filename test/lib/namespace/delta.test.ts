import { describe, expect, test } from 'vitest';
import type { ActualRow } from '../../../lib/namespace/actual.ts';
import { Delta } from '../../../lib/namespace/delta.ts';
import { plan } from '../../../lib/namespace/plan.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const NS = 'qrouter-1';
const dev = 'qr-11111111-11';

const namespace = rows.netns(NS);
const device = (mtu = 1500) => rows.link({ ns: NS, name: dev, type: 'veth', mtu });
const address = (ip: string) => rows.address({ ns: NS, dev, ip, prefix: 24, family: 4 });
const keys = (delta: Delta, owner: string) => delta.changes(owner).map(({ key, reason }) => [key, reason]);

/** A delta whose namespace was read and holds exactly these rows. */
function read(delta: Delta, found: readonly ActualRow[], ns = NS): Delta {
  delta.setActual(ns, new Map(found.map((row) => [row.key, row])));
  return delta;
}

/** All changes are carried out. */
function carryOut(delta: Delta, owner: string): void {
  for (const change of delta.changes(owner)) delta.done(owner, change);
}

describe('what an owner wants', () => {
  test('is missing until it was made', () => {
    const delta = read(new Delta(), []);
    delta.setDesired('r1', [[namespace], [device()]]);
    expect(keys(delta, 'r1')).toEqual([
      [namespace.key, 'missing'],
      [device().key, 'missing'],
    ]);
    carryOut(delta, 'r1');
    expect(delta.changes('r1')).toEqual([]);
    expect(delta.dirtyOwners()).toEqual([]);
  });

  test('is not forgotten to be removed when it went while it was being made', () => {
    const daemon = rows.daemon({ ns: NS, service: 'radvd', id: 'r1', argv: ['radvd', 'r1'], pidFile: '/p' });
    const delta = read(new Delta(), [namespace]);
    delta.setDesired('r1', [[namespace, daemon]]);
    const [starting] = delta.changes('r1');
    delta.setDesired('r1', []);
    delta.done('r1', starting!);
    expect(delta.changes('r1').map(({ key, desired }) => [key, desired])).toContainEqual([
      daemon.key,
      undefined,
    ]);
  });

  test('is not looked at again when the same group comes again', () => {
    const delta = read(new Delta(), []);
    const counted: number[] = [];
    const group = [address('10.0.0.1')];
    const watched = new Proxy(group, {
      get: (target, name, receiver) => {
        if (name === '0') counted.push(1);
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    delta.setDesired('r1', [watched]);
    const once = counted.length;
    delta.setDesired('r1', [watched]);
    expect(counted.length).toBe(once);
  });

  test('is no change when an equal row comes in another group', () => {
    const delta = read(new Delta(), [namespace, device()]);
    delta.setDesired('r1', [[namespace, device()]]);
    carryOut(delta, 'r1');
    delta.setDesired('r1', [[namespace], [device()]]);
    expect(delta.changes('r1')).toEqual([]);
  });

  test('stays wanted when its group goes and another group, which stayed, has it too', () => {
    const delta = read(new Delta(), []);
    const stays = [namespace, device()];
    delta.setDesired('r1', [stays, [device()]]);
    carryOut(delta, 'r1');
    delta.setDesired('r1', [stays]);
    expect(delta.desired(device().key)).toEqual(device());
    expect(delta.changes('r1')).toEqual([]);
  });

  test('takes the newer value of a key', () => {
    const delta = read(new Delta(), [namespace, device(1500)]);
    delta.setDesired('r1', [[namespace, device(1500)]]);
    delta.setDesired('r1', [[namespace, device(1400)]]);
    expect(keys(delta, 'r1')).toEqual([[device().key, 'mtu is 1500, wanted 1400']]);
  });

  test('that another program keeps is neither made nor changed nor removed', () => {
    const vip = rows.address({ ...address('10.0.0.1'), keeper: 'keepalived' });
    const delta = read(new Delta(), [namespace]);
    delta.setDesired('r1', [[namespace, vip]]);
    expect(delta.changes('r1')).toEqual([]);
    read(delta, [namespace, rows.address({ ...address('10.0.0.1'), scope: 'link' })]);
    expect(delta.changes('r1')).toEqual([]);
    read(delta, [namespace, device(), address('10.0.0.1')]);
    expect(delta.changes('r1').map((change) => change.key)).toEqual([device().key]);
    delta.setDesired('r1', [[namespace]]);
    expect(delta.changes('r1').map((change) => change.key)).not.toContain(vip.key);
  });
});

describe('what is found', () => {
  test('of ours and wanted by nobody goes', () => {
    const delta = new Delta();
    delta.setDesired('r1', [[namespace]]);
    read(delta, [namespace, device(), address('10.0.0.9')]);
    expect(keys(delta, 'r1')).toEqual([
      [device().key, 'not wanted'],
      [address('10.0.0.9').key, 'not wanted'],
    ]);
  });

  test('of others stays', () => {
    const delta = new Delta();
    delta.setDesired('r1', [[namespace]]);
    const foreign = rows.link({ ns: NS, name: 'eth0', type: 'veth' });
    read(delta, [namespace, foreign, rows.address({ ...address('10.0.0.9'), dev: 'eth0' })]);
    expect(delta.changes('r1')).toEqual([]);
  });

  test('gone is missing, one row at a time', () => {
    const delta = read(new Delta(), []);
    delta.setDesired('r1', [[namespace, device()]]);
    carryOut(delta, 'r1');
    delta.setActualRow(NS, device().key, undefined);
    expect(delta.dirtyOwners()).toEqual(['r1']);
    expect(keys(delta, 'r1')).toEqual([[device().key, 'missing']]);
  });

  test('once and put right by somebody meanwhile needs nothing', () => {
    const delta = new Delta();
    delta.setDesired('r1', [[namespace, device()]]);
    read(delta, [namespace]);
    read(delta, [namespace, device()]);
    expect(delta.changes('r1')).toEqual([]);
    expect(delta.dirtyOwners()).toEqual([]);
  });

  test('nothing is known of a namespace that must be read again', () => {
    const delta = read(new Delta(), [namespace]);
    delta.forget(NS);
    expect(delta.isRead(NS)).toBe(false);
  });
});

describe('what is no longer wanted', () => {
  test('goes as the row it was wanted as, which knows more than what can be read', () => {
    const wanted = rows.address({ ...address('10.0.0.1'), flushConntrack: true });
    const delta = new Delta();
    delta.setDesired('r1', [[namespace, wanted]]);
    read(delta, [namespace, address('10.0.0.1')]);
    expect(delta.changes('r1')).toEqual([]);
    delta.setDesired('r1', [[namespace]]);
    expect(delta.changes('r1')).toEqual([{ key: wanted.key, actual: wanted, reason: 'not wanted' }]);
  });

  test('goes in the host too, where nothing is stale by name', () => {
    const tap = rows.link({ ns: '', name: 'tap11111111-11', type: 'veth' });
    const delta = new Delta();
    read(delta, [tap], '');
    delta.setDesired('r1', [[tap]]);
    expect(delta.changes('r1')).toEqual([]);
    delta.setDesired('r1', []);
    expect(keys(delta, 'r1')).toEqual([[tap.key, 'not wanted']]);
    carryOut(delta, 'r1');
    expect(delta.owners()).toEqual([]);
  });

  test('and would not be known to another process is named until it is gone', () => {
    const tap = rows.link({ ns: '', name: 'tap11111111-11', type: 'veth' });
    const file = rows.file({ ns: NS, path: '/f', content: '' });
    const delta = read(read(new Delta(), [tap], ''), [namespace, device(), file]);
    delta.setDesired('r1', [
      [namespace, device()],
      [tap, file],
    ]);
    delta.setDesired('r2', [[tap]]);
    expect(delta.leaving('r1')).toEqual([]);
    delta.setDesired('r2', []);
    delta.setDesired('r1', [[namespace]]);
    expect(delta.leaving('r1')).toEqual([tap, file]);
    carryOut(delta, 'r1');
    expect(delta.leaving('r1')).toEqual([]);
  });

  test('and went with its namespace is no open question', () => {
    const delta = read(new Delta(), []);
    delta.setDesired('r1', [[namespace, device(), address('10.0.0.1')]]);
    carryOut(delta, 'r1');
    delta.setDesired('r1', []);
    for (const step of plan(delta.changes('r1')))
      delta.done('r1', { key: step.row.key, actual: step.row as ActualRow, reason: '' });
    expect(delta.isDirty('r1')).toBe(false);
  });

  test('and not there needs nothing', () => {
    const delta = new Delta();
    delta.setDesired('r1', [[namespace]]);
    delta.setDesired('r1', []);
    read(delta, []);
    expect(delta.changes('r1')).toEqual([]);
  });
});

describe('two owners', () => {
  const shared = () => rows.link({ ns: '', name: 'brq1', type: 'bridge' });

  test('of one row: it goes with the last of them', () => {
    const delta = read(new Delta(), [], '');
    delta.setDesired('r1', [[shared()]]);
    carryOut(delta, 'r1');
    delta.setDesired('r2', [[shared()]]);
    expect(delta.changes('r2')).toEqual([]);
    expect([...delta.ownersOf(shared().key)]).toEqual(['r1', 'r2']);
    delta.setDesired('r1', []);
    expect(delta.changes('r1')).toEqual([]);
    delta.setDesired('r2', []);
    expect(keys(delta, 'r2')).toEqual([[shared().key, 'not wanted']]);
  });

  test('who differ about a row: the newest wish holds, and the other one again when its owner leaves', () => {
    const delta = read(new Delta(), [], '');
    const first = rows.link({ ...shared(), mtu: 1500 });
    const second = rows.link({ ...shared(), mtu: 9000 });
    delta.setDesired('r1', [[first]]);
    carryOut(delta, 'r1');
    delta.setDesired('r2', [[second]]);
    expect(keys(delta, 'r2')).toEqual([[shared().key, 'mtu is 1500, wanted 9000']]);
    carryOut(delta, 'r2');
    delta.setDesired('r2', []);
    expect(delta.desired(shared().key)).toBe(first);
    expect(keys(delta, 'r2')).toEqual([[shared().key, 'mtu is 9000, wanted 1500']]);
  });

  test('in one namespace: what one leaves behind does not touch the other', () => {
    const fip = 'fip-1';
    const common = rows.netns(fip);
    const rule = (n: number) => rows.rule({ ns: fip, family: 4, priority: 40_000 + n, table: n });
    const delta = read(new Delta(), [], fip);
    delta.setDesired('r1', [[common, rule(1)]]);
    delta.setDesired('r2', [[common, rule(2)]]);
    carryOut(delta, 'r1');
    carryOut(delta, 'r2');
    delta.setDesired('r1', []);
    expect(keys(delta, 'r1')).toEqual([[rule(1).key, 'not wanted']]);
    carryOut(delta, 'r1');
    expect(delta.changes('r2')).toEqual([]);
    delta.setDesired('r2', []);
    expect(keys(delta, 'r2').map(([key]) => key)).toEqual([common.key, rule(2).key]);
  });
});

describe('a table that is replaced', () => {
  const table = (rule: string) =>
    rows.nftTable({
      ns: NS,
      family: 'inet',
      name: 'viaduct',
      chains: [{ name: 'c', rules: [rule] }],
      sets: [{ name: 'm', type: 'ipv4_addr' }],
    });
  const element = (ip: string) =>
    rows.nftElement({ ns: NS, family: 'inet', table: 'viaduct', set: 'm', element: ip });

  test('gets all its elements again', () => {
    const delta = read(new Delta(), []);
    const elements = [element('10.0.0.1'), element('10.0.0.2')];
    delta.setDesired('r1', [[table('accept')], elements]);
    carryOut(delta, 'r1');
    delta.setDesired('r1', [[table('drop')], elements]);
    expect(keys(delta, 'r1')).toEqual([
      [table('drop').key, 'the ruleset changed'],
      [elements[0]!.key, 'its table is replaced'],
      [elements[1]!.key, 'its table is replaced'],
    ]);
  });

  test('needs no replacement for an equal text in another object', () => {
    const delta = read(new Delta(), []);
    delta.setDesired('r1', [[table('accept')]]);
    carryOut(delta, 'r1');
    delta.setDesired('r1', [[table('accept')]]);
    expect(delta.changes('r1')).toEqual([]);
  });
});

describe('a physical interface', () => {
  const wanted = rows.link({ ns: '', name: 'eth1', type: 'physical', master: 'brq1' });
  const found = (master?: string) => rows.link({ ns: '', name: 'eth1', type: 'veth', mtu: 1500, master });

  test('only leaves the bridge when it is no longer wanted, whatever kind of device it is', () => {
    const delta = read(new Delta(), [found('brq1')], '');
    delta.setDesired('n1', [[wanted]]);
    delta.setDesired('n1', []);
    expect(delta.changes('n1')).toMatchObject([{ actual: { type: 'physical', name: 'eth1' } }]);
  });

  test('that somebody put elsewhere is left alone', () => {
    const delta = read(new Delta(), [found('br0')], '');
    delta.setDesired('n1', [[wanted]]);
    delta.setDesired('n1', []);
    expect(delta.changes('n1')).toEqual([]);
  });
});

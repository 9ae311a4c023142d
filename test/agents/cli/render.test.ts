import { describe, expect, test } from 'vitest';
import { diffDocument, differs, renderDiff } from '../../../agents/cli/render/diff.ts';
import { age, listDocument, renderList } from '../../../agents/cli/render/ls.ts';
import { renderOwner } from '../../../agents/cli/render/show.ts';
import { healthOf, type OwnerState, type RowState } from '../../../agents/cli/render/state.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-r1';
const ok = (desired: rows.Row): RowState => ({ state: 'ok', desired });
const qr = rows.link({ ns, name: 'qr-1', type: 'veth', mtu: 1450, peer: { ns: '', name: 'tap1' } });
const gateway = rows.address({ ns, dev: 'qr-1', ip: '10.0.0.1', prefix: 24, family: 4 });
const route = (via: string) =>
  rows.route({ ns, family: 4, destination: '0.0.0.0/0', nexthops: [{ via, dev: 'qg-1', weight: 1 }] });

const converged: OwnerState = {
  kind: 'router',
  id: 'r1',
  name: 'edge',
  namespace: ns,
  changed: '2026-01-02T03:04:05.000Z',
  rows: [ok(rows.netns(ns)), ok(qr), ok(gateway)],
};
const drifted: OwnerState = {
  ...converged,
  rows: [
    ok(rows.netns(ns)),
    { state: 'changed', desired: qr, actual: { ...qr, mtu: 1500 }, reason: 'mtu is 1500, wanted 1450' },
    { state: 'missing', desired: gateway },
    { state: 'extra', actual: route('192.0.2.1') },
    ok(rows.link({ ns: '', name: 'brq1', type: 'bridge' })),
  ],
};
const absent: OwnerState = {
  kind: 'network',
  id: 'n1',
  namespace: 'qdhcp-n1',
  rows: [{ state: 'missing', desired: rows.netns('qdhcp-n1') }],
};
const unreadable: OwnerState = { ...absent, id: 'n2', rows: [], unreadable: 'not permitted (run as root)' };
const owners = [converged, { ...drifted, id: 'r2' }, absent, unreadable];

const plain = { width: Number.POSITIVE_INFINITY, color: false };
const golden = (name: string) => `golden/${name}.txt`;
const now = Date.parse('2026-01-02T03:09:05.000Z');

describe('health', () => {
  test('tells absent, drifted, converged and unknown apart', () => {
    expect(owners.map(healthOf)).toEqual(['converged', 'drifted', 'absent', 'unknown']);
  });

  test('of a kernel that could not be read is unknown, never absent', () => {
    expect(healthOf({ ...absent, unreadable: 'EPERM' })).toBe('unknown');
  });
});

describe('viaduct ls', () => {
  test('has one line per owner', async () => {
    await expect(renderList(plain, owners, now).join('\n')).toMatchFileSnapshot(golden('ls'));
  });

  test('says so when there is nothing', () => {
    expect(renderList(plain, [], now)).toEqual(['nothing is built on this host']);
  });

  test('gives no number of drifted rows for what is unknown, in JSON too', () => {
    expect(listDocument([unreadable])).toMatchObject([{ id: 'n2', state: 'unknown', drift: null }]);
  });

  test('shows ages in the unit that fits', () => {
    const ages = [30, 300, 20_000, 400_000].map((s) => age(new Date(now - s * 1000).toISOString(), now));
    expect(ages).toEqual(['30s', '5m', '6h', '5d']);
  });
});

test('viaduct show lists rows by kind with what is wrong', async () => {
  const text = [...renderOwner(plain, drifted), ...renderOwner(plain, unreadable)].join('\n');
  await expect(text).toMatchFileSnapshot(golden('show'));
});

describe('viaduct diff', () => {
  test('lists only what differs, and what could not be compared', async () => {
    await expect(renderDiff(plain, owners).join('\n')).toMatchFileSnapshot(golden('diff'));
  });

  test('counts an unreadable namespace as a difference', () => {
    expect([differs([converged]), differs([drifted]), differs([unreadable])]).toEqual([false, true, true]);
    expect(diffDocument([unreadable])).toMatchObject([{ state: 'unknown' }]);
    expect(diffDocument([converged])).toEqual([]);
    expect(renderDiff(plain, [converged])).toEqual(['no difference']);
  });
});

import { describe, expect, it } from 'vitest';
import type { ActualRow } from '../../../lib/namespace/actual.ts';
import type { Step } from '../../../lib/namespace/plan.ts';
import { plan } from '../../../lib/namespace/plan.ts';
import {
  addPorts,
  applyPorts,
  type PortSwitch,
  portSteps,
  withoutOrphans,
} from '../../../lib/namespace/port-switch.ts';
import { HOST, link, netns, ovsPort, type Row } from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-x';
const port = (name: string, type: 'internal' | 'system' = 'internal') =>
  ovsPort({ ns: HOST, name, bridge: 'br-int', type, ifaceId: `id of ${name}`, mac: 'fa:16:3e:00:00:01' });
const device = (name: string, type: 'internal' | 'abandoned' = 'internal') => link({ ns, name, type });

/** A switch with these ports. */
const switchWith = (rows: readonly ReturnType<typeof port>[], known = true): PortSwitch => ({
  known,
  ready: async () => undefined,
  ports: () => rows,
  port: (name) => rows.find((row) => row.name === name),
  apply: async (steps) => steps.map((step) => ({ step })),
  follow: () => undefined,
  close: () => undefined,
});
const create = (row: Row): Step => ({ action: 'create', row, reason: 'missing' });
const remove = (row: ActualRow): Step => ({ action: 'remove', row, reason: 'not wanted' });
const never = (): boolean => false;
const names = (steps: readonly Step[]): string[] => steps.map(({ action, row }) => `${action} ${row.key}`);

describe('the order of ports and devices', () => {
  it('a port comes before the device it makes and after the one it takes', () => {
    const rows = [
      port('tap-1', 'system'),
      device('qr-1'),
      link({ ns: HOST, name: 'tap-1', type: 'veth' }),
      port('qr-1'),
    ];
    const order = plan(rows.map((row) => ({ key: row.key, desired: row, reason: 'missing' })));
    expect(order.map(({ row }) => row.key)).toEqual([
      '|ovs-port|qr-1',
      'qrouter-x|link|qr-1',
      '|link|tap-1',
      '|ovs-port|tap-1',
    ]);
  });

  it('ports go first, and only a port that takes a device comes last', () => {
    const steps = [create(port('qr-1')), create(port('tap-1', 'system')), remove(port('tap-2', 'system'))];
    const { before, after } = portSteps(steps, switchWith([]), never);
    expect(names(before)).toEqual(['create |ovs-port|qr-1', 'remove |ovs-port|tap-2']);
    expect(names(after)).toEqual(['create |ovs-port|tap-1']);
  });

  it.each(['internal', 'abandoned'] as const)('a stale %s device takes its port along', (type) => {
    const { before } = portSteps([remove(device('qr-1', type))], switchWith([port('qr-1')]), never);
    expect(names(before)).toEqual(['remove |ovs-port|qr-1']);
  });

  it('the port of a device stays if somebody wants it, and goes once if it goes anyway', () => {
    const stale = [remove(device('qr-1'))];
    expect(portSteps(stale, switchWith([port('qr-1')]), () => true).before).toEqual([]);
    const both = [...stale, remove(port('qr-1'))];
    expect(portSteps(both, switchWith([port('qr-1')]), never).before).toHaveLength(1);
  });

  it('a stale device and its namespace stay while its port can not be removed', () => {
    const steps = [
      remove(device('qr-1')),
      remove(device('qr-2')),
      remove(netns(ns)),
      remove(netns('qrouter-y')),
    ];
    const outcomes = [{ step: remove(port('qr-1')), error: 'not connected' }];
    expect(names(withoutOrphans(steps, outcomes))).toEqual([
      'remove qrouter-x|link|qr-2',
      'remove qrouter-y|netns',
    ]);
    expect(withoutOrphans(steps, [])).toBe(steps);
  });
});

describe('what is known of ports', () => {
  const read = (ports: PortSwitch, wanted: readonly Row[], isWanted: (key: string) => boolean) => {
    const into = new Map<string, ActualRow>();
    addPorts(into, ports, wanted, isWanted);
    return [...into.keys()];
  };

  it('is all ports of Neutron, and those of other makers that stand where ours must', () => {
    const foreign = { ...switchWith([port('tap-vm')]), port: () => port('qr-1') };
    expect(read(foreign, [port('qr-1')], () => true)).toEqual(['|ovs-port|tap-vm', '|ovs-port|qr-1']);
  });

  it('before it is known: what is wanted is missing, what is on its way out is still there', () => {
    const unknown = switchWith([], false);
    expect(read(unknown, [port('qr-1'), port('qr-2')], (key) => key.endsWith('qr-1'))).toEqual([
      '|ovs-port|qr-2',
    ]);
  });

  it('an agent without a switch fails each port, and nothing else', async () => {
    expect(await applyPorts([create(port('qr-1'))], undefined)).toEqual([
      { step: create(port('qr-1')), error: 'this agent is not connected to Open vSwitch' },
    ]);
    expect(await applyPorts([], undefined)).toEqual([]);
  });
});

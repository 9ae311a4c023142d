import { beforeEach, describe, expect, it } from 'vitest';
import { ovsPort } from '../../../lib/namespace/rows.ts';
import { OvsTables } from '../../../lib/wiring/ovs-tables.ts';
import { map, rowUpdates, uuid } from '../../../lib/wiring/ovsdb-values.ts';

const ids = map({ 'iface-id': 'port-1', 'iface-status': 'active', 'attached-mac': 'FA:16:3e:00:00:01' });
/** As ovsdb-server answers a monitor request. */
const whole = {
  Open_vSwitch: { o: { new: { cur_cfg: 7 } } },
  Bridge: {
    b: { new: { name: 'br-int', ports: ['set', [uuid('p0'), uuid('p1')]] } },
  },
  Port: {
    p0: { new: { name: 'br-int', interfaces: uuid('i0') } },
    p1: { new: { name: 'qr-1', interfaces: uuid('i1') } },
  },
  Interface: {
    i0: { new: { name: 'br-int', type: 'internal', external_ids: ['map', []], error: ['set', []] } },
    i1: { new: { name: 'qr-1', type: 'internal', external_ids: ids, error: ['set', []] } },
  },
};
const row = ovsPort({
  ns: '',
  name: 'qr-1',
  bridge: 'br-int',
  type: 'internal',
  ifaceId: 'port-1',
  mac: 'fa:16:3e:00:00:01',
});

describe("the copy of the switch's tables", () => {
  let tables: OvsTables;
  const take = (updates: unknown) => [...tables.take(rowUpdates(updates))];

  beforeEach(() => {
    tables = new OvsTables();
    take(whole);
  });

  it('has the ports that belong to Neutron, as rows', () => {
    expect([...tables.ports()]).toEqual([row]);
    expect(tables.port('qr-1', 'elsewhere')).toEqual(row);
    expect(tables.port('br-int', '')).toMatchObject({ ifaceId: '' });
    expect(tables.port('qr-2', '')).toBeUndefined();
    expect(tables.hasBridge('br-int')).toBe(true);
    expect(tables.applied).toBe(7);
  });

  it('says whose port changed', () => {
    const error = 'could not open network device qr-1 (No such device)';
    expect(take({ Interface: { i1: { old: {}, new: { ...whole.Interface.i1.new, error } } } })).toEqual([
      'qr-1',
    ]);
    expect(tables.find('qr-1')).toEqual({ uuid: 'p1', interface: 'i1', error });
    expect(take({ Open_vSwitch: { o: { old: { cur_cfg: 7 }, new: { cur_cfg: 8 } } } })).toEqual([]);
    expect(tables.applied).toBe(8);
  });

  it('forgets a port that is removed', () => {
    expect(
      take({ Port: { p1: { old: { name: 'qr-1' } } }, Interface: { i1: { old: { name: 'qr-1' } } } }),
    ).toEqual(['qr-1']);
    expect(tables.find('qr-1')).toBeUndefined();
    expect([...tables.ports()]).toEqual([]);
  });

  it.each([['remove first'], ['insert first']])(
    'keeps a port that is replaced in one update: %s',
    (order) => {
      const gone = { p1: { old: { name: 'qr-1' } } };
      const come = { p2: { new: { name: 'qr-1', interfaces: uuid('i2') } } };
      take({
        Port: order === 'remove first' ? { ...gone, ...come } : { ...come, ...gone },
        Interface: { i2: whole.Interface.i1, i1: { old: { name: 'qr-1' } } },
      });
      expect(tables.find('qr-1')).toMatchObject({ uuid: 'p2', interface: 'i2' });
      // Its bridge was not told: it is where one looks for it.
      expect(tables.port('qr-1', 'br-int')).toEqual(row);
    },
  );

  it('is not upset by values of the wrong shape', () => {
    expect(take(null)).toEqual([]);
    expect(take({ Port: 7, Interface: { x: { new: { name: 3, external_ids: ['map', 'y'] } } } })).toEqual([
      '',
    ]);
  });
});

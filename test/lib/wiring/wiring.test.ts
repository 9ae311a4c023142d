import { describe, expect, it } from 'vitest';
import type { Row } from '../../../lib/namespace/rows.ts';
import {
  dhcpPrefix,
  isWiring,
  ovsdbRemotes,
  plugPort,
  type Wiring,
  wiringOf,
} from '../../../lib/wiring/wiring.ts';

const plug = {
  ns: 'qrouter-x',
  device: 'qr-1a0eeb7f-10',
  port: {
    id: '1a0eeb7f-107d-4fc0-90ef-2481581bfb98',
    network_id: '52592944-4ae8-4830-bac7-921b32da3eb8',
    mac_address: 'FA:16:3e:34:ef:d2',
  },
  mtu: 1450,
};
const rowsOf = (wiring: Wiring): Row[] => [...plugPort(plug, wiring)];
const keys = (wiring: Wiring): string[] => rowsOf(wiring).map((row) => row.key);

const PAIR = ['|link|tap1a0eeb7f-10', '|sysctl|net/ipv6/conf/tap1a0eeb7f-10/disable_ipv6'];
const DEVICE = 'qrouter-x|link|qr-1a0eeb7f-10';

describe('wiring a port', () => {
  it('into a bridge of our own makes that bridge and puts the tap into it', () => {
    expect(keys('own-bridge')).toEqual(['|link|brq52592944-4a', '|link|tap1a0eeb7f-10', DEVICE]);
    expect(rowsOf('own-bridge')[1]).toMatchObject({ master: 'brq52592944-4a' });
  });

  it('for the Linux bridge agent leaves the tap to it, by whatever bridge it takes', () => {
    expect(keys('linuxbridge')).toEqual([...PAIR, DEVICE]);
    expect(rowsOf('linuxbridge')[0]).not.toHaveProperty('master');
  });

  it('into Open vSwitch is a port of the integration bridge, whose device moves into the namespace', () => {
    expect(rowsOf('openvswitch:br-int:system')).toEqual([
      {
        kind: 'ovs-port',
        key: '|ovs-port|qr-1a0eeb7f-10',
        ns: '',
        name: 'qr-1a0eeb7f-10',
        bridge: 'br-int',
        type: 'internal',
        ifaceId: plug.port.id,
        mac: 'fa:16:3e:34:ef:d2',
      },
      {
        kind: 'link',
        key: DEVICE,
        ns: 'qrouter-x',
        name: 'qr-1a0eeb7f-10',
        type: 'internal',
        mac: 'fa:16:3e:34:ef:d2',
        mtu: 1450,
        up: true,
      },
    ]);
  });

  it('into Open vSwitch by a veth pair puts its root end into the bridge', () => {
    expect(keys('openvswitch-veth:br-int:system')).toEqual([...PAIR, '|ovs-port|tap1a0eeb7f-10', DEVICE]);
    expect(rowsOf('openvswitch-veth:br-int:system')[2]).toMatchObject({ type: 'system' });
  });

  it('has checksums computed where the switch works in user space', () => {
    expect(rowsOf('openvswitch-veth:br-int:netdev').at(-1)).toMatchObject({ checksumOffload: false });
    expect(rowsOf('openvswitch-veth:br-int:system').at(-1)).not.toHaveProperty('checksumOffload');
    expect(rowsOf('openvswitch:br-int:netdev').at(-1)).not.toHaveProperty('checksumOffload');
  });

  it('with the null driver makes nothing', () => {
    expect(rowsOf('null')).toEqual([]);
  });
});

describe('the wiring an operator asks for', () => {
  it.each<[string, Wiring]>([
    ['openvswitch', 'openvswitch:br-int:system'],
    ['neutron.agent.linux.interface.OVSInterfaceDriver', 'openvswitch:br-int:system'],
    ['linuxbridge', 'linuxbridge'],
    ['bridge', 'linuxbridge'],
    ['neutron.agent.linux.interface.BridgeInterfaceDriver', 'linuxbridge'],
    ['null', 'null'],
    ['neutron.agent.linux.interface.NullDriver', 'null'],
  ])('interface_driver = %s is %s', (driver, wiring) => {
    expect(wiringOf(driver)).toBe(wiring);
    expect(isWiring(wiring)).toBe(true);
  });

  it('follows section [OVS] and ovs_use_veth', () => {
    const options = { integration_bridge: 'br-x', datapath_type: 'netdev', ovs_use_veth: true } as const;
    expect(wiringOf('openvswitch', options)).toBe('openvswitch-veth:br-x:netdev');
  });

  it.each(['', 'br int', 'a-name-of-more-than-15', 'br:int', 'br-int\n'])(
    'has no bridge called %j',
    (name) => {
      expect(() => wiringOf('openvswitch', { integration_bridge: name })).toThrow(/integration_bridge = /);
    },
  );

  it('names a driver it does not have', () => {
    expect(() => wiringOf('my.own.Driver')).toThrow(
      'interface_driver = "my.own.Driver": use openvswitch, linuxbridge or null',
    );
  });

  it('calls devices of the DHCP agent as Neutron does', () => {
    expect(dhcpPrefix('openvswitch:br-int:system')).toBe('tap');
    expect(dhcpPrefix('openvswitch-veth:br-int:system')).toBe('ns-');
    expect(dhcpPrefix('linuxbridge')).toBe('ns-');
    expect(dhcpPrefix('own-bridge')).toBe('ns-');
  });

  it("finds the switch's socket too where ovsdb_connection is Neutron's default", () => {
    expect(ovsdbRemotes('tcp:127.0.0.1:6640')).toEqual([
      'tcp:127.0.0.1:6640',
      'unix:/run/openvswitch/db.sock',
    ]);
    expect(ovsdbRemotes('unix:/tmp/db.sock')).toEqual(['unix:/tmp/db.sock']);
    expect(ovsdbRemotes('ssl:10.0.0.1:6640, ssl:10.0.0.2:6640')).toEqual([
      'ssl:10.0.0.1:6640',
      'ssl:10.0.0.2:6640',
    ]);
  });
});

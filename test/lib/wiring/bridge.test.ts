import { describe, expect, it } from 'vitest';
import { bridgeName, deviceName, plugBridge, tapName } from '../../../lib/wiring/bridge.ts';

const port = {
  id: '1a0eeb7f-107d-4fc0-90ef-2481581bfb98',
  network_id: '52592944-4ae8-4830-bac7-921b32da3eb8',
  mac_address: 'FA:16:3E:34:EF:D2',
};

describe('names of devices', () => {
  it('are a prefix and the first 11 characters of the id, as Neutron names them', () => {
    expect(deviceName('qr-', port.id)).toBe('qr-1a0eeb7f-10');
    expect(tapName(port.id)).toBe('tap1a0eeb7f-10');
    expect(bridgeName(port.network_id)).toBe('brq52592944-4a');
  });

  it('are refused for ids that are too short or hold other characters', () => {
    expect(() => deviceName('qr-', 'short')).toThrow(/"short" can't name a device/);
    expect(() => deviceName('qr-', '../../etc/passwd')).toThrow(RangeError);
    expect(() => deviceName('toolong-', port.id)).toThrow(/1 to 4 characters/);
  });
});

describe('plugging a port into a bridge', () => {
  const rows = plugBridge({ ns: 'qrouter-x', device: 'qr-1a0eeb7f-10', port, mtu: 1450 });

  it('wants the bridge of the network, the tap in it and the device in the namespace', () => {
    expect(rows).toEqual([
      {
        kind: 'link',
        key: '|link|brq52592944-4a',
        ns: '',
        name: 'brq52592944-4a',
        type: 'bridge',
        up: true,
        addrGenMode: 'none',
      },
      {
        kind: 'link',
        key: '|link|tap1a0eeb7f-10',
        ns: '',
        name: 'tap1a0eeb7f-10',
        type: 'veth',
        mtu: 1450,
        up: true,
        master: 'brq52592944-4a',
        addrGenMode: 'none',
      },
      {
        kind: 'link',
        key: 'qrouter-x|link|qr-1a0eeb7f-10',
        ns: 'qrouter-x',
        name: 'qr-1a0eeb7f-10',
        type: 'veth',
        mac: 'fa:16:3e:34:ef:d2',
        mtu: 1450,
        up: true,
        peer: { ns: '', name: 'tap1a0eeb7f-10' },
      },
    ]);
  });

  it('wants the very same bridge row for every port of the network, whatever its MTU', () => {
    const other = { ...port, id: 'c53fb0c0-5d94-4b5b-bc7c-201979468a51' };
    expect(plugBridge({ ns: 'qdhcp-y', device: 'ns-c53fb0c0-5d', port: other, mtu: 1400 })[0]).toEqual(
      rows[0],
    );
  });
});

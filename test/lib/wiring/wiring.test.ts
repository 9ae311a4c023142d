import { describe, expect, it } from 'vitest';
import { plugPort } from '../../../lib/wiring/wiring.ts';

const plug = {
  ns: 'qrouter-x',
  device: 'qr-1a0eeb7f-10',
  port: {
    id: '1a0eeb7f-107d-4fc0-90ef-2481581bfb98',
    network_id: '52592944-4ae8-4830-bac7-921b32da3eb8',
    mac_address: 'fa:16:3e:34:ef:d2',
  },
  mtu: 1450,
};
const links = (wiring: Parameters<typeof plugPort>[1]) =>
  plugPort(plug, wiring).map((row) => row.kind === 'link' && { name: row.name, master: row.master });

describe('wiring a port', () => {
  it('into a bridge of our own makes that bridge and puts the tap into it', () => {
    expect(links('own-bridge')).toEqual([
      { name: 'brq52592944-4a', master: undefined },
      { name: 'tap1a0eeb7f-10', master: 'brq52592944-4a' },
      { name: 'qr-1a0eeb7f-10', master: undefined },
    ]);
  });

  it('for the Linux bridge agent leaves the tap to it, by whatever bridge it takes', () => {
    expect(links('linuxbridge')).toEqual([
      { name: 'tap1a0eeb7f-10', master: undefined },
      { name: 'qr-1a0eeb7f-10', master: undefined },
    ]);
  });
});

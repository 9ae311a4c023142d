import { describe, expect, it } from 'vitest';
import { KnownPorts } from '../../../agents/metadata/known-ports.ts';
import type { MetadataPort } from '../../../lib/model/source.ts';

const payloads: Record<string, unknown> = {
  'network n': {
    ports: [
      {
        mac_address: 'FA:16:3E:00:00:01',
        fixed_ips: [{ ip_address: '10.0.0.5' }],
        device_id: 'vm',
        project_id: 'p',
      },
      {
        mac_address: 'fa:16:3e:00:00:02',
        fixed_ips: [{ ip_address: '10.0.0.6' }],
        device_id: '',
        tenant_id: 'p',
      },
    ],
  },
  'router r': { _interfaces: [{ network_id: 'n' }] },
  'router half': { _interfaces: [{ network_id: 'n' }, { network_id: 'elsewhere' }] },
};

function world() {
  const asked: string[] = [];
  const state = {
    current: true,
    now: 0,
    answer: [{ device_id: 'asked', project_id: 'p' }] as MetadataPort[],
  };
  const ports = new KnownPorts(
    { payload: (kind, id) => payloads[`${kind} ${id}`], isCurrent: () => state.current },
    {
      async portOf(identity, address) {
        asked.push(`${JSON.stringify(identity)} ${address}`);
        return state.answer;
      },
    },
    () => state.now,
  );
  return { asked, state, ports };
}

const VM = [{ device_id: 'vm', project_id: 'p' }];

describe('who is behind an address', () => {
  it('is on record for a network and for a router of such networks: nobody is asked', async () => {
    const { ports, asked } = world();
    expect(await ports.portOf({ network: 'n' }, '10.0.0.5')).toEqual(VM);
    expect(await ports.portOf({ router: 'r' }, '10.0.0.5')).toEqual(VM);
    expect(await ports.portOf({ network: 'n' }, 'fe80::f816:3eff:fe00:1')).toEqual(VM);
    expect(asked).toEqual([]);
  });

  it.each([
    ['an address that is not on record', { network: 'n' }, '10.0.0.9'],
    ['a port without an instance', { network: 'n' }, '10.0.0.6'],
    ['a network that is not on record', { network: 'x' }, '10.0.0.5'],
    ['a router with a network that is not', { router: 'half' }, '10.0.0.5'],
    ['a router that is not on record', { router: 'x' }, '10.0.0.5'],
  ] as const)('is asked of the server for %s', async (_what, identity, address) => {
    const { ports, asked } = world();
    expect(await ports.portOf(identity, address)).toEqual([{ device_id: 'asked', project_id: 'p' }]);
    expect(asked).toHaveLength(1);
  });

  it('is asked while the DHCP agent does not follow the server', async () => {
    const { ports, asked, state } = world();
    state.current = false;
    await ports.portOf({ network: 'n' }, '10.0.0.5');
    expect(asked).toHaveLength(1);
  });

  it('is asked once for the requests of a moment, and again later or after a change', async () => {
    const { ports, asked, state } = world();
    const ask = () => ports.portOf({ network: 'x' }, '10.0.0.5');
    await Promise.all([ask(), ask(), ask()]);
    expect(asked).toHaveLength(1);
    state.now = 2_001;
    await ask();
    ports.forget();
    await ask();
    expect(asked).toHaveLength(3);
  });

  it('is asked anew after nobody was there', async () => {
    const { ports, asked, state } = world();
    state.answer = [];
    await ports.portOf({ network: 'x' }, '10.0.0.5');
    await ports.portOf({ network: 'x' }, '10.0.0.5');
    expect(asked).toHaveLength(2);
  });
});

import { describe, expect, test } from 'vitest';
import type { Advertisement } from '../../../lib/announcement/advertisement.ts';
import { announcedIn, stillGone, withdrawals } from '../../../lib/announcement/withdrawal.ts';

/** As Neutron's agent writes it. */
const CONF = `interface qr-1
{
   AdvSendAdvert on;
   AdvOtherConfigFlag on;

   prefix fd00:1::/64
   {
        AdvOnLink on;
        AdvAutonomous on;
   };

   prefix fd00:2::/64
   {
        AdvOnLink on;
        AdvAutonomous off;
   };
   route fe80::a9fe:a9fe/128 {
   };
};
interface qr-2
{
   AdvSendAdvert on;
   AdvManagedFlag on;
   prefix FD00:3::/64 { AdvOnLink on; AdvAutonomous on; };
};
interface ns-3
{
   AdvDefaultLifetime 0;
   prefix fd00:4::/64 { AdvAutonomous on; };
};
`;

const announced = (device: string, ...prefixes: string[]): Advertisement => ({
  device,
  mtu: 1500,
  managed: false,
  otherConfig: false,
  prefixes: prefixes.map((prefix) => ({ prefix, autonomous: true })),
  nameServers: [],
  routes: [],
  defaultRouter: true,
});
const [one, two, three] = [
  announced('qr-1', 'fd00:1::/64'),
  announced('qr-2', 'fd00:3::/64'),
  { ...announced('ns-3', 'fd00:4::/64'), defaultRouter: false },
];

describe('what was announced', () => {
  test('is read from a file, ours or Neutron’s', () => {
    expect(announcedIn(CONF)).toEqual([
      { device: 'qr-1', managed: false, otherConfig: true, defaultRouter: true, prefixes: ['fd00:1::/64'] },
      { device: 'qr-2', managed: true, otherConfig: false, defaultRouter: true, prefixes: ['fd00:3::/64'] },
      { device: 'ns-3', managed: false, otherConfig: false, defaultRouter: false, prefixes: ['fd00:4::/64'] },
    ]);
  });

  test('of a damaged file is what can be understood', () => {
    expect(announcedIn('interface { prefix')).toEqual([]);
    expect(announcedIn('interface a { prefix fd00::/400 { AdvAutonomous on; } }')[0]!.prefixes).toEqual([]);
  });
});

describe('what is withdrawn', () => {
  const before = announcedIn(CONF);

  test('is nothing while all stays', () => {
    expect(withdrawals(before, [one, two, three])).toEqual([]);
  });

  test('is a prefix that goes; the router stays one, with its flags of now', () => {
    expect(withdrawals(before, [{ ...one, prefixes: [], managed: true }, two, three])).toEqual([
      {
        device: 'qr-1',
        leaves: false,
        managed: true,
        otherConfig: false,
        defaultRouter: true,
        prefixes: ['fd00:1::/64'],
      },
    ]);
  });

  test('is a prefix in which hosts are to make no more addresses', () => {
    const stateful = { ...one, prefixes: [{ prefix: 'fd00:1::/64', autonomous: false }] };
    expect(withdrawals(before, [stateful, two, three])[0]!.prefixes).toEqual(['fd00:1::/64']);
  });

  test('is the router itself where its device goes', () => {
    expect(withdrawals(before, [one, three])).toEqual([
      {
        device: 'qr-2',
        leaves: true,
        managed: true,
        otherConfig: false,
        defaultRouter: false,
        prefixes: ['fd00:3::/64'],
      },
    ]);
  });

  test('is nothing where another announces the prefix from now on, and no route was given', () => {
    expect(withdrawals(before, [one, two], ['fd00:4::/64'])).toEqual([]);
  });

  test('is not said again once it is announced again', () => {
    const gone = withdrawals(before, [{ ...one, prefixes: [] }, two, three]);
    expect(stillGone(gone, [{ ...one, prefixes: [] }])).toEqual(gone);
    expect(stillGone(gone, [one])).toEqual([]);
    expect(stillGone(gone, [])).toEqual([]);
  });
});

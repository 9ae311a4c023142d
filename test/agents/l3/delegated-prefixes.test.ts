import { describe, expect, test } from 'vitest';
import { compileRouter } from '../../../agents/l3/compile/router.ts';
import { DelegatedPrefixes } from '../../../agents/l3/delegated-prefixes.ts';
import { l3Options } from '../../../agents/l3/options.ts';
import { parseRouter, type Router } from '../../../lib/model/router.ts';
import type { PrefixDelegation, Uplink, WantedPrefix } from '../../../lib/prefix-delegation/delegations.ts';
import { portPayload, routerPayload } from './compile/payload.ts';

const options = l3Options();
const PREFIX = '2001:db8:f000:1::/64';

/** As a server of Neutron 21 sends it before a prefix was delegated: the addresses are made of `::/64`. */
function withDelegated(cidr = '::/64', wish: Record<string, unknown> = {}): Router {
  const port = portPayload({
    ips: [cidr === '::/64' ? '::175/64' : cidr.replace('::/', '::1/')],
    subnets: [{ cidr, gateway_ip: cidr === '::/64' ? '::' : cidr.replace('::/64', '::1') }],
  });
  const [subnet] = port.subnets;
  const delegated = { ...subnet!, id: SUBNET, subnetpool_id: 'prefix_delegation', ipv6_ra_mode: 'slaac' };
  return parseRouter(routerPayload({ ...wish, _interfaces: [{ ...port, ...wish, subnets: [delegated] }] }));
}
const SUBNET = '0b1c2d3e-4f50-4617-8899-aabbccddeeff';

function world(held: Record<string, string> = {}) {
  const kept: [Uplink | undefined, readonly string[]][] = [];
  const wanted: [Uplink, readonly WantedPrefix[]][] = [];
  const told: Readonly<Record<string, string>>[] = [];
  const gone: string[] = [];
  const refuses = { why: '' };
  const delegation: PrefixDelegation = {
    async keepOnly(_router, uplink, subnets) {
      kept.push([uplink, subnets]);
      return gone;
    },
    want: (_router, uplink, subnets) => void wanted.push([uplink, subnets]),
    prefixes: () => held,
    forget() {},
    close() {},
  };
  const plugin = {
    async updatePrefixes(prefixes: Readonly<Record<string, string>>) {
      if (refuses.why) throw new Error(refuses.why);
      told.push(prefixes);
    },
  };
  const logger = { debug() {}, info() {}, warn() {} };
  const prefixes = new DelegatedPrefixes({ delegation, plugin, options, logger });
  return { prefixes, kept, wanted, told, gone, refuses };
}

describe('a router with a subnet that waits for its prefix', () => {
  test('has no address on it, and asks on its gateway', async () => {
    const router = withDelegated();
    const rows = compileRouter({ router, host: { name: 'h' }, options }).flat();
    const addresses = rows.flatMap((row) => (row.kind === 'address' ? [row.ip] : []));
    expect(addresses).toEqual(['203.0.113.2']);
    const { prefixes, wanted, told } = world();
    await prefixes.follow(router);
    expect(wanted).toEqual([
      [
        { ns: `qrouter-${router.id}`, device: `qg-${router.gw_port!.id.slice(0, 11)}` },
        [{ subnet: SUBNET, cidr: '::/64' }],
      ],
    ]);
    expect(told).toEqual([]);
  });

  test('tells the controller what it has got, once, and again if that could not be said', async () => {
    const { prefixes, told, refuses } = world({ [SUBNET]: PREFIX });
    refuses.why = 'the broker does not answer';
    await expect(prefixes.follow(withDelegated())).rejects.toThrow(refuses.why);
    refuses.why = '';
    await prefixes.follow(withDelegated());
    await prefixes.follow(withDelegated(PREFIX));
    expect(told).toEqual([{ [SUBNET]: PREFIX }]);
  });

  test('tells of another prefix, and of one that ran out', async () => {
    const other = world({ [SUBNET]: '2001:db8:f00d::/64' });
    await other.prefixes.follow(withDelegated(PREFIX));
    expect(other.told).toEqual([{ [SUBNET]: '2001:db8:f00d::/64' }]);
    const none = world({ [SUBNET]: '::/64' });
    await none.prefixes.follow(withDelegated(PREFIX));
    expect(none.told).toEqual([{ [SUBNET]: '::/64' }]);
  });

  test('has the gateway’s address once there is a prefix', () => {
    const rows = compileRouter({ router: withDelegated(PREFIX), host: { name: 'h' }, options }).flat();
    expect(rows.flatMap((row) => (row.kind === 'address' ? [row.ip] : []))).toContain('2001:db8:f000:1::1');
  });
});

describe('what is given back', () => {
  test('is what the router wants no more: all without a gateway, or of ports that are down', async () => {
    const { prefixes, kept } = world();
    await prefixes.giveBack('r', withDelegated(PREFIX));
    expect(kept.at(-1)![1]).toEqual([SUBNET]);
    await prefixes.giveBack('r', withDelegated(PREFIX, { gw_port: null }));
    expect(kept.at(-1)).toEqual([undefined, []]);
    await prefixes.giveBack('r', withDelegated(PREFIX, { admin_state_up: false }));
    expect(kept.at(-1)![1]).toEqual([]);
    await prefixes.giveBack('r');
    expect(kept.at(-1)).toEqual([undefined, []]);
  });

  test('is told, and a controller that has no such subnet any more keeps nobody from going on', async () => {
    const { prefixes, gone, told, refuses } = world();
    gone.push(SUBNET);
    await prefixes.giveBack('r');
    expect(told).toEqual([{ [SUBNET]: '::/64' }]);
    refuses.why = 'SubnetNotFound';
    await prefixes.giveBack('r');
  });
});

test('other routers are asked nothing and ask for nothing', async () => {
  const { prefixes, wanted, told } = world({ [SUBNET]: PREFIX });
  await prefixes.follow(parseRouter(routerPayload()));
  expect([wanted, told]).toEqual([[], []]);
});

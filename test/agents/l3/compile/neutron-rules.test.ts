import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { givenBack, neutronRules } from '../../../../agents/l3/compile/neutron-rules.ts';
import { compileRouter } from '../../../../agents/l3/compile/router.ts';
import { l3Options } from '../../../../agents/l3/options.ts';
import { parseRouter } from '../../../../lib/model/router.ts';

const read = (name: string): string =>
  readFileSync(new URL(`../../../fixtures/iptables/${name}`, import.meta.url), 'utf8');
/** A router of Neutron 21.0 with a gateway, two subnets and a floating IP, and what its agent made of it. */
const PAYLOAD = JSON.parse(read('router.json')) as Record<string, unknown>;
const SAVED = { ip: read('zed.txt'), ip6: read('zed6.txt') };

const rules = (more: Record<string, unknown> = {}, options: Parameters<typeof l3Options>[0] = {}) => {
  const [ip, ip6] = neutronRules(parseRouter({ ...PAYLOAD, ...more }), l3Options(options));
  return { ip: ip!.rules, ip6: ip6!.rules };
};

/** Rules of each chain in their order, and the chains there are; what the kernel brings along is left out. */
function chainsOf(text: string): Map<string, string[]> {
  const chains = new Map<string, string[]>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    const [, declared] = /^:(neutron\S*) /.exec(line) ?? [];
    if (declared) chains.set(`${table} ${declared}`, []);
    const [, chain, rule] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain) chains.set(`${table} ${chain}`, [...(chains.get(`${table} ${chain}`) ?? []), rule!]);
  }
  return new Map([...chains].sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('the rules a router is given back with', () => {
  it.each(['ip', 'ip6'] as const)('are those Neutron’s agent had written, rule for rule (%s)', (family) => {
    expect(chainsOf(rules()[family])).toEqual(chainsOf(SAVED[family]));
  });

  it('follow the router: without SNAT, without gateway, without floating IPs', () => {
    const off = rules({ enable_snat: false });
    expect(off.ip).not.toMatch(/-A neutron-l3-agent-snat -o qg-/);
    expect(off.ip).toMatch(/--ctstate DNAT -j SNAT --to-source 203\.0\.113\./);
    expect(off.ip).toMatch(/-A neutron-l3-agent-scope -o qg-\S+ -m mark ! --mark/);
    const inside = rules({ gw_port: null, external_gateway_info: null });
    expect(inside.ip).not.toMatch(/qg-|SNAT|DNAT/);
    expect(rules({ _floatingips: [] }).ip).not.toMatch(/-j DNAT/);
  });

  it('follow the options', () => {
    const off = rules({}, { enable_metadata_proxy: false, use_random_fully: false });
    expect(off.ip + off.ip6).not.toMatch(/REDIRECT|9697|random/);
    expect(off.ip).toContain('--dport 80 -j MARK --set-xmark 0x1/0xffff');
    const other = rules({}, { metadata_port: 8080, external_ingress_mark: '0x7' });
    expect(other.ip).toMatch(/REDIRECT --to-ports 8080/);
    expect(other.ip).toMatch(/-i qg-\S+ -j MARK --set-xmark 0x7\/0xffff/);
  });

  it('leave scopes of their own to Neutron’s agent: nothing is dropped until it comes', () => {
    const ports = PAYLOAD._interfaces as object[];
    const scope = '11111111-2222-4333-8444-555555555555';
    const scoped = rules({ _interfaces: [{ ...ports[0], address_scopes: { 4: scope, 6: null } }] });
    expect(scoped.ip + scoped.ip6).not.toMatch(/-scope -[io] /);
  });

  it('take the place of our ruleset; all other rows stay', () => {
    const router = parseRouter(PAYLOAD);
    const options = l3Options({ wiring: 'linuxbridge' });
    const groups = compileRouter({ router, host: { name: 'net-1' }, options });
    const rows = givenBack(groups, neutronRules(router, options)).flat();
    expect(rows.filter(({ kind }) => kind.startsWith('nft'))).toEqual([]);
    expect(rows.filter(({ kind }) => kind === 'xtables').map(({ key }) => key)).toEqual([
      `qrouter-${router.id}|xtables|ip`,
      `qrouter-${router.id}|xtables|ip6`,
    ]);
    const others = groups.flat().filter(({ kind }) => !kind.startsWith('nft'));
    expect(rows.filter(({ kind }) => kind !== 'xtables')).toEqual(others);
  });
});

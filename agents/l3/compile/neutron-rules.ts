/**
 * The packet rules of a centralized router as Neutron's L3 agent writes them, for iptables-restore: what a namespace has
 * when it is given back (`neutron/agent/linux/iptables_manager.py`, `agent/l3/router_info.py`, contract §8). Pure.
 *
 * Scopes of their own (address scopes that are not null) are left to Neutron's agent: until it starts everything is
 * let through, as before.
 */

import type { Router } from '../../../lib/model/router.ts';
import type { RouterPort } from '../../../lib/model/router-port.ts';
import { type RowGroup, type XtablesRow, xtables } from '../../../lib/namespace/rows.ts';
import { deviceName } from '../../../lib/wiring/bridge.ts';
import type { L3Options } from '../options.ts';
import { associatedFloatingIps } from './floating-ips.ts';
import { gatewayDevice, gatewayIpv4 } from './gateway.ts';
import { routerNamespace } from './namespace.ts';
import { addressTerm } from './nft-terms.ts';

const OWN = 'neutron-l3-agent-';
const METADATA = { 4: '169.254.169.254/32', 6: 'fe80::a9fe:a9fe/128' } as const;
/** Neutron's number for "no address scope", in the upper half of the mark. */
const NO_SCOPE = '0x4000000/0xffff0000';
const UPPER_HALF = '0xffff0000';
const SAVE_SCOPE = `-m connmark --mark 0x0/${UPPER_HALF} -j CONNMARK --save-mark --nfmask ${UPPER_HALF} --ctmask ${UPPER_HALF}`;
const RESTORE_SCOPE = `-m connmark ! --mark 0x0/${UPPER_HALF} -j CONNMARK --restore-mark --nfmask ${UPPER_HALF} --ctmask ${UPPER_HALF}`;

type Version = 4 | 6;

/** Rules of one table, by chain: own ones without the prefix, those of the kernel and shared ones as they are. */
interface Table {
  readonly name: 'raw' | 'mangle' | 'nat' | 'filter';
  /** built-in chains, each with a chain of the agent's own that it leads to */
  readonly wrapped: readonly string[];
  /** more own chains */
  readonly own: readonly string[];
  /** as they are */
  readonly before?: readonly string[];
  readonly shared?: readonly string[];
  readonly after?: readonly string[];
  /** rules of own chains */
  readonly rules: readonly (readonly [chain: string, rule: string])[];
}

function tableText({ name, wrapped, own, before = [], shared = [], after = [], rules }: Table): string[] {
  return [
    `*${name}`,
    ...[...shared, ...[...wrapped, ...own].map((chain) => OWN + chain)].map((chain) => `:${chain} - [0:0]`),
    ...before,
    ...wrapped.map((chain) => `-A ${chain} -j ${OWN}${chain}`),
    ...after,
    ...rules.map(([chain, rule]) => `-A ${OWN}${chain} ${rule.replace('$', OWN)}`),
    'COMMIT',
  ];
}

const hex = (mark: number): string => `0x${mark.toString(16)}/0xffff`;

interface Facts {
  readonly router: Router;
  readonly options: L3Options;
  /** devices with an address of the family, if no port is in a scope of its own */
  readonly scoped: Readonly<Record<Version, readonly string[]>>;
  readonly gateway?: { readonly device: string; readonly ip?: string };
  readonly snat: boolean;
}

const hasFamily = ({ fixed_ips }: RouterPort, version: Version): boolean =>
  fixed_ips.some(({ ip_address }) => ip_address.includes(':') === (version === 6));

function factsOf(router: Router, options: L3Options): Facts {
  const port = router.gw_port ?? undefined;
  const inside = router._interfaces
    .filter(({ admin_state_up }) => admin_state_up)
    .map((one) => ({ one, device: deviceName('qr-', one.id) }));
  const all = [...inside, ...(port ? [{ one: port, device: gatewayDevice(port) }] : [])];
  const plain = all.every(({ one }) => Object.values(one.address_scopes).every((scope) => scope === null));
  const devices = (version: Version): string[] =>
    plain ? all.filter(({ one }) => hasFamily(one, version)).map(({ device }) => device) : [];
  const ip = port && gatewayIpv4(port);
  return {
    router,
    options,
    scoped: { 4: devices(4), 6: devices(6) },
    ...(port && { gateway: { device: gatewayDevice(port), ...(ip ? { ip: addressTerm(ip) } : {}) } }),
    snat: router.enable_snat !== false,
  };
}

const raw: Table = { name: 'raw', wrapped: ['PREROUTING', 'OUTPUT'], own: [], rules: [] };

function mangle({ options, scoped, gateway, snat }: Facts, version: Version): Table {
  const v4 = version === 4;
  const request = `-d ${METADATA[version]} -i qr-+ -p tcp -m tcp --dport 80`;
  const rules: [string, string][] = [
    ...(v4 ? [['PREROUTING', '-j $mark'] satisfies [string, string]] : []),
    ['PREROUTING', '-j $scope'],
    ['PREROUTING', RESTORE_SCOPE],
    ...(v4 ? [['PREROUTING', '-j $floatingip'] satisfies [string, string]] : []),
    ['PREROUTING', `${request} -j MARK --set-xmark ${hex(options.metadata_access_mark)}`],
    ...scoped[version].map((dev): [string, string] => ['scope', `-i ${dev} -j MARK --set-xmark ${NO_SCOPE}`]),
  ];
  if (v4) rules.push(['float-snat', SAVE_SCOPE]);
  if (v4 && gateway?.ip)
    rules.push(['mark', `-i ${gateway.device} -j MARK --set-xmark ${hex(options.external_ingress_mark)}`]);
  if (v4 && gateway && snat) rules.push(['POSTROUTING', `-o ${gateway.device} ${SAVE_SCOPE}`]);
  return {
    name: 'mangle',
    wrapped: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
    own: v4 ? ['float-snat', 'floatingip', 'mark', 'scope'] : ['scope'],
    rules,
  };
}

function redirect({ options }: Facts, version: Version): [string, string][] {
  if (!options.enable_metadata_proxy) return [];
  const request = `-d ${METADATA[version]} -i qr-+ -p tcp -m tcp --dport 80`;
  return [['PREROUTING', `${request} -j REDIRECT --to-ports ${options.metadata_port}`]];
}

function nat(facts: Facts): Table {
  const { router, options, gateway, snat } = facts;
  const random = options.use_random_fully ? ' --random-fully' : '';
  const rules: [string, string][] = [['snat', '-j $float-snat'], ...redirect(facts, 4)];
  for (const { ip, fixedIp, translatesOutgoing } of associatedFloatingIps(router)) {
    const [outer, inner] = [addressTerm(ip), addressTerm(fixedIp)];
    rules.push(['PREROUTING', `-d ${outer}/32 -j DNAT --to-destination ${inner}`]);
    rules.push(['OUTPUT', `-d ${outer}/32 -j DNAT --to-destination ${inner}`]);
    if (translatesOutgoing)
      rules.push(['float-snat', `-s ${inner}/32 -j SNAT --to-source ${outer}${random}`]);
  }
  if (gateway?.ip) {
    const toGateway = `-j SNAT --to-source ${gateway.ip}${random}`;
    rules.push(['POSTROUTING', `! -o ${gateway.device} -m conntrack ! --ctstate DNAT -j ACCEPT`]);
    if (snat) rules.push(['snat', `-o ${gateway.device} ${toGateway}`]);
    rules.push([
      'snat',
      `-m mark ! --mark ${hex(options.external_ingress_mark)} -m conntrack --ctstate DNAT ${toGateway}`,
    ]);
  }
  return {
    name: 'nat',
    wrapped: ['PREROUTING', 'OUTPUT', 'POSTROUTING'],
    own: ['float-snat', 'snat'],
    shared: ['neutron-postrouting-bottom'],
    after: [
      '-A POSTROUTING -j neutron-postrouting-bottom',
      `-A neutron-postrouting-bottom -m comment --comment "Perform source NAT on outgoing traffic." -j ${OWN}snat`,
    ],
    rules,
  };
}

function filter({ options, scoped, gateway, snat }: Facts, version: Version): Table {
  const free = version === 4 && snat ? gateway?.device : undefined;
  const { metadata_access_mark: mark, metadata_port: port } = options;
  const proxy: [string, string][] = [
    ['INPUT', `-m mark --mark ${hex(mark)} -j ACCEPT`],
    ['INPUT', `-p tcp -m tcp --dport ${port} -j DROP`],
  ];
  return {
    name: 'filter',
    wrapped: ['INPUT', 'FORWARD', 'OUTPUT'],
    own: ['local', 'scope'],
    shared: ['neutron-filter-top'],
    before: ['-A FORWARD -j neutron-filter-top', '-A OUTPUT -j neutron-filter-top'],
    after: [`-A neutron-filter-top -j ${OWN}local`],
    rules: [
      ...(options.enable_metadata_proxy ? proxy : []),
      ['FORWARD', '-j $scope'],
      ...scoped[version]
        .filter((dev) => dev !== free)
        .map((dev): [string, string] => ['scope', `-o ${dev} -m mark ! --mark ${NO_SCOPE} -j DROP`]),
    ],
  };
}

const nat6 = (facts: Facts): Table => ({
  name: 'nat',
  wrapped: ['PREROUTING'],
  own: [],
  rules: redirect(facts, 6),
});

const text = (tables: readonly Table[]): string => `${tables.flatMap(tableText).join('\n')}\n`;

/** The rows that stand in for a router's nftables table when its namespace is Neutron's again. */
export function neutronRules(router: Router, options: L3Options): readonly XtablesRow[] {
  const ns = routerNamespace(router.id, options.namespace_suffix);
  const facts = factsOf(router, options);
  const rules = {
    ip: text([raw, mangle(facts, 4), nat(facts), filter(facts, 4)]),
    ip6: text([raw, mangle(facts, 6), nat6(facts), filter(facts, 6)]),
  };
  return [xtables({ ns, family: 'ip', rules: rules.ip }), xtables({ ns, family: 'ip6', rules: rules.ip6 })];
}

/** A router's rows as they are to be when Neutron's agent takes it over: all the same but the ruleset. */
export const givenBack = (groups: readonly RowGroup[], rules: RowGroup): RowGroup[] => [
  ...groups
    .map((group) => group.filter(({ kind }) => kind !== 'nft-table' && kind !== 'nft-element'))
    .filter((group) => group.length > 0),
  rules,
];

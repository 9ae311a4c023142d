import type { Router } from '../../../lib/model/router.ts';
import type { RouterPort } from '../../../lib/model/router-port.ts';
import { type NftChain, nftTable, type RowGroup } from '../../../lib/namespace/rows.ts';
import type { L3Options } from '../options.ts';
import { gatewayDevice, gatewayIpv4 } from './gateway.ts';
import { byValue } from './memo.ts';
import { addressTerm, deviceTerm, markTerm } from './nft-terms.ts';

/** Our only table in a router namespace (`inet viaduct`); all others in there belong to somebody else. */
export const TABLE = 'viaduct';
/** floating IP → fixed IP */
export const DNAT_MAP = 'fip_dnat';
/** fixed IP → floating IP */
export const SNAT_MAP = 'fip_snat';

/** The low half of a packet mark is the agent's verdict on where it came from, the upper half its address scope. */
const LOW_HALF = 0xffff;
const UPPER_HALF = 0xffff0000;

const METADATA = [
  `iifname ${deviceTerm('qr-*')} ip daddr 169.254.169.254 tcp dport 80`,
  `iifname ${deviceTerm('qr-*')} ip6 daddr fe80::a9fe:a9fe tcp dport 80`,
] as const;

/** All a ruleset depends on. Floating IPs are not among it: they are elements of the two maps. */
interface RulesetInput {
  readonly ns: string;
  /** gateway device; absent without a gateway */
  readonly device?: string;
  /** address for SNAT; absent without a gateway or without an IPv4 address on it */
  readonly gatewayIp?: string;
  readonly enableSnat: boolean;
  readonly metadataPort?: number;
  readonly metadataMark: number;
  readonly ingressMark: number;
  readonly randomFully: boolean;
}

const setLowHalf = (value: number): string =>
  `meta mark set meta mark & ${markTerm(UPPER_HALF)} | ${markTerm(value)}`;
const lowHalf = (operator: '==' | '!=', value: number): string =>
  `meta mark & ${markTerm(LOW_HALF)} ${operator} ${markTerm(value)}`;

// The comments M1 … S5 are the rows of the treatment table in Neutron's terms (mangle, nat, filter hooks).

function manglePrerouting({ device, gatewayIp, ingressMark, metadataMark }: RulesetInput): NftChain {
  const rules: string[] = [];
  // M1: came in by the gateway
  if (device !== undefined && gatewayIp !== undefined)
    rules.push(`meta nfproto ipv4 iifname ${deviceTerm(device)} ${setLowHalf(ingressMark)}`);
  // M3: metadata request
  rules.push(...METADATA.map((request) => `${request} ${setLowHalf(metadataMark)}`));
  return { name: 'mangle_prerouting', hook: { type: 'filter', hook: 'prerouting', priority: -150 }, rules };
}

/** N1 and N3: to a floating IP, from outside, from inside and from the router itself. */
const toFloatingIp = ({ device }: RulesetInput): string[] =>
  device === undefined ? [] : [`dnat ip to ip daddr map @${DNAT_MAP}`];

function natPrerouting(input: RulesetInput): NftChain {
  const rules = toFloatingIp(input);
  // N2: metadata requests go to the proxy in this namespace
  if (input.metadataPort !== undefined)
    rules.push(...METADATA.map((request) => `${request} redirect to :${input.metadataPort}`));
  return { name: 'nat_prerouting', hook: { type: 'nat', hook: 'prerouting', priority: -100 }, rules };
}

const natOutput = (input: RulesetInput): NftChain => ({
  name: 'nat_output',
  hook: { type: 'nat', hook: 'output', priority: -100 },
  rules: toFloatingIp(input),
});

/** F1, F2: nobody reaches the proxy except by the redirect, which marked the packet before. */
const filterInput = ({ metadataPort, metadataMark }: RulesetInput): NftChain => ({
  name: 'filter_input',
  hook: { type: 'filter', hook: 'input', priority: 0 },
  rules:
    metadataPort === undefined
      ? []
      : [`${lowHalf('==', metadataMark)} accept`, `tcp dport ${metadataPort} drop`],
});

/** F3: a metadata request the redirect did not catch (an invalid connection) never leaves the router. */
const filterForward = ({ metadataPort, metadataMark }: RulesetInput): NftChain => ({
  name: 'filter_forward',
  hook: { type: 'filter', hook: 'forward', priority: 0 },
  rules: metadataPort === undefined ? [] : [`${lowHalf('==', metadataMark)} drop`],
});

function natPostrouting(input: RulesetInput): NftChain {
  const { device, gatewayIp, enableSnat, ingressMark } = input;
  const random = input.randomFully ? ' fully-random' : '';
  const rules: string[] = [];
  if (device !== undefined) {
    const out = deviceTerm(device);
    // S1: no translation between internal networks
    if (gatewayIp !== undefined)
      rules.push(`meta nfproto ipv4 oifname != ${out} ct status & dnat == 0 accept`);
    // S2: from an address that has a floating IP
    rules.push(`snat ip to ip saddr map @${SNAT_MAP}${random}`);
    if (gatewayIp !== undefined) {
      const toGateway = `snat ip to ${addressTerm(gatewayIp)}${random}`;
      // S4: everybody else
      if (enableSnat) rules.push(`oifname ${out} ${toGateway}`);
      // S5: from inside to a floating IP of this router: the reply must come back through the router
      rules.push(`${lowHalf('!=', ingressMark)} ct status & dnat == dnat ${toGateway}`);
    }
  }
  return { name: 'nat_postrouting', hook: { type: 'nat', hook: 'postrouting', priority: 100 }, rules };
}

const rulesetOf = byValue(
  (input: RulesetInput): RowGroup => [
    nftTable({
      ns: input.ns,
      family: 'inet',
      name: TABLE,
      sets: [
        { name: DNAT_MAP, type: 'ipv4_addr : ipv4_addr' },
        { name: SNAT_MAP, type: 'ipv4_addr : ipv4_addr' },
      ],
      chains: [
        manglePrerouting(input),
        natPrerouting(input),
        natOutput(input),
        filterInput(input),
        filterForward(input),
        natPostrouting(input),
      ],
    }),
  ],
);

const gatewayInput = (port: RouterPort) => ({ device: gatewayDevice(port), gatewayIp: gatewayIpv4(port) });

/**
 * The packet rules of a centralized router, as one table. A missing `enable_snat` means true. Without a gateway
 * only the metadata rules are left.
 */
export function ruleset(router: Router, ns: string, options: L3Options): RowGroup {
  return rulesetOf({
    ns,
    ...(router.gw_port && gatewayInput(router.gw_port)),
    enableSnat: router.enable_snat !== false,
    ...(options.enable_metadata_proxy && { metadataPort: options.metadata_port }),
    metadataMark: options.metadata_access_mark,
    ingressMark: options.external_ingress_mark,
    randomFully: options.use_random_fully,
  });
}

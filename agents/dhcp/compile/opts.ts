/** The file `opts`: options by subnet and by port (`neutron/agent/linux/dhcp.py`). */
import { isIp } from '../../../lib/model/ip.ts';
import { type Network, segmentOf } from '../../../lib/model/network.ts';
import { DEVICE_OWNER, type Port } from '../../../lib/model/port.ts';
import type { Subnet } from '../../../lib/model/subnet.ts';
import type { DhcpOptions } from '../options.ts';
import { optionsOfPort } from './hosts.ts';
import { ownPort, portTag, subnetTag } from './identity.ts';
import { allSubnets, configuredPorts, isIsolated } from './subnets.ts';
import { fitsLine, isOptionName, isOptionValue, shown, type Warn } from './text.ts';

export interface OptsInput {
  readonly network: Network;
  readonly host: string;
  readonly options: Pick<DhcpOptions, 'dns_domain' | 'force_metadata' | 'enable_isolated_metadata'>;
  readonly warn: Warn;
}

const METADATA = '169.254.169.254/32';
const ANY = '0.0.0.0/0';
/** Said as the only name server: announce none. */
const NO_SERVER: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
/** Microsoft's number of option 121; its clients ask for this one (MS-DHCPE). */
const MS_CLASSLESS_ROUTES = '249';
/** Options that may be sent without value. */
const MAY_BE_EMPTY = /(^|,)(router|3|classless-static-route|121)$/;

function optionName(version: 4 | 6, name: string): string {
  const comma = name.lastIndexOf(',');
  const tag = name.slice(0, comma + 1);
  const plain = name.slice(comma + 1);
  if (version === 6) return `${tag}option6:${plain}`;
  return `${tag}${/^\d+$/.test(plain) ? plain : `option:${plain}`}`;
}

const line = (tag: string, version: 4 | 6, name: string, ...values: string[]): string =>
  [`tag:${tag}`, optionName(version, name), ...values].join(',');

/** As dnsmasq wants addresses in options. */
const literal = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip);

const addressOn = (port: Port | undefined, subnet: Subnet): string | undefined =>
  port?.fixed_ips.find(({ subnet_id }) => subnet_id === subnet.id)?.ip_address;

/** Next hop of the metadata address on an IPv4 subnet (dhcp.md §11). */
function metadataHop(subnet: Subnet, input: OptsInput): string | undefined {
  const { network, host, options } = input;
  const ovn = network.ports.find(
    (port) =>
      port.device_owner === 'network:distributed' &&
      port.device_id.startsWith('ovnmeta-') &&
      addressOn(port, subnet) !== undefined,
  );
  if (ovn) return addressOn(ovn, subnet);
  const isolated = isIsolated(subnet, network);
  if (options.force_metadata || (isolated && options.enable_isolated_metadata))
    return addressOn(ownPort(network, host), subnet);
  return isolated ? undefined : (subnet.gateway_ip ?? undefined);
}

function isIpv4Route(route: Subnet['host_routes'][number], { id }: Subnet, warn: Warn): boolean {
  const text = `${route.destination} via ${route.nexthop}`;
  if (!text.includes(':')) return true;
  warn(`subnet ${id}: host_routes: ${text} is not IPv4: it is left out`);
  return false;
}

/** Option 121 leaves option 3 without effect, so that the default route comes last in it. */
function routeLines(subnet: Subnet, input: OptsInput): string[] {
  const tag = subnetTag(subnet.id);
  const isDefault = ({ destination }: Subnet['host_routes'][number]): boolean => destination === ANY;
  const gateway = subnet.gateway_ip ?? subnet.host_routes.find(isDefault)?.nexthop;
  const siblings = allSubnets(input.network).filter(
    (other) => other.ip_version === 4 && other.cidr !== subnet.cidr && segmentOf(other) === segmentOf(subnet),
  );
  const routes = [
    ...siblings.map(({ cidr }) => `${cidr},0.0.0.0`).reverse(),
    ...subnet.host_routes
      .filter((route) => !isDefault(route) && isIpv4Route(route, subnet, input.warn))
      .map(({ destination, nexthop }) => `${destination},${nexthop}`),
  ];
  const metadata = metadataHop(subnet, input);
  if (metadata) routes.push(`${METADATA},${metadata}`);
  const lines: string[] = [];
  if (routes.length > 0) {
    if (gateway) routes.push(`${ANY},${gateway}`);
    const pair = [
      line(tag, 4, 'classless-static-route', ...routes),
      line(tag, 4, MS_CLASSLESS_ROUTES, ...routes),
    ];
    if (pair.every(fitsLine)) lines.push(...pair);
    else
      input.warn(`subnet ${subnet.id}: ${routes.length} routes are too many for dnsmasq: none is announced`);
  }
  lines.push(line(tag, 4, 'router', ...(gateway ? [gateway] : [])));
  return lines;
}

function subnetLines(subnet: Subnet, input: OptsInput): string[] {
  const tag = subnetTag(subnet.id);
  const version = subnet.ip_version;
  const servers = subnet.dns_nameservers.filter((server) => {
    const fits = server.includes(':') === (version === 6);
    if (!fits)
      input.warn(`subnet ${subnet.id}: dns_nameservers: ${server} is not IPv${version}: it is left out`);
    return fits;
  });
  const lines: string[] = [];
  if (servers.length === 1 && NO_SERVER.has(servers[0]!)) lines.push(line(tag, version, 'dns-server'));
  else if (servers.length > 0) lines.push(line(tag, version, 'dns-server', ...servers.map(literal)));
  if (version === 4) lines.push(...routeLines(subnet, input));
  else if (input.options.dns_domain) lines.push(line(tag, 6, 'domain-search', input.options.dns_domain));
  return lines;
}

/** A tenant's options; what can't be told to dnsmasq safely is left out, one by one. */
function portLines(port: Port, warn: Warn): string[] {
  if (port.extra_dhcp_opts.length === 0) return [];
  return optionsOfPort(port).flatMap((option) => {
    const version = option.ip_version;
    const name = option.opt_name.split('\n')[0]!;
    const value = option.opt_value.split('\n')[0]!;
    const named = `port ${port.id}: extra_dhcp_opts: opt_name ${shown(name)}`;
    if (name !== option.opt_name || value !== option.opt_value)
      warn(`${named}: a name or opt_value has several lines: the first one counts`);
    if (!port.fixed_ips.some(({ ip_address }) => ip_address.includes(':') === (version === 6))) return [];
    const made = line(portTag(port.id), version, name, ...(value === '' ? [] : [value]));
    if (!isOptionName(name)) warn(`${named} is neither a name nor a number: it is left out`);
    else if (value === '' && !MAY_BE_EMPTY.test(name)) warn(`${named} has no opt_value: it is left out`);
    else if (!isOptionValue(value) || !fitsLine(made))
      warn(`${named} has an opt_value dnsmasq can't be told, ${shown(value)}: it is left out`);
    else return [made];
    return [];
  });
}

/** Clients of a subnet without name servers of its own ask any of its DHCP agents, if there are several. */
function agentLines(subnet: Subnet, network: Network): string[] {
  const agents = network.ports
    .filter(({ device_owner }) => device_owner === DEVICE_OWNER.dhcp)
    .flatMap(({ fixed_ips }) => fixed_ips.filter(({ subnet_id }) => subnet_id === subnet.id))
    .map(({ ip_address }) => ip_address)
    .filter((ip) => isIp(ip) && ip.includes(':') === (subnet.ip_version === 6));
  if (agents.length < 2) return [];
  return [line(subnetTag(subnet.id), subnet.ip_version, 'dns-server', ...agents.map(literal))];
}

/** Lines of the opts file: subnets, ports, then what several agents make necessary. */
export function optsLines(input: OptsInput): string[] {
  const { network, warn } = input;
  const served = allSubnets(network).filter(
    (subnet) => subnet.enable_dhcp && !(subnet.ip_version === 6 && subnet.ipv6_address_mode === 'slaac'),
  );
  return [
    ...served.flatMap((subnet) => subnetLines(subnet, input)),
    ...configuredPorts(network).flatMap((port) => portLines(port, warn)),
    ...served
      .filter(({ dns_nameservers }) => dns_nameservers.length === 0)
      .flatMap((subnet) => agentLines(subnet, network)),
  ];
}

/** The sections of a topology file as written: shapes and single values checked, references not yet. */
import { DELEGATED_POOL } from '../model/subnet.ts';
import type { Given, Item, Section } from './document.ts';

export const IPV6_MODES = ['slaac', 'dhcpv6-stateless', 'dhcpv6-stateful'] as const;
export type Ipv6Mode = (typeof IPV6_MODES)[number];
export const CONFIGURE = ['dhcp', 'static', 'none'] as const;

const text = (item: Item) => item.text();

/** What every object has. Its name goes into the errors about it. */
function readHead(section: Section, kind: string) {
  const name = section.text('name');
  if (name) section.subject = `${kind} ${JSON.stringify(name.value)}`;
  return { section, at: section.at, name, id: section.uuid('id') };
}

const readProject = (section: Section) =>
  section.word('project', /^[\w.@-]{1,255}$/, 'a project id', "use letters, digits, '.', '_', '-' or '@'");

export const readDomain = (section: Section, key: string) =>
  section.word(
    key,
    /^(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\.?$/i,
    'a domain name',
    'write it like lab.example',
  );

function readRoute(section: Section) {
  const destination = section.required('destination', section.cidr('destination'), 'add the CIDR to reach');
  const nexthop = section.required('nexthop', section.ip('nexthop'), 'add the address to send it to');
  section.done();
  if (!destination || !nexthop) return [];
  if (destination.value.includes(':') !== nexthop.value.includes(':')) {
    section.source.report(
      nexthop.at,
      `${section.subject}: nexthop ${nexthop.value} is of another IP version than ${destination.value}`,
      'write both in the same IP version',
    );
  }
  return [{ destination: destination.value, nexthop: nexthop.value }];
}

export function readSubnet(section: Section, kind = 'subnet') {
  const head = readHead(section, kind);
  const entry = {
    ...head,
    network: section.text('network'),
    cidr: section.cidr('cidr'),
    /** where its prefix comes from, if not from the file */
    pool: section.choice('subnetpool_id', [DELEGATED_POOL]),
    ipVersion: section.integer('ip_version', 4, 6),
    noGateway: section.isNull('gateway_ip'),
    gateway: section.ip('gateway_ip'),
    pools: section.has('allocation_pools')
      ? section.sections('allocation_pools').flatMap((pool) => {
          const start = pool.required('start', pool.ip('start'), 'add the first address');
          const end = pool.required('end', pool.ip('end'), 'add the last address');
          pool.done();
          return start && end ? [{ start: start.value, end: end.value, at: pool.at }] : [];
        })
      : undefined,
    dnsNameservers: section.all('dns_nameservers', (item) => item.ip()).map(({ value }) => value),
    hostRoutes: section.sections('host_routes').flatMap(readRoute),
    enableDhcp: section.flag('enable_dhcp'),
    raMode: section.choice('ipv6_ra_mode', IPV6_MODES),
    addressMode: section.choice('ipv6_address_mode', IPV6_MODES),
  };
  if (!entry.pool) section.required('cidr', entry.cidr, 'add one, like 10.0.0.0/24');
  section.done();
  return entry;
}
export type SubnetEntry = ReturnType<typeof readSubnet>;

export function readNetwork(section: Section) {
  const head = readHead(section, 'network');
  section.required('name', head.name, 'give the network a name');
  const external = section.flag('external');
  const entry = {
    ...head,
    external: section.flag('router:external') ?? external ?? false,
    mtu: section.integer('mtu', 68, 65_535),
    dnsDomain: readDomain(section, 'dns_domain'),
    physicalInterface: section.word(
      'physical_interface',
      /^(?!\.{1,2}$)[\w.-]{1,15}$/,
      'the name of a network device',
      'write at most 15 letters, digits, ".", "_" or "-"',
    ),
    project: readProject(section),
    adminStateUp: section.flag('admin_state_up') ?? true,
    subnets: section.sections('subnets').map((one) => readSubnet(one)),
  };
  section.done();
  return entry;
}
export type NetworkEntry = ReturnType<typeof readNetwork>;

function readFixedIps(section: Section, key = 'fixed_ips') {
  if (!section.has(key)) return undefined;
  return section.sections(key).flatMap((one) => {
    const subnet = one.text('subnet');
    const address = one.ip('ip_address');
    if (!one.has('subnet') && !one.has('ip_address')) one.wrong('is empty', "add 'subnet' or 'ip_address'");
    one.done();
    return subnet || address ? [{ subnet, address, at: one.at }] : [];
  });
}
export type FixedIpEntry = NonNullable<ReturnType<typeof readFixedIps>>[number];

function readRouterInterface(item: Item, subject: string) {
  if (!item.isMapping) {
    const subnet = item.text();
    return subnet === undefined ? [] : [{ at: item.at, subnet: { value: subnet, at: item.at } }];
  }
  const section = item.section(subject);
  if (!section) return [];
  const subnet = section.text('subnet');
  const address = section.ip('ip_address');
  const port = section.text('port');
  section.done();
  if (port && !subnet && !address) return [{ at: item.at, port }];
  if (subnet && !port) return [{ at: item.at, subnet, address }];
  section.wrong("needs 'subnet' (with 'ip_address' or not) or 'port'", 'write one of these');
  return [];
}
export type InterfaceEntry = {
  at: number;
  subnet?: Given<string>;
  address?: Given<string>;
  port?: Given<string>;
};

export function readRouter(section: Section) {
  const head = readHead(section, 'router');
  section.required('name', head.name, 'give the router a name');
  const gateway = section.section('external_gateway_info');
  const entry = {
    ...head,
    project: readProject(section),
    adminStateUp: section.flag('admin_state_up') ?? true,
    gateway: gateway && {
      at: gateway.at,
      network: gateway.required('network', gateway.text('network'), 'name an external network'),
      enableSnat: gateway.flag('enable_snat') ?? true,
      fixedIps: readFixedIps(gateway, 'external_fixed_ips'),
    },
    interfaces: section
      .items('interfaces')
      .flatMap((item, i): InterfaceEntry[] =>
        readRouterInterface(item, `${section.subject}: interfaces[${i}]`),
      ),
    routes: section.sections('routes').flatMap(readRoute),
  };
  gateway?.done();
  section.done();
  return entry;
}
export type RouterEntry = ReturnType<typeof readRouter>;

export function readPort(section: Section) {
  const head = readHead(section, 'port');
  section.required('name', head.name, 'give the port a name');
  const entry = {
    ...head,
    network: section.required('network', section.text('network'), 'name the network it is on'),
    mac: section.mac('mac_address'),
    fixedIps: readFixedIps(section),
    project: readProject(section),
    adminStateUp: section.flag('admin_state_up') ?? true,
    deviceOwner: section.word(
      'device_owner',
      /^(?!network:)[\w:.-]{0,255}$/,
      'a device_owner a port can be given',
      "leave it out: Viaduct itself sets the 'network:…' ones",
    ),
    extraDhcpOpts: section.sections('extra_dhcp_opts').flatMap((option) => {
      const name = option.required('opt_name', option.text('opt_name'), 'name a DHCP option');
      const value = option.required('opt_value', option.text('opt_value'), 'add its value');
      const version = option.choice('ip_version', ['4', '6'])?.value === '6' ? (6 as const) : (4 as const);
      option.done();
      return name && value ? [{ opt_name: name.value, opt_value: value.value, ip_version: version }] : [];
    }),
    addressPairs: section.sections('allowed_address_pairs').flatMap((pair) => {
      const address = pair.required('ip_address', pair.ipOrCidr('ip_address'), 'add an address or CIDR');
      const mac = pair.mac('mac_address');
      pair.done();
      return address ? [{ address: address.value, mac: mac?.value }] : [];
    }),
    dnsName: section.word(
      'dns_name',
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i,
      'a host name',
      'write letters, digits and "-"',
    ),
  };
  section.done();
  return entry;
}
export type PortEntry = ReturnType<typeof readPort>;

export function readInstance(section: Section) {
  const head = readHead(section, 'instance');
  section.required('name', head.name, 'give the instance a name');
  const metadata = section.section('metadata');
  const entry = {
    ...head,
    project: readProject(section),
    ports: section.all('ports', text),
    network: section.text('network'),
    mac: section.mac('mac_address'),
    fixedIps: readFixedIps(section),
    configure: section.choice('configure', CONFIGURE)?.value ?? 'dhcp',
    namespace: section.text('namespace'),
    userData: section.text('user_data', 65_535, true),
    metadata: Object.fromEntries(
      (metadata?.keys() ?? []).flatMap((key) => {
        const value = metadata?.text(key);
        return value ? [[key, value.value] as const] : [];
      }),
    ),
  };
  if (!entry.network && entry.ports.length === 0 && !section.has('ports')) {
    section.wrong('is connected to nothing', "add 'network' or 'ports'");
  }
  section.done();
  return entry;
}
export type InstanceEntry = ReturnType<typeof readInstance>;

export function readFloatingIp(section: Section) {
  const entry = {
    section,
    at: section.at,
    id: section.uuid('id'),
    address: section.ip('floating_ip_address'),
    network: section.required(
      'floating_network',
      section.text('floating_network'),
      'name the external network it is on',
    ),
    port: section.text('port'),
    instance: section.text('instance'),
    fixedAddress: section.ip('fixed_ip_address'),
    project: readProject(section),
  };
  if (entry.address) section.subject = `floating IP ${entry.address.value}`;
  section.done();
  return entry;
}
export type FloatingIpEntry = ReturnType<typeof readFloatingIp>;

/** Keys are those of Neutron's metadata_agent.ini. */
export function readMetadata(section: Section | undefined) {
  const settings = {
    /** undefined: the built-in metadata service answers */
    nova_metadata_host: section?.word(
      'nova_metadata_host',
      /^[\w.:-]{1,253}$/,
      'a host name or IP address',
      'write where the metadata service listens',
    )?.value,
    nova_metadata_port: section?.integer('nova_metadata_port', 1, 65_535)?.value ?? 8775,
    nova_metadata_protocol: section?.choice('nova_metadata_protocol', ['http', 'https'])?.value ?? 'http',
    /** secret: never log it */
    metadata_proxy_shared_secret: section?.text('metadata_proxy_shared_secret')?.value ?? '',
  };
  section?.done();
  return settings;
}
export type MetadataSettings = ReturnType<typeof readMetadata>;

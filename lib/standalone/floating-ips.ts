/** Floating IPs of a topology: a port on the external network each, and the router that carries them. */
import { DEVICE_OWNER } from '../model/port.ts';
import type { Context } from './context.ts';
import type { FloatingIpEntry } from './entries.ts';
import { type PortPlan, planPort } from './ports.ts';
import type { RouterPlan } from './routers.ts';
import type { TopologyFloatingIp, TopologyNetwork, TopologySubnet } from './topology.ts';

export interface FloatingIpPlan {
  readonly entry: FloatingIpEntry;
  readonly id: string;
  readonly network: TopologyNetwork;
  /** its own port on the external network */
  readonly port: PortPlan;
  /** what it leads to */
  readonly target?: PortPlan;
}

const hasIpv4 = (context: Context, port: PortPlan): boolean =>
  context.incomplete.has(port.network_id) || port.network.subnets.some(({ ip_version }) => ip_version === 4);

function targetOf(context: Context, entry: FloatingIpEntry): PortPlan | undefined {
  const { section, port, instance } = entry;
  if (port && instance) return section.wrong("names both 'port' and 'instance'", 'keep one of them');
  if (port) return context.ports.find(port, section.subject);
  const found = instance && context.instances.find(instance, section.subject);
  if (!instance || !found) return undefined;
  const candidates = found.ports.filter((port) => hasIpv4(context, port));
  if (candidates.length === 1) return candidates[0];
  const many = candidates.length > 1;
  context.source.report(
    instance.at,
    `${section.subject}: instance ${JSON.stringify(found.name)} has ${many ? 'several ports' : 'no port with an IPv4 address'}`,
    many ? "name one with 'port' instead" : 'connect it to a network with an IPv4 subnet',
  );
  return undefined;
}

/** @param counts unassociated floating IPs per network: they have nothing else to derive an id from */
export function planFloatingIp(
  context: Context,
  entry: FloatingIpEntry,
  counts: Map<string, number>,
): FloatingIpPlan | undefined {
  const { section } = entry;
  const network = entry.network && context.networks.find(entry.network, section.subject);
  const target = targetOf(context, entry);
  if (entry.fixedAddress && !entry.port && !entry.instance) {
    section.wrong("'fixed_ip_address' needs 'port' or 'instance'", 'add one of them');
  }
  if (!entry.network || !network) return undefined;
  const v4 = network.subnets.find(({ ip_version }) => ip_version === 4);
  if (!network.external || !v4) {
    if (network.external && context.incomplete.has(network.id)) return undefined;
    const why = network.external ? 'has no IPv4 subnet' : 'is not external';
    const message = `${section.subject}: floating_network ${JSON.stringify(network.name)} ${why}`;
    context.source.report(entry.network.at, message, 'name an external network with an IPv4 subnet');
    return undefined;
  }
  if (entry.address?.value.includes(':')) {
    context.source.report(entry.address.at, `${section.subject}: is not IPv4`, 'write an IPv4 address');
    return undefined;
  }
  const count = counts.get(network.id) ?? 0;
  if (!target && !entry.address) counts.set(network.id, count + 1);
  const path = entry.address
    ? [entry.address.value]
    : target
      ? [target.id, entry.fixedAddress?.value ?? '']
      : ['unassociated', String(count)];
  const id = entry.id?.value ?? context.makeId('floating_ip', network.name, ...path);
  if (!entry.address && target) section.subject = `the floating IP of ${target.label}`;
  const port = planPort(context, {
    id: context.makeId('floating_ip', id, 'port'),
    at: entry.at,
    label: section.subject,
    network,
    device_owner: DEVICE_OWNER.floatingIp,
    device_id: id,
    project_id: '',
    wanted: entry.address && [{ address: entry.address }],
  });
  return { entry, id, network, port, target };
}

/** The fixed address behind a floating IP: the one given, or the port's only IPv4 address. */
function fixedIpOf(context: Context, { entry, target }: FloatingIpPlan) {
  const { section, fixedAddress } = entry;
  const addresses = target?.fixed_ips.filter(({ subnet }) => subnet.ip_version === 4) ?? [];
  if (fixedAddress) {
    const fixed = addresses.find(({ ip_address }) => ip_address === fixedAddress.value);
    if (!fixed && addresses.length > 0) {
      const message = `${section.subject}: ${fixedAddress.value} is no IPv4 address of ${target!.label}`;
      const fix = `write ${addresses.map(({ ip_address }) => ip_address).join(' or ')}`;
      context.source.report(fixedAddress.at, message, fix);
    }
    return fixed;
  }
  if (target && addresses.length !== 1 && (addresses.length > 1 || !hasIpv4(context, target))) {
    const message = `${section.subject}: ${target.label} has ${addresses.length} IPv4 addresses`;
    section.source.report(entry.at, message, "say which with 'fixed_ip_address', or give the port one");
  }
  return addresses.length === 1 ? addresses[0] : undefined;
}

function routersBySubnet(routers: readonly RouterPlan[]): Map<TopologySubnet, RouterPlan[]> {
  const attached = new Map<TopologySubnet, RouterPlan[]>();
  for (const router of routers) {
    const subnets = router.interfaces.flatMap(({ port }) => port.fixed_ips.map(({ subnet }) => subnet));
    for (const subnet of new Set(subnets)) {
      const list = attached.get(subnet);
      if (list) list.push(router);
      else attached.set(subnet, [router]);
    }
  }
  return attached;
}

export function resolveFloatingIps(
  context: Context,
  plans: readonly FloatingIpPlan[],
  routers: readonly RouterPlan[],
): TopologyFloatingIp[] {
  const behind = new Map<string, FloatingIpPlan>();
  const ids = new Set<string>();
  const attached = routersBySubnet(routers);
  return plans.map((plan) => {
    const { entry, id, network, port, target } = plan;
    const { section } = entry;
    const fixed = fixedIpOf(context, plan);
    const key = `${network.id}|${target?.id}|${fixed?.ip_address}`;
    const other = fixed && behind.get(key);
    if (fixed && other) {
      const message = `${section.subject}: ${fixed.ip_address} of ${target!.label} has a floating IP already (line ${context.source.lineOf(other.entry.at)})`;
      section.source.report(entry.at, message, 'remove one of them');
    } else if (ids.has(id)) {
      section.wrong(`the id ${id} is that of another floating IP`, 'leave it out to have it derived');
    }
    behind.set(key, plan);
    ids.add(id);
    const carriers = (fixed && attached.get(fixed.subnet))?.filter(
      (router) => router.gateway?.network === network,
    );
    // Several routers on one subnet: the one that is the subnet's gateway carries the traffic back.
    const router =
      carriers?.find((one) =>
        one.interfaces.some(({ port: own }) =>
          own.fixed_ips.some((ip) => ip.ip_address === fixed?.subnet.gateway_ip),
        ),
      ) ?? carriers?.[0];
    if (fixed && !router) {
      section.source.report(
        (entry.port ?? entry.instance)!.at,
        `${section.subject}: no router with a gateway on network ${JSON.stringify(network.name)} has an interface on subnet ${fixed.subnet.cidr} of ${target!.label}`,
        'attach the subnet to such a router',
      );
    }
    return {
      id,
      port_id: target?.id ?? null,
      router_id: router?.id ?? null,
      own_port_id: port.id,
      floating_network_id: network.id,
      floating_ip_address: port.fixed_ips.find(({ subnet }) => subnet.ip_version === 4)?.ip_address ?? '',
      fixed_ip_address: fixed?.ip_address ?? null,
      project_id: entry.project?.value ?? target?.project_id ?? context.name,
    };
  });
}

/** Routers of a topology: their gateway and interface ports, and what the subnets of a router must not do. */
import { cidrsOverlap } from '../model/ip.ts';
import { DEVICE_OWNER } from '../model/port.ts';
import { UNDELEGATED } from '../model/subnet.ts';
import type { Context } from './context.ts';
import type { InterfaceEntry, RouterEntry } from './entries.ts';
import { type PortPlan, planPort, wantedOf } from './ports.ts';
import type { TopologyRouter, TopologySubnet } from './topology.ts';

export interface RouterPlan {
  readonly entry: RouterEntry;
  readonly id: string;
  readonly name: string;
  /** what the ids of its ports derive from: its own id if the file gives one (a new name then changes nothing) */
  readonly handle: string;
  readonly project_id: string;
  readonly gateway?: PortPlan;
  readonly interfaces: { readonly port: PortPlan; readonly at: number }[];
}

function planGateway(context: Context, entry: RouterEntry, router: { id: string; handle: string }) {
  const { gateway, section } = entry;
  const network = gateway?.network && context.networks.find(gateway.network, section.subject);
  if (!gateway?.network || !network) return undefined;
  if (!network.external) {
    context.source.report(
      gateway.network.at,
      `${section.subject}: the gateway network ${JSON.stringify(network.name)} is not external`,
      "name an external network, or set 'external: true' on this one",
    );
    return undefined;
  }
  if (network.subnets.length === 0 && !context.incomplete.has(network.id)) {
    context.source.report(
      gateway.network.at,
      `${section.subject}: the gateway network ${JSON.stringify(network.name)} has no subnet`,
      'give it one',
    );
  }
  const label = `the gateway of ${section.subject}`;
  return planPort(context, {
    id: context.makeId('router', router.handle, 'gateway', network.id),
    at: gateway.at,
    label,
    network,
    device_owner: DEVICE_OWNER.routerGateway,
    device_id: router.id,
    project_id: '',
    wanted: wantedOf(context, gateway.fixedIps, network, label),
  });
}

/** An interface by port: that port becomes the router's. */
function takePort(context: Context, plan: RouterPlan, given: InterfaceEntry): void {
  const { subject } = plan.entry.section;
  const port = given.port && context.ports.find(given.port, subject);
  if (!port) return;
  if (port.device_id !== '') {
    const fix = 'name a port that nothing else uses';
    context.source.report(given.port!.at, `${subject}: ${port.label} is in use already`, fix);
    return;
  }
  port.device_owner = DEVICE_OWNER.routerInterface;
  port.device_id = plan.id;
  plan.interfaces.push({ port, at: given.at });
}

/** IPv6 subnets of a network are on one port of the router; a delegated one has a port to itself. */
const isShareable = (subnet: TopologySubnet | undefined): boolean =>
  subnet?.ip_version === 6 && subnet.subnetpool_id === null;

/**
 * An interface by subnet: a new port with the subnet's gateway address. IPv6 subnets of one network
 * share a port, as they do in Neutron.
 */
function plugSubnet(context: Context, plan: RouterPlan, given: InterfaceEntry): void {
  const { subject } = plan.entry.section;
  const subnet = given.subnet && context.subnets.find(given.subnet, subject);
  if (!subnet) return;
  const network = context.all.networks.find(({ id }) => id === subnet.network_id)!;
  const address =
    given.address ?? (subnet.gateway_ip === null ? undefined : { value: subnet.gateway_ip, at: given.at });
  if (!address) {
    const fix = "give the interface an 'ip_address' or the subnet a gateway_ip";
    context.source.report(given.at, `${subject}: subnet ${subnet.cidr} has no gateway_ip`, fix);
    return;
  }
  const again = plan.interfaces.some(({ port }) => port.wanted?.some((one) => one.subnet === subnet));
  if (again) {
    const message = `${subject}: two interfaces on subnet ${subnet.name || subnet.cidr}`;
    context.source.report(given.at, message, 'remove one of them');
    return;
  }
  const shared = plan.interfaces.find(
    ({ port }) =>
      port.network === network &&
      port.name === '' &&
      port.wanted?.every((one) => isShareable(one.subnet)) &&
      isShareable(subnet),
  );
  if (shared) {
    shared.port.wanted?.push({ subnet, address });
    return;
  }
  const port = planPort(context, {
    id: context.makeId('router', plan.handle, 'interface', subnet.id),
    at: given.at,
    label: `the interface of ${subject} on subnet ${subnet.name || subnet.cidr}`,
    network,
    device_owner: DEVICE_OWNER.routerInterface,
    device_id: plan.id,
    project_id: plan.project_id,
    wanted: [{ subnet, address }],
  });
  plan.interfaces.push({ port, at: given.at });
}

export function planRouter(context: Context, entry: RouterEntry): RouterPlan | undefined {
  const name = entry.name?.value;
  if (name === undefined) return undefined;
  const id = entry.id?.value ?? context.makeId('router', name);
  const handle = entry.id?.value ?? name;
  context.routers.add(id, [name], entry.at, true);
  const plan: RouterPlan = {
    entry,
    id,
    name,
    handle,
    project_id: entry.project?.value ?? context.name,
    gateway: planGateway(context, entry, { id, handle }),
    interfaces: [],
  };
  for (const given of entry.interfaces) {
    if (given.port) takePort(context, plan, given);
    else plugSubnet(context, plan, given);
  }
  return plan;
}

/** After addresses are known: no two subnets of one router may overlap, and none may be there twice. */
function checkSubnets(context: Context, plan: RouterPlan): void {
  const { subject } = plan.entry.section;
  const seen = new Set<TopologySubnet>();
  const gateway = plan.gateway ? [{ port: plan.gateway, at: plan.gateway.at }] : [];
  for (const { port, at } of [...gateway, ...plan.interfaces]) {
    if (
      port.fixed_ips.length === 0 &&
      port.network.subnets.length === 0 &&
      !context.incomplete.has(port.network_id)
    ) {
      const message = `${subject}: network ${JSON.stringify(port.network.name)} has no subnet to route`;
      context.source.report(at, message, 'give it one');
    }
    // Several addresses of one port on one subnet are fine.
    const own = new Set(port.fixed_ips.map(({ subnet }) => subnet));
    for (const subnet of own) {
      if (subnet.cidr === UNDELEGATED) continue;
      const other = [...seen].find((one) => cidrsOverlap(one.cidr, subnet.cidr));
      if (other === subnet) {
        const message = `${subject}: two interfaces on subnet ${subnet.name || subnet.cidr}`;
        context.source.report(at, message, 'remove one of them');
      } else if (other) {
        context.source.report(
          at,
          `${subject}: subnet ${subnet.cidr} overlaps ${other.cidr} on the same router`,
          'attach only one of them, or choose ranges that do not overlap',
        );
      }
    }
    for (const subnet of own) seen.add(subnet);
  }
}

/** The finished router; its floating IPs are added by resolveFloatingIps. */
export function routerOf(context: Context, plan: RouterPlan): TopologyRouter {
  checkSubnets(context, plan);
  const { entry, id, name, project_id } = plan;
  return {
    id,
    name,
    project_id,
    admin_state_up: entry.adminStateUp,
    enable_snat: entry.gateway?.enableSnat ?? true,
    gateway_port_id: plan.gateway?.id ?? null,
    interface_port_ids: plan.interfaces.map(({ port }) => port.id),
    routes: entry.routes,
  };
}

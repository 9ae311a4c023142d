/** Instances of a topology: namespaces that stand for virtual machines. */
import type { Context } from './context.ts';
import type { InstanceEntry } from './entries.ts';
import { type PortPlan, planPort, wantedOf } from './ports.ts';
import type { TopologyInstance } from './topology.ts';

const OURS = /^(qrouter|qdhcp|snat|fip)-/;

function namespaceOf(context: Context, entry: InstanceEntry, used: Map<string, string>): string {
  const given = entry.namespace ?? { value: `vm-${entry.name?.value}`, at: entry.name?.at ?? entry.at };
  const quoted = JSON.stringify(given.value);
  const wrong = (message: string, fix: string) =>
    context.source.report(given.at, `${entry.section.subject}: ${message}`, fix);
  const other = used.get(given.value);
  if (!/^[a-z0-9][\w.-]{0,63}$/i.test(given.value)) {
    wrong(
      `${quoted} can't be the name of a network namespace`,
      `use letters, digits, '.', '_' and '-', at most 64, in ${entry.namespace ? 'it' : "the name, or give a 'namespace'"}`,
    );
  } else if (OURS.test(given.value)) {
    wrong(`the namespace ${quoted} is named like one of the agents'`, 'choose another prefix');
  } else if (other !== undefined) {
    wrong(`the namespace ${quoted} is that of ${other} already`, 'choose another one');
  }
  used.set(given.value, entry.section.subject);
  return given.value;
}

/** Nova gives the port the instance's name; only if that is a host name is it one here. */
const hostname = (name: string): string => {
  const lower = name.toLowerCase();
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(lower) ? lower : '';
};

function ownPort(context: Context, entry: InstanceEntry, id: string, project: string): PortPlan | undefined {
  const { section } = entry;
  const name = entry.name?.value ?? '';
  const network = entry.network && context.networks.find(entry.network, section.subject);
  if (!network) {
    for (const key of ['mac_address', 'fixed_ips']) {
      if (!entry.network && section.has(key))
        section.wrong(`'${key}' needs 'network'`, `add it, or move '${key}' to a port`);
    }
    return undefined;
  }
  return planPort(
    context,
    {
      id: context.makeId('instance', name, 'port', network.name),
      name,
      at: entry.at,
      label: section.subject,
      network,
      device_owner: 'compute:nova',
      device_id: id,
      project_id: project,
      mac: entry.mac,
      wanted: wantedOf(context, entry.fixedIps, network, section.subject),
    },
    [name],
  );
}

/** Plans the port of an instance that names its network, and takes the ports it names. */
export function planInstance(
  context: Context,
  entry: InstanceEntry,
  namespaces: Map<string, string>,
): TopologyInstance | undefined {
  const name = entry.name?.value;
  if (name === undefined) return undefined;
  const id = entry.id?.value ?? context.makeId('instance', name);
  const project = entry.project?.value ?? context.name;
  const namespace = namespaceOf(context, entry, namespaces);
  const own = ownPort(context, entry, id, project);
  const ports = own ? [own] : [];
  for (const ref of entry.ports) {
    const port = context.ports.find(ref, entry.section.subject);
    if (!port) continue;
    if (port.device_id !== '' || port.device_owner.startsWith('network:')) {
      const message = `${entry.section.subject}: ${port.label} is in use already`;
      context.source.report(ref.at, message, 'name a port that nothing else uses');
      continue;
    }
    port.device_id = id;
    if (!port.ownProject) port.project_id = project;
    port.device_owner ||= 'compute:nova';
    ports.push(port);
  }
  for (const port of ports) port.dns_name ||= hostname(name);
  context.instances.add(id, [name], entry.at, { name, ports });
  return {
    id,
    name,
    project_id: project,
    namespace,
    configure: entry.configure,
    port_ids: ports.map((port) => port.id),
    user_data: entry.userData?.value ?? null,
    metadata: entry.metadata,
  };
}

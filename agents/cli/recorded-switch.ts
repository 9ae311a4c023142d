/** The Open vSwitch that the agents of a deployment plug into, for looking at it and for removing ports. */
import type { PortSwitch } from '../../lib/namespace/port-switch.ts';
import { openPortSwitch } from '../../lib/neutron/port-switch.ts';
import type { DeploymentFacts } from '../../lib/standalone/deployment.ts';
import { CommandFailure } from './exit-codes.ts';

/** For the settings of a Reconciler, which closes it. Its ports are known, if the switch can be reached. */
export async function recordedSwitch({
  options,
}: Pick<DeploymentFacts, 'options'>): Promise<{ portSwitch?: PortSwitch }> {
  const problems: string[] = [];
  const portSwitch = openPortSwitch(options.ovs, (message) => problems.push(message));
  if (!portSwitch) return {};
  await portSwitch.ready();
  if (portSwitch.known) return { portSwitch };
  portSwitch.close();
  throw new CommandFailure(`Open vSwitch can't be asked for its ports: ${problems.join('; ')}`);
}

/** One agent of a Neutron node: an AgentProcess whose source is a neutron-server, by way of the message broker. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type OptionRecord, toMessagingOptions } from '../config/agent-options.ts';
import type { ConfigValues } from '../config/resolve.ts';
import { AgentProcess, type Part, type ProcessSettings, takeRoles } from '../process/agent-process.ts';
import { exclusively, type Role } from '../process/roles.ts';
import { openRpc, type Rpc, rpcOptions } from '../rpc/rpc.ts';
import { writeFacts } from '../standalone/deployment.ts';
import type { Logger } from '../telemetry/log.ts';
import { daemonPolicy } from './daemon-policy.ts';
import { neutronPortSwitch, switchConnection } from './port-switch.ts';

export interface NodeSettings {
  readonly program: string;
  readonly role: Role;
  readonly values: ConfigValues;
  readonly packageRoot: string;
  readonly log: Logger;
}

/** Name of the deployment and of its directory in state_path, beside what Neutron's agents keep there. */
export const STATE_NAME = 'viaduct';
/** What is under way may end by itself for so long. */
const GRACE_MS = 1_000;

export class NeutronNode extends AgentProcess {
  readonly values: ConfigValues;
  /** [DEFAULT] host: this node's name in reports, queues and port bindings */
  readonly host: string;
  readonly rpc: Rpc;
  private readonly unfollow: () => void;

  private constructor(
    settings: ProcessSettings,
    { values, program, log }: NodeSettings,
    messaging: OptionRecord,
  ) {
    super(settings);
    this.values = values;
    this.host = String(values.DEFAULT?.host);
    this.rpc = openRpc({ options: rpcOptions(messaging), log, program });
    this.unfollow = this.rpc.onHealth(() => this.touch());
  }

  /**
   * Takes the role and begins to connect; the broker may come later.
   * @throws RoleTaken, TypeError when options of the broker contradict each other
   */
  static async open(settings: NodeSettings): Promise<NeutronNode> {
    const { values, role, packageRoot, log } = settings;
    const directory = join(String(values.DEFAULT?.state_path), STATE_NAME);
    const messaging = toMessagingOptions(values);
    rpcOptions(messaging);
    const release = await takeRoles(directory, [role]);
    try {
      // The metadata agent builds nothing: it has nothing to repair.
      const heal = role !== 'metadata';
      const portSwitch = heal ? neutronPortSwitch(values, log) : undefined;
      return new NeutronNode(
        {
          directory,
          packageRoot,
          log,
          heal,
          release,
          daemons: daemonPolicy(values, log),
          ...(portSwitch ? { portSwitch } : {}),
        },
        settings,
        messaging,
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  /** @param options what shapes the rows, for the operator's command; no secrets */
  async start(part: Part, options: unknown): Promise<void> {
    const facts = {
      name: STATE_NAME,
      host: this.host,
      topology: 'neutron-server',
      options: {
        [part.role]: options,
        // The metadata agent plugs nothing and has no such options.
        ...(part.role === 'metadata' ? {} : { ovs: switchConnection(this.values) }),
      },
    };
    // The agents of a node start together and have one file for it.
    await exclusively(this.directory, () => writeFacts(this.directory, facts));
    await this.startParts([part]);
  }

  override async close(): Promise<void> {
    this.unfollow();
    const closing = super.close();
    // Work that waits for the server would keep us for minutes if it does not answer.
    await Promise.race([closing, pause(GRACE_MS, undefined, { ref: false })]);
    await this.rpc.close();
    await closing;
  }
}

/** What the options of [AGENT] say of daemons: how they are ended, and what it means when one ends by itself. */
import type { ConfigValues } from '../config/resolve.ts';
import type { ReconcilerSettings } from '../namespace/reconciler.ts';
import type { Logger } from '../telemetry/log.ts';

type DaemonPolicy = Pick<ReconcilerSettings, 'killScripts' | 'onDaemonEnd'>;

/** Ends this agent as a signal would, and as a failure. */
const exitAgent = (): void => {
  process.exitCode = 1;
  process.kill(process.pid, 'SIGTERM');
};

/** @param exit ends this agent */
export function daemonPolicy({ AGENT = {} }: ConfigValues, log: Logger, exit = exitAgent): DaemonPolicy {
  const killScripts = typeof AGENT.kill_scripts_path === 'string' ? AGENT.kill_scripts_path : undefined;
  const watched = AGENT.check_child_processes_interval !== 0;
  return {
    ...(killScripts ? { killScripts } : {}),
    onDaemonEnd(row) {
      if (!watched) return 'leave';
      if (AGENT.check_child_processes_action !== 'exit') return 'respawn';
      log.error(
        `${row.service} of ${row.id} has ended: this agent ends, too (check_child_processes_action = exit)`,
      );
      exit();
      return 'leave';
    },
  };
}

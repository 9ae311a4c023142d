/** What the options say of daemons: who they are, how they are ended, and what it means when one ends by itself. */
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

/** Options of an agent that starts radvd: only one that root runs can start it as another user. */
export function withOwnUser<T extends { readonly radvd_user: string }>(
  options: T,
  log: Logger,
  uid = process.getuid?.(),
): T {
  if (options.radvd_user === '' || uid === 0) return options;
  log.warn(
    `[DEFAULT] radvd_user = ${options.radvd_user}: radvd runs as the user of this agent, which is not root`,
  );
  return { ...options, radvd_user: '' };
}

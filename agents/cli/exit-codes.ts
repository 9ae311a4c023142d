/** Exit codes of `viaduct`, the same for every verb. Documented in its help and in README.md. */
export const exitCodes = {
  ok: 0,
  /** something did not work; the message says what */
  failed: 1,
  /** nothing failed, but there is something to change (plan, diff --exit-code) */
  changes: 2,
  /** the command line makes no sense (EX_USAGE of sysexits.h) */
  usage: 64,
  /** the topology file has errors; nothing was changed (EX_DATAERR) */
  topology: 65,
  /** the agents' configuration files have errors (EX_CONFIG) */
  configuration: 78,
} as const;

/** A failure whose message is the whole story for the operator: shown without a stack. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.name = 'CommandFailure';
    this.exitCode = exitCode;
  }
}

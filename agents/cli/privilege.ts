import { CommandFailure } from './exit-codes.ts';

/**
 * Network namespaces can only be entered, and records only be read, by root.
 * @throws CommandFailure that says so, before anything half-works
 */
export function requireRoot(verb: string): void {
  if (process.getuid?.() === 0) return;
  throw new CommandFailure(
    `${verb} looks into network namespaces, which only root may: run it with sudo, as in "sudo viaduct ${verb} …"`,
  );
}

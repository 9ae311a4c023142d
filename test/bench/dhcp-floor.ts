/**
 * The floor of a DHCP start: the kernel's work replayed network by network (recording.ts), and one dnsmasq
 * started in each with files that are there already, as soon as its namespace is complete. Its own start is most
 * of it, so as many start at the same time as in the agent.
 */
import { runIn } from '../../lib/kernel/process.ts';
import { type Operation, replay } from './recording.ts';

/** dnsmasq's own work is done when the process that was started ends. @throws Error if it fails */
async function startAndWait(ns: string, argv: readonly string[]): Promise<void> {
  const { ok, words } = await runIn(ns, argv);
  if (!ok) throw new Error(`${argv[0]} in ${ns}: ${words}`);
}

/** @throws Error if the kernel refuses anything, or a daemon does not start */
export async function replayWithDaemons(operations: readonly Operation[], atOnce: number): Promise<void> {
  const starting = new Set<Promise<void>>();
  let first = 0;
  for (const [i, operation] of operations.entries()) {
    if (operation.kind !== 'daemon') continue;
    replay(operations.slice(first, i));
    first = i + 1;
    while (starting.size >= atOnce) await Promise.race(starting);
    const started = startAndWait(operation.ns, operation.argv).then(() => void starting.delete(started));
    starting.add(started);
    // The end of earlier ones is heard of between the networks, not after the last.
    await new Promise((resolve) => setImmediate(resolve));
  }
  replay(operations.slice(first));
  await Promise.all(starting);
}

/** What the measured processes measure with. */
import { listNamespaces } from '../../lib/kernel/netns.ts';

const MEGABYTE = 1024 * 1024;

export function residentMegabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / MEGABYTE;
}

/** Milliseconds since then: of the clock, and of the processors (user and kernel), which neighbours disturb less. */
export function stopwatch(): () => { ms: number; cpu: number } {
  const cpu = process.cpuUsage();
  const started = performance.now();
  return () => {
    const ms = performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    return { ms, cpu: (user + system) / 1000 };
  };
}

export function requireEmpty(): void {
  const found = listNamespaces();
  if (found.length > 0) throw new Error(`namespaces exist already: ${found.slice(0, 3).join(', ')}`);
}

/**
 * Which processes run on behalf of programs a test has started. Helpers outlive those who start them, so descent alone
 * does not tell; a variable of the environment, handed down, does. Except for programs that write their title over it
 * (Neutron's agents and their workers): those are found by descent.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../../e2e/shell.ts';

export interface FoundProcess {
  readonly pid: number;
  /** arguments, joined by blanks */
  readonly command: string;
}

/** `name=value` of the environment */
export interface Mark {
  readonly name: string;
  readonly value: string;
}

const read = (pid: number, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
};

/** proc(5): the name, in brackets, may contain anything. */
const parentOf = (pid: number): number => Number(read(pid, 'stat').split(') ').at(-1)?.split(' ')[1] ?? 0);

/** Those that carry the mark or are among `roots`, and all their descendants; not the dead whom nobody has waited for. */
export function processesOf(mark: Mark | undefined, roots: readonly number[]): FoundProcess[] {
  const wanted = mark && `${mark.name}=${mark.value}`;
  const parents = new Map(
    readdirSync('/proc')
      .map(Number)
      .filter(Number.isInteger)
      .map((pid) => [pid, parentOf(pid)]),
  );
  const found = new Map<number, boolean>(roots.map((pid) => [pid, true]));
  const belongs = (pid: number): boolean => {
    const parent = parents.get(pid);
    if (parent === undefined) return false;
    const marked = (): boolean => wanted !== undefined && read(pid, 'environ').split('\0').includes(wanted);
    const answer = found.get(pid) ?? (marked() || belongs(parent));
    found.set(pid, answer);
    return answer;
  };
  return [...parents.keys()]
    .filter(belongs)
    .map((pid) => ({ pid, command: read(pid, 'cmdline').split('\0').join(' ').trim() }))
    .filter(({ command }) => command !== '');
}

/** Memory that is theirs: private pages, and their part of those they share. @returns bytes */
export function pssOf(processes: readonly FoundProcess[]): number {
  let kilobytes = 0;
  for (const { pid } of processes)
    kilobytes += Number(/^Pss:\s+(\d+)/m.exec(read(pid, 'smaps_rollup'))?.[1] ?? 0);
  return kilobytes * 1024;
}

/** Ends all, and those they start meanwhile. @throws Error naming what does not end */
export async function endProcesses(mark: Mark, roots: readonly number[]): Promise<void> {
  const known = new Set(roots);
  await until('all processes have ended', () => {
    const left = processesOf(mark, [...known]);
    for (const { pid } of left) {
      known.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It was faster.
      }
    }
    if (left.length > 0) throw new Error(left.map(({ pid, command }) => `${pid} ${command}`).join('; '));
    return true;
  });
}

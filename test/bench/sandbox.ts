/**
 * A network and mount namespace of its own for each measurement: an empty /run/netns, no device but `lo`, and
 * nothing of the machine in reach. All that was made vanishes with the last process inside, whether it ended
 * well, failed or was interrupted. Device indexes start anew, so they are the same in every measurement.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** `key value` words for one process inside: a variant's name and its arguments. */
export type Command = readonly [variant: string, ...args: string[]];

/** What a variant measured: one JSON line on its standard output. */
export type Measured = Readonly<Record<string, number>>;

/** What the installed agent runs with: the words after `node` in its first line. */
function agentOptions(): string[] {
  const [first = ''] = fs
    .readFileSync(new URL('../../agents/l3/main.js', import.meta.url), 'utf8')
    .split('\n');
  return /\bnode (.+)$/.exec(first)?.[1]?.split(' ') ?? [];
}

const VARIANTS = fileURLToPath(new URL('./variants.js', import.meta.url));
/** The kernel frees devices and namespaces in the background after the last process: let it, before the next. */
const SETTLE_MS = 500;
const PREPARE = 'mkdir -p /run/netns && mount -t tmpfs none /run/netns && mount -t sysfs none /sys';

/** Daemons end with the sandbox, however that ends. */
const NAMESPACES = ['--net', '--mount', '--propagation', 'private', '--pid', '--mount-proc', '--kill-child'];

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

const running = new Set<ChildProcess>();

/** End what runs inside; for signals. */
export function endSandboxes(): void {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

/**
 * Run the commands one after the other, each in a new process, in one new sandbox; the answer has what each
 * measured. @throws Error if one fails
 */
export async function sandbox(commands: readonly Command[]): Promise<Measured[]> {
  const node = [process.execPath, '--expose-gc', ...agentOptions(), VARIANTS].map(quoted).join(' ');
  const all: readonly Command[] = [...commands, ['clean']];
  const script = [PREPARE, ...all.map((words) => `${node} ${words.map(quoted).join(' ')}`)].join(' && ');
  const child = spawn('unshare', [...NAMESPACES, 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // A group of its own, to be ended as a whole.
    detached: true,
  });
  running.add(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  running.delete(child);
  if (code !== 0) throw new Error(`benchmark ${commands.map(([variant]) => variant).join(', ')} failed`);
  await pause(SETTLE_MS);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Measured);
}

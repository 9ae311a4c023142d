/** Commands of the host, run for what they say and do. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run a program to its end; a failure is a result here, not an exception. */
export function run(
  argv: readonly string[],
  options: { timeout?: number; input?: string } = {},
): Promise<Ran> {
  const [program, ...args] = argv;
  return new Promise((resolve) => {
    const child = execFile(
      program!,
      args,
      { timeout: options.timeout ?? 30_000, maxBuffer: 64 << 20, env: { ...process.env, LC_ALL: 'C' } },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 255) : 0;
        resolve({ code, stdout, stderr });
      },
    );
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}

/** Standard output of a program that must succeed. */
export async function output(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(argv);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}: ${stderr.trim()}`);
  return stdout;
}

export const inNs = (ns: string, ...argv: string[]): string[] => ['ip', 'netns', 'exec', ns, ...argv];

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `look` neither throws nor returns false; the last reason is in the error. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  timeout = 15_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + timeout;
  let reason = '';
  do {
    try {
      const value = await look();
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    } catch (error) {
      reason = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    await pause(50);
  } while (Date.now() < deadline);
  throw new Error(`not within ${timeout} ms: ${what}${reason}`);
}

/** Those that run now. */
const background = new Set<Background>();

/** Ends what a failed test left running. */
export async function stopBackground(): Promise<void> {
  await Promise.all([...background].map((one) => one.stop('SIGKILL')));
}

/** A program that runs beside the test; its output is collected by lines. */
export class Background {
  readonly lines: string[] = [];
  readonly child: ChildProcess;
  private rest = '';
  private readonly ended: Promise<void>;

  constructor(argv: readonly string[]) {
    const [program, ...args] = argv;
    this.child = spawn(program!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    background.add(this);
    this.ended = new Promise((resolve) =>
      this.child.once('close', () => {
        background.delete(this);
        resolve();
      }),
    );
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream!.setEncoding('utf8').on('data', (text: string) => {
        const parts = (this.rest + text).split('\n');
        this.rest = parts.pop()!;
        this.lines.push(...parts);
      });
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<string[]> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    await this.ended;
    return this.lines;
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const started = new Set<Daemon>();
process.once('exit', () => {
  for (const daemon of started) daemon.signal('SIGKILL');
});

/** A program that runs beside the test, its output in a file. Only what was started here is ever signalled. */
export class Daemon {
  readonly name: string;
  readonly log: string;
  readonly #argv: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  /** bytes of the log from before the last start */
  #before = 0;

  /** @param directory of the file with its output */
  constructor(
    name: string,
    argv: readonly string[],
    directory: string,
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    this.name = name;
    this.log = join(directory, `${name}.log`);
    this.#argv = argv;
    this.#environment = environment;
  }

  start(): this {
    const [program, ...args] = this.#argv;
    started.add(this);
    this.#before = existsSync(this.log) ? statSync(this.log).size : 0;
    const output = openSync(this.log, 'a');
    this.#child = spawn(program!, args, { env: this.#environment, stdio: ['ignore', output, output] });
    return this;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child?.kill(signal);
  }

  /** Resolves with its exit code once it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', patience = 15_000): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
    clearTimeout(timer);
    return child.exitCode;
  }

  /** What it has said since it was started last. */
  said(): string {
    return readFileSync(this.log).subarray(this.#before).toString('utf8');
  }

  /** The end of what it said. */
  tail(characters = 3_000): string {
    try {
      return readFileSync(this.log, 'utf8').slice(-characters);
    } catch {
      return '(nothing)';
    }
  }
}

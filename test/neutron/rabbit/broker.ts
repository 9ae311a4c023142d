import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as openSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';

const BIN = '/usr/lib/rabbitmq/bin';
/** Milliseconds in which a node must be up, on a machine that does much else. */
const PATIENCE = 240_000;
const LOOPBACK = '-kernel inet_dist_use_interface {127,0,0,1}';

export interface BrokerSettings {
  /** keep the port of a broker before, so that clients find the new one */
  readonly port?: number;
  /** lines of rabbitmq.conf, {directory} is replaced */
  readonly conf?: readonly string[];
}

/**
 * A RabbitMQ of this test's own: node name, ports, directories and epmd are its own, all on 127.0.0.1. Only processes
 * started here are ever signalled.
 */
export class TestBroker {
  readonly directory = mkdtempSync(join(tmpdir(), 'vdt-rabbit-'));
  readonly port: number;
  /** extra listener, for TLS */
  readonly tlsPort: number;
  readonly #listens: readonly number[];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #epmd: ChildProcess;
  /** A test that is ended half way leaves no broker behind. */
  readonly #end = (): void => {
    if (this.#server) this.#signal(this.#server, 'SIGKILL');
    this.#epmd.kill('SIGKILL');
  };
  #server: ChildProcess | null = null;

  static async start(settings: BrokerSettings = {}): Promise<TestBroker> {
    if (!existsSync(join(BIN, 'rabbitmq-server'))) {
      throw new Error('RabbitMQ is not installed: run deploy/install-dependencies.sh neutron');
    }
    const [port, distribution, epmd, tls] = await freePorts(4);
    const broker = new TestBroker(settings, settings.port ?? port!, distribution!, epmd!, tls!);
    await broker.up();
    return broker;
  }

  private constructor(
    settings: BrokerSettings,
    port: number,
    distribution: number,
    epmd: number,
    tlsPort: number,
  ) {
    this.port = port;
    this.tlsPort = tlsPort;
    const inside = (name: string): string => join(this.directory, name);
    const node = createHash('sha256').update(this.directory).digest('hex').slice(0, 8);
    writeFileSync(inside('plugins'), '[].');
    const conf = (settings.conf ?? []).map((line) =>
      line.replaceAll('{directory}', this.directory).replaceAll('{tls}', String(tlsPort)),
    );
    writeFileSync(inside('rabbitmq.conf'), `${conf.join('\n')}\n`);
    this.#listens = settings.conf?.some((line) => line.includes('{tls}')) ? [port, tlsPort] : [port];
    writeFileSync(inside('env.conf'), '');
    mkdirSync(inside('home'));
    writeFileSync(inside('home/.erlang.cookie'), randomBytes(12).toString('hex'), { mode: 0o400 });
    this.#environment = {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: inside('home'),
      RABBITMQ_CONF_ENV_FILE: inside('env.conf'),
      RABBITMQ_NODENAME: `vdt-${node}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distribution),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      ERL_EPMD_PORT: String(epmd),
      RABBITMQ_MNESIA_BASE: inside('mnesia'),
      RABBITMQ_LOG_BASE: inside('log'),
      RABBITMQ_PID_FILE: inside('pid'),
      RABBITMQ_ENABLED_PLUGINS_FILE: inside('plugins'),
      RABBITMQ_CONFIG_FILE: inside('rabbitmq.conf'),
      RABBITMQ_SERVER_ERL_ARGS: `+sbwt none +S 1:1 ${LOOPBACK}`,
      RABBITMQ_CTL_ERL_ARGS: `+sbwt none +S 1:1 ${LOOPBACK}`,
    };
    this.#epmd = spawn('epmd', ['-port', String(epmd), '-address', '127.0.0.1'], { stdio: 'ignore' });
  }

  url(query = ''): string {
    return `rabbit://guest:guest@127.0.0.1:${this.port}/${query}`;
  }

  /** Starts the node (again, with what it had on disk) and waits until it takes connections on all its ports. */
  async up(): Promise<void> {
    process.once('exit', this.#end);
    const log = openSync(join(this.directory, 'output'), 'a');
    // A process group of its own: signals reach the shell around the node too.
    const child = spawn(join(BIN, 'rabbitmq-server'), [], {
      env: this.#environment,
      detached: true,
      stdio: ['ignore', log, log],
    });
    this.#server = child;
    const waiting = [...this.#listens];
    for (const end = Date.now() + PATIENCE; Date.now() < end && child.exitCode === null; await delay(200)) {
      while (waiting.length > 0 && (await answers(waiting[0]!, waiting[0] === this.tlsPort))) waiting.shift();
      if (waiting.length === 0) return;
    }
    const output = readFileSync(join(this.directory, 'output'), 'utf8').slice(-2000);
    await this.stop();
    throw new Error(`RabbitMQ did not start:\n${output}`);
  }

  /** SIGKILL: nothing is saved, connections are reset. */
  async kill(): Promise<void> {
    const child = this.#server;
    this.#server = null;
    process.removeListener('exit', this.#end);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    this.#signal(child, 'SIGKILL');
    await ended;
  }

  /** Connections stay, nothing answers, new ones are accepted by the kernel and hear nothing. */
  freeze(): void {
    if (this.#server) this.#signal(this.#server, 'SIGSTOP');
  }

  thaw(): void {
    if (this.#server) this.#signal(this.#server, 'SIGCONT');
  }

  /** rabbitmqctl: takes a second or two. */
  async ctl(...args: string[]): Promise<string> {
    const { stdout } = await execa(join(BIN, 'rabbitmqctl'), ['-q', ...args], {
      env: this.#environment,
      extendEnv: false,
    });
    return stdout;
  }

  /** `rabbitmqctl list_<what> <columns>` as objects. */
  async list(what: string, ...columns: string[]): Promise<Record<string, unknown>[]> {
    return JSON.parse(await this.ctl(`list_${what}`, '--formatter', 'json', ...columns));
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.kill();
    this.#epmd.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #signal(child: ChildProcess, signal: NodeJS.Signals): void {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** Ports nobody listens on at the moment. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** An AMQP broker answers a wrong protocol header with the right one; of its TLS port it is enough that it listens. */
function answers(port: number, tls: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = openSocket({ host: '127.0.0.1', port });
    const end = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1000, end(false));
    socket.once('error', end(false));
    socket.once('data', end(true));
    socket.once('connect', tls ? end(true) : () => socket.write('AMQP\0\0\0\0'));
  });
}

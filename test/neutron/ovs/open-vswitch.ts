import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

/**
 * An Open vSwitch of this test's own: database, sockets and directories are its own, the datapath is in user space.
 * Its bridges are called vdt…. Only processes started here are ever signalled.
 */
export class TestSwitch {
  readonly directory = mkdtempSync(join(tmpdir(), 'vdt-ovs-'));
  readonly remote = `unix:${join(this.directory, 'db.sock')}`;
  readonly #environment: NodeJS.ProcessEnv;
  /** devices of bridges made here, and the one every user-space datapath has */
  readonly #devices = new Set(['ovs-netdev']);
  #database: ChildProcess | undefined;
  #switch: ChildProcess | undefined;
  readonly #end = (): void => {
    this.#switch?.kill('SIGKILL');
    this.#database?.kill('SIGKILL');
  };

  static async start(): Promise<TestSwitch> {
    if (!existsSync(SCHEMA))
      throw new Error('Open vSwitch is not installed: run deploy/install-dependencies.sh neutron');
    const made = new TestSwitch();
    await made.startDatabase();
    await made.vsctl('--no-wait', 'init');
    await made.startSwitch();
    return made;
  }

  private constructor() {
    const { directory } = this;
    this.#environment = {
      PATH: process.env.PATH,
      OVS_RUNDIR: directory,
      OVS_LOGDIR: directory,
      OVS_DBDIR: directory,
      OVS_SYSCONFDIR: directory,
    };
    process.once('exit', this.#end);
    execFileSync('ovsdb-tool', ['create', this.#path('conf.db'), SCHEMA]);
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  #spawn(program: string, ...args: string[]): ChildProcess {
    const log = openSync(this.#path(`${program}.log`), 'a');
    return spawn(program, args, { env: this.#environment, stdio: ['ignore', log, log] });
  }

  async startDatabase(): Promise<void> {
    const { directory } = this;
    rmSync(this.#path('db.sock'), { force: true });
    this.#database = this.#spawn(
      'ovsdb-server',
      this.#path('conf.db'),
      `--remote=p${this.remote}`,
      `--unixctl=${join(directory, 'ovsdb.ctl')}`,
    );
    await this.#until('ovsdb-server', () => existsSync(this.#path('db.sock')));
  }

  async startSwitch(): Promise<void> {
    rmSync(this.#path('vswitchd.ctl'), { force: true });
    this.#switch = this.#spawn(
      'ovs-vswitchd',
      this.remote,
      `--unixctl=${this.#path('vswitchd.ctl')}`,
      '--disable-system',
    );
    await this.#until('ovs-vswitchd', () => existsSync(this.#path('vswitchd.ctl')));
  }

  async #until(program: string, ready: () => boolean): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt++) {
      if (ready()) return;
      await delay(50);
    }
    throw new Error(`${program} did not start:\n${readFileSync(this.#path(`${program}.log`), 'utf8')}`);
  }

  killDatabase(): Promise<void> {
    return kill(this.#database);
  }

  killSwitch(): Promise<void> {
    return kill(this.#switch);
  }

  /** The database's process stands still: connections stay, nothing answers. */
  freezeDatabase(): void {
    this.#database?.kill('SIGSTOP');
  }

  thawDatabase(): void {
    this.#database?.kill('SIGCONT');
  }

  async vsctl(...args: string[]): Promise<string> {
    const { stdout } = await execa('ovs-vsctl', [`--db=${this.remote}`, '--timeout=20', ...args]);
    return stdout.trim();
  }

  /** A bridge that forwards within each VLAN, as br-int does without an L2 agent. */
  async addBridge(name: string): Promise<void> {
    if (!name.startsWith('vdt')) throw new Error(`bridge ${name}: names of a test's own start with vdt`);
    await this.vsctl('add-br', name, '--', 'set', 'bridge', name, 'datapath_type=netdev');
    this.#devices.add(name);
  }

  /** What the L2 agent does once it has learned of a port. */
  async wire(port: string, tag: number): Promise<void> {
    await this.vsctl('clear', 'port', port, 'vlan_mode', 'trunks', '--', 'set', 'port', port, `tag=${tag}`);
  }

  async stop(): Promise<void> {
    this.thawDatabase();
    await execa('ovs-appctl', ['-t', this.#path('vswitchd.ctl'), 'exit', '--cleanup'], { reject: false });
    await kill(this.#switch);
    await kill(this.#database);
    process.removeListener('exit', this.#end);
    // Taps of a switch that was killed outlive it.
    for (const device of this.#devices) await execa('ip', ['link', 'del', device], { reject: false });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

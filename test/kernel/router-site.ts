/** Machines on the networks of a router from router-states.ts: namespaces of their own, plugged into its bridges. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createNamespace, deleteNamespace, namespaceExists } from '../../lib/kernel/netns.ts';

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });

/** Echoes over TCP and UDP, every answer with its name in front. */
const ECHO = `
const [name, port] = process.argv.slice(1);
require('node:net').createServer((s) => { s.on('data', (d) => s.write(name + ' ' + d)); s.on('error', () => {}); })
  .listen(Number(port), '0.0.0.0', () => console.log('ready'));
const udp = require('node:dgram').createSocket('udp4');
udp.on('message', (d, from) => udp.send(name + ' ' + d, from.port, from.address));
udp.bind(Number(port), '0.0.0.0');`;

/** Says something every 20 ms over one connection (or from one UDP port) and prints what it hears. */
const TALK = `
const [kind, host, port] = process.argv.slice(1);
const hear = (d) => process.stdout.write(String(d).trim().split('\\n').join('\\n') + '\\n');
let n = 0;
if (kind === 'tcp') {
  const s = require('node:net').connect({ host, port: Number(port), noDelay: true });
  s.on('data', hear);
  s.on('error', (e) => console.log('error ' + e.code));
  s.on('close', () => console.log('closed'));
  setInterval(() => s.writable && s.write(++n + '\\n'), 20);
} else {
  const s = require('node:dgram').createSocket('udp4');
  s.on('message', hear);
  s.on('error', () => {});
  s.bind(40000, () => setInterval(() => s.send(String(++n), Number(port), host, () => {}), 20));
}`;

/** A running conversation: the lines heard so far. */
export interface Talk {
  readonly heard: readonly string[];
}

export class Site {
  private readonly names: string[] = [];
  private readonly children: ChildProcess[] = [];

  /** A machine with this address on the network of a bridge. Bridges that are not there yet are made. */
  machine(name: string, bridge: string, cidr: string, gateway?: string): string {
    if (namespaceExists(name)) deleteNamespace(name);
    createNamespace(name);
    this.names.push(name);
    try {
      ip('link', 'add', bridge, 'type', 'bridge');
      ip('link', 'set', bridge, 'up');
    } catch {
      // the router's own
    }
    const tap = `${name.slice(-10)}-t`;
    ip('link', 'add', tap, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('link', 'set', tap, 'master', bridge, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    ip('-n', name, 'address', 'add', cidr, 'dev', 'eth0');
    if (gateway) ip('-n', name, 'route', 'add', 'default', 'via', gateway);
    return name;
  }

  private node(
    ns: string,
    program: string,
    args: readonly string[],
  ): { child: ChildProcess; lines: string[] } {
    const child = spawn('ip', ['netns', 'exec', ns, process.execPath, '-e', program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.children.push(child);
    const lines: string[] = [];
    child.stdout.on('data', (data: Buffer) => lines.push(...data.toString().trim().split('\n')));
    return { child, lines };
  }

  /** Resolves when it listens. */
  async echo(ns: string, port: number, name: string): Promise<void> {
    const { child } = this.node(ns, ECHO, [name, String(port)]);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
  }

  talk(ns: string, kind: 'tcp' | 'udp', host: string, port: number): Talk {
    return { heard: this.node(ns, TALK, [kind, host, String(port)]).lines };
  }

  /** Run a program that prints until it is killed; what it printed so far. */
  watch(ns: string, argv: readonly string[]): Promise<readonly string[]> {
    const lines: string[] = [];
    const child = spawn('ip', ['netns', 'exec', ns, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.children.push(child);
    let rest = '';
    child.stdout.on('data', (data: Buffer) => {
      const parts = (rest + data.toString()).split('\n');
      rest = parts.pop()!;
      lines.push(...parts);
    });
    // tcpdump says on its standard error when it listens.
    return new Promise((resolve) => child.stderr.once('data', () => resolve(lines)));
  }

  close(): void {
    for (const child of this.children) child.kill('SIGKILL');
    for (const name of this.names) deleteNamespace(name);
    for (const name of this.names)
      try {
        ip('link', 'del', `${name.slice(-10)}-t`);
      } catch {
        // gone with its namespace
      }
  }
}

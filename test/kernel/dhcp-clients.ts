/** Virtual machines of a network for tests: a namespace with one device per MAC, and dhclient as the DHCP client. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

export interface Answer {
  /** leased address; undefined: nobody offered one */
  readonly address?: string;
  /** options by dhclient's names, as in its lease file */
  readonly options: Readonly<Record<string, string>>;
}

export class DhcpClients {
  readonly ns: string;
  private readonly bridge: string;
  private readonly directory = mkdtempSync(join(tmpdir(), 'vdt-dhclient-'));
  private readonly devices = new Map<string, string>();

  constructor(ns: string, bridge: string) {
    this.ns = ns;
    this.bridge = bridge;
    ip('netns', 'add', ns);
    writeFileSync(
      join(this.directory, 'conf'),
      [
        'timeout 3; initial-interval 1; retry 1;',
        'option ms-routes code 249 = string;',
        'option routes121 code 121 = string;',
        'request subnet-mask, routers, domain-name, domain-name-servers, interface-mtu, tftp-server-name,',
        '  dhcp-lease-time, ms-routes, routes121;',
        '',
      ].join('\n'),
    );
  }

  /** dhclient is run once, without touching the device; its answer is its lease file. */
  async ask(mac: string): Promise<Answer> {
    const device = this.deviceOf(mac);
    const lease = join(this.directory, `${device}.lease`);
    rmSync(lease, { force: true });
    const args = ['-1', '-d', '-sf', '/bin/true', '-cf', join(this.directory, 'conf'), '-lf', lease];
    const pid = join(this.directory, `${device}.pid`);
    const output = await new Promise<string>((resolve) => {
      const child = execFile(
        'ip',
        ['netns', 'exec', this.ns, 'dhclient', ...args, '-pf', pid, device],
        { timeout: 8_000 },
        (_error, stdout, stderr) => resolve(stdout + stderr),
      );
      // With -d it stays once it is bound.
      child.stderr?.on('data', (text: Buffer) => {
        if (text.includes('bound to')) child.kill('SIGTERM');
      });
    });
    const address = /bound to ([0-9.]+)/.exec(output)?.[1];
    return { ...(address ? { address } : {}), options: address ? leaseOptions(lease) : {} };
  }

  private deviceOf(mac: string): string {
    const known = this.devices.get(mac);
    if (known) return known;
    const number = this.devices.size;
    const [root, device] = [`vdtc${number}`, `eth${number}`];
    ip('link', 'add', root, 'type', 'veth', 'peer', 'name', device, 'netns', this.ns);
    ip('link', 'set', root, 'master', this.bridge, 'up');
    ip('-n', this.ns, 'link', 'set', device, 'address', mac, 'up');
    this.devices.set(mac, device);
    return device;
  }

  remove(): void {
    for (const [number] of [...this.devices.values()].entries()) ip('link', 'del', `vdtc${number}`);
    ip('netns', 'del', this.ns);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function leaseOptions(path: string): Record<string, string> {
  const text = execFileSync('cat', [path], { encoding: 'utf8' });
  return Object.fromEntries(
    [...text.matchAll(/^\s*option (\S+) (.*);$/gm)].map((match) => [match[1]!, match[2]!]),
  );
}

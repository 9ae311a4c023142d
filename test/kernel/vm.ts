/** A virtual machine as its network sees it: a namespace with `eth0`, and the DHCP clients that people run in one. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Capture, Machine } from '../e2e/packets.ts';
import { Background, inNs, until } from '../e2e/shell.ts';

const ip = (...args: string[]): string => execFileSync('ip', args, { stdio: 'pipe', encoding: 'utf8' });

/** What a client was told: variables of dhclient-script(8) or dhcpcd-run-hooks(8), without their prefix `new_`. */
export type Told = Readonly<Record<string, string>>;

const DHCLIENT = `
option classless-routes code 121 = array of unsigned integer 8;
option microsoft-routes code 249 = array of unsigned integer 8;
option custom code 224 = text;
request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, interface-mtu, host-name,
  dhcp-renewal-time, dhcp-rebinding-time, classless-routes, microsoft-routes, ntp-servers, tftp-server-name,
  bootfile-name, custom;
also request dhcp6.bootfile-url, dhcp6.sntp-servers, dhcp6.name-servers, dhcp6.domain-search;
timeout 4; retry 1; initial-interval 1; backoff-cutoff 1;
`;

const DHCPCD = `
duid
option domain_name_servers, domain_name, domain_search, host_name, ntp_servers
option classless_static_routes, ms_classless_static_routes, interface_mtu, tftp_server_name, bootfile_name
option dhcp6_name_servers, dhcp6_domain_search, dhcp6_bootfile_url
noarp
ipv6rs
slaac hwaddr
`;

let number = 0;

/** Ends everything that runs in a namespace, and what that starts meanwhile. */
export async function silence(ns: string): Promise<void> {
  await until(`nothing runs in ${ns}`, () => {
    const pids = ip('netns', 'pids', ns).split('\n').filter(Boolean);
    for (const pid of pids) kill(Number(pid));
    return pids.length === 0;
  });
}

/** It may have ended by itself. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export class Vm extends Machine {
  readonly directory = mkdtempSync(join(tmpdir(), 'vdt-vm-'));
  private readonly tap: string;
  private readonly running = new Set<Background>();

  /** On a bridge, with nothing configured; router advertisements are followed only by those who are asked to. */
  constructor(bridge: string, mac: string) {
    number += 1;
    const name = `vdtv${process.pid.toString(36)}${number}`;
    super(name);
    this.tap = name;
    ip('netns', 'add', name);
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    this.sysctl('net.ipv6.conf.eth0.accept_ra', '0');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'link', 'set', 'eth0', 'address', mac, 'up');
    ip('link', 'set', name, 'master', bridge, 'up');
    for (const file of ['dhclient.conf', 'dhcpcd.conf'])
      writeFileSync(join(this.directory, file), file === 'dhcpcd.conf' ? DHCPCD : DHCLIENT);
    this.hook();
  }

  sysctl(name: string, value: string): void {
    execFileSync('ip', ['netns', 'exec', this.ns, 'sysctl', '-qw', `${name}=${value}`]);
  }

  /** The clients' script: each call leaves its variables in a file of its reason. */
  private hook(): void {
    const path = join(this.directory, 'hook');
    const into = `${this.directory}/told`;
    mkdirSync(into);
    const configure = `[ -e ${this.directory}/configures ] && [ -n "$new_ip_address" ] && ip address replace $new_ip_address/$new_subnet_mask dev eth0`;
    writeFileSync(
      path,
      `#!/bin/sh\n${configure}\nenv | grep -E '^(new_|old_|nd1_|interface|reason)' > ${into}/.$$ && mv ${into}/.$$ ${into}/$reason\n`,
    );
    chmodSync(path, 0o755);
  }

  /** Variables of the last call for one of these reasons; undefined: there was none. */
  told(...reasons: string[]): Told | undefined {
    const path = reasons.map((reason) => join(this.directory, 'told', reason)).find(existsSync);
    if (path === undefined) return undefined;
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
    return Object.fromEntries(
      lines.map((line) => {
        const at = line.indexOf('=');
        return [line.slice(0, at).replace(/^new_/, ''), line.slice(at + 1)];
      }),
    );
  }

  private forgetWhatItWasTold(): void {
    rmSync(join(this.directory, 'told'), { recursive: true });
    mkdirSync(join(this.directory, 'told'));
  }

  private starts(...argv: string[]): Background {
    const made = new Background(inNs(this.ns, ...argv));
    this.running.add(made);
    return made;
  }

  private async end(program: Background, signal: NodeJS.Signals): Promise<void> {
    await program.stop(signal);
    this.running.delete(program);
  }

  /** dhclient, until it has an IPv4 lease or gives up; nothing is configured. A second call asks for the same again. */
  dhclient(...args: string[]): Promise<Told | undefined> {
    const gaveUp = (lines: readonly string[]): boolean =>
      lines.some((line) => /^No DHCPOFFERS|No working leases/.test(line)) ||
      lines.filter((line) => line.startsWith('DHCPNAK')).length > 1;
    return this.isc(['-4', '-lf', join(this.directory, 'leases4'), ...args], ['BOUND', 'REBOOT'], gaveUp);
  }

  /** dhclient for DHCPv6; with '-S' only for information. Undefined: nothing came back for two messages and more. */
  dhclient6(...args: string[]): Promise<Told | undefined> {
    const gaveUp = (lines: readonly string[]): boolean =>
      lines.filter((line) => /^XMT: (Solicit|Info-Request) on/.test(line)).length > 2;
    const reasons = args.includes('-S') ? ['RENEW6'] : ['BOUND6', 'REBIND6'];
    return this.isc(['-6', '-lf', join(this.directory, 'leases6'), ...args], reasons, gaveUp);
  }

  private async isc(
    args: readonly string[],
    reasons: readonly string[],
    gaveUp: (lines: readonly string[]) => boolean,
  ): Promise<Told | undefined> {
    await this.settled();
    this.forgetWhatItWasTold();
    const at = (name: string): string => join(this.directory, name);
    const files = ['-cf', at('dhclient.conf'), '-pf', at('pid'), '-sf', at('hook')];
    const client = this.starts('dhclient', '-1', '-d', ...files, ...args, 'eth0');
    const given = await until(
      'dhclient has an answer or gives up',
      () => this.told(...reasons) ?? (gaveUp(client.lines) && 'nothing'),
      30_000,
    ).finally(() => this.end(client, 'SIGKILL'));
    return given === 'nothing' ? undefined : given;
  }

  /** dhclient that goes on running, and puts its IPv4 address on eth0: from there it renews its lease when T1 is over. */
  dhclientStays(): void {
    this.forgetWhatItWasTold();
    const at = (name: string): string => join(this.directory, name);
    writeFileSync(at('configures'), '');
    const files = ['-cf', at('dhclient.conf'), '-pf', at('pid'), '-sf', at('hook'), '-lf', at('leases4')];
    this.starts('dhclient', '-4', '-d', ...files, 'eth0');
  }

  /** More lines for dhclient.conf(5), instead of those said before. */
  sends(text: string): void {
    writeFileSync(join(this.directory, 'dhclient.conf'), `${DHCLIENT}${text}\n`);
  }

  /** What dhclient remembers goes: the machine is installed anew. */
  forgetLeases(): void {
    for (const version of [4, 6]) rmSync(join(this.directory, `leases${version}`), { force: true });
  }

  /** dhcpcd for both versions, as it comes: it configures eth0 and goes on running. Its files are in a mount namespace of its own. */
  dhcpcd(...args: string[]): void {
    this.forgetWhatItWasTold();
    const at = (name: string): string => join(this.directory, name);
    mkdirSync(at('dhcpcd'), { recursive: true });
    const command = ['dhcpcd', '-B', '-d', '-c', at('hook'), '-f', at('dhcpcd.conf'), ...args, 'eth0'].join(
      ' ',
    );
    const mounts = `mkdir -p /var/lib/dhcpcd && mount --bind ${at('dhcpcd')} /var/lib/dhcpcd && mount -t tmpfs none /run`;
    this.starts('unshare', '-m', 'sh', '-c', `${mounts} && exec ${command}`);
  }

  /** dhcpcd asks everybody for its leases again, now. */
  rebind(): void {
    this.signalDhcpcd('SIGHUP');
  }

  /** dhcpcd asks the server it has its leases of for more time, now. */
  renew(): void {
    this.signalDhcpcd('SIGUSR1');
  }

  /** The first of its processes takes signals; it begins the others. */
  private signalDhcpcd(signal: NodeJS.Signals): void {
    this.forgetWhatItWasTold();
    const pids = ip('netns', 'pids', this.ns).split('\n').filter(Boolean).map(Number);
    const runs = (pid: number): boolean => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('dhcpcd');
    process.kill(Math.min(...pids.filter(runs)), signal);
  }

  /** The kernel follows router advertisements from now on. */
  slaac(): void {
    this.sysctl('net.ipv6.conf.eth0.accept_ra', '2');
    this.sysctl('net.ipv6.conf.eth0.autoconf', '1');
    ip('-n', this.ns, 'link', 'set', 'eth0', 'down');
    ip('-n', this.ns, 'link', 'set', 'eth0', 'up');
  }

  /** Global addresses of eth0 with prefix length, sorted. */
  addresses(version: 4 | 6): string[] {
    const shown = ip('-n', this.ns, `-${version}`, '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'global');
    return [...shown.matchAll(/inet6? (\S+)/g)].map((match) => match[1]!).sort();
  }

  routes(version: 4 | 6): string {
    return ip('-n', this.ns, `-${version}`, 'route', 'show');
  }

  /** Its link-local address is no longer tentative: before, nothing can be sent from it. */
  private async settled(): Promise<void> {
    await until('eth0 has its link-local address', () => {
      const shown = ip('-n', this.ns, '-6', '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'link');
      return shown.includes('fe80') && !shown.includes('tentative');
    });
  }

  /** DHCP packets of both versions from now on. */
  dhcpPackets(): Promise<Capture> {
    return this.capture('eth0', 'udp port 67 or udp port 68 or udp port 546 or udp port 547', '-vvv', '-tt');
  }

  async remove(): Promise<void> {
    await silence(this.ns);
    await Promise.all([...this.running].map((program) => this.end(program, 'SIGKILL')));
    execFileSync('ip', ['link', 'del', this.tap]);
    ip('netns', 'del', this.ns);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A router that is nobody's: a namespace on a network's bridge with radvd in it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Background, inNs, until } from '../e2e/shell.ts';
import { silence } from './vm.ts';

const ip = (...args: string[]): string => execFileSync('ip', args, { stdio: 'pipe', encoding: 'utf8' });

let number = 0;

export class Advertiser {
  private readonly name: string;
  private readonly directory = mkdtempSync(join(tmpdir(), 'vdt-ra-'));
  private readonly radvd: Background;

  /** `options` as in radvd.conf(5), of the interface. */
  private constructor(bridge: string, options: string) {
    number += 1;
    this.name = `vdtr${process.pid.toString(36)}${number}`;
    ip('netns', 'add', this.name);
    ip('link', 'add', this.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    execFileSync('ip', ['netns', 'exec', this.name, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']);
    ip('-n', this.name, 'link', 'set', 'eth0', 'up');
    ip('link', 'set', this.name, 'master', bridge, 'up');
    const [conf, pid] = [join(this.directory, 'conf'), join(this.directory, 'pid')];
    writeFileSync(
      conf,
      `interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; ${options} };\n`,
    );
    this.radvd = new Background(inNs(this.name, 'radvd', '-n', '-C', conf, '-p', pid, '-m', 'stderr'));
  }

  static async start(bridge: string, options: string): Promise<Advertiser> {
    const made = new Advertiser(bridge, options);
    await until('the router has its link-local address', () => {
      const shown = ip('-n', made.name, '-6', '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'link');
      return shown.includes('fe80') && !shown.includes('tentative');
    });
    return made;
  }

  async remove(): Promise<void> {
    // radvd is two processes.
    await silence(this.name);
    await this.radvd.stop('SIGKILL');
    ip('link', 'del', this.name);
    ip('netns', 'del', this.name);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

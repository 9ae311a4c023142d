/** A provider's server that delegates IPv6 prefixes: Kea, in a machine of the external network. */
import fs from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './packets.ts';
import { Background, until } from './shell.ts';

export interface DelegatingServerOptions {
  readonly directory: string;
  /** link prefix, in which routers have their gateways */
  readonly link: string;
  /** what /64s are taken from */
  readonly pool: { readonly prefix: string; readonly length: number };
  /** seconds */
  readonly renew?: number;
  readonly valid?: number;
  /** bits of what is delegated */
  readonly delegatedLength?: number;
}

export interface Binding {
  readonly prefix: string;
  /** seconds it is valid, from the last time it was given or renewed; 0: given back */
  readonly valid: number;
  readonly duid: string;
}

export class DelegatingServer {
  private readonly program: Background;
  private readonly leases: string;

  private constructor(program: Background, leases: string) {
    this.program = program;
    this.leases = leases;
  }

  /** On `eth0` of the machine. What an earlier one with this directory gave is known to it. */
  static async start(machine: Machine, options: DelegatingServerOptions): Promise<DelegatingServer> {
    const { directory, link, pool, renew = 900, valid = 3_600, delegatedLength = 64 } = options;
    fs.mkdirSync(directory, { recursive: true });
    // It listens on the addresses that are there when it starts.
    await until('the provider has a link-local address', async () => {
      const shown = await machine.sh('ip -6 -o address show dev eth0 scope link');
      return shown.includes('fe80') && !shown.includes('tentative');
    });
    const leases = join(directory, 'leases.csv');
    const file = join(directory, 'kea.json');
    const configuration = {
      Dhcp6: {
        'server-id': { type: 'EN', 'enterprise-id': 2495, identifier: '0A0B0C', persist: false },
        'interfaces-config': { interfaces: ['eth0'] },
        'lease-database': { type: 'memfile', persist: true, name: leases },
        'renew-timer': renew,
        'rebind-timer': Math.round(renew * 1.6),
        'preferred-lifetime': Math.round(valid / 2),
        'valid-lifetime': valid,
        subnet6: [
          {
            subnet: link,
            interface: 'eth0',
            'pd-pools': [
              { prefix: pool.prefix, 'prefix-len': pool.length, 'delegated-len': delegatedLength },
            ],
          },
        ],
        loggers: [{ name: 'kea-dhcp6', severity: 'INFO', output_options: [{ output: 'stdout' }] }],
      },
    };
    fs.writeFileSync(file, JSON.stringify(configuration));
    const environment = [`KEA_PIDFILE_DIR=${directory}`, `KEA_LOCKFILE_DIR=${directory}`];
    const program = new Background([
      'ip',
      'netns',
      'exec',
      machine.ns,
      'env',
      ...environment,
      'kea-dhcp6',
      '-c',
      file,
    ]);
    const server = new DelegatingServer(program, leases);
    await until(
      'the delegating server runs',
      () => {
        if (program.child.exitCode !== null) throw new Error(program.lines.join('\n'));
        return program.lines.some((line) => line.includes('DHCP6_STARTED'));
      },
      20_000,
    );
    return server;
  }

  /** How often it said this of a prefix: 'ALLOC' and 'RENEW' are of its log, as is 'DHCP6_RELEASE_PD'. */
  said(event: string, prefix = ''): number {
    return this.program.lines.filter((line) => line.includes(event) && line.includes(prefix)).length;
  }

  /** What is given to whom now, by its database. */
  bindings(): Binding[] {
    const rows = fs.readFileSync(this.leases, 'utf8').trim().split('\n').slice(1);
    const newest = new Map(
      rows.map((row) => {
        const [address, duid, valid] = row.split(',');
        return [address!, { prefix: address!, duid: duid!, valid: Number(valid) }];
      }),
    );
    return [...newest.values()].filter(({ valid }) => valid > 0);
  }

  get log(): string {
    return this.program.lines.join('\n');
  }

  async stop(): Promise<void> {
    await this.program.stop('SIGTERM');
  }
}

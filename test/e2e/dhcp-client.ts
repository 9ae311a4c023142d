/** A real DHCP client, and what it was told, read from the wire. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from './packets.ts';
import { Background, inNs, until } from './shell.ts';

/** One DHCP packet as tcpdump prints it. */
export interface DhcpPacket {
  /** seconds */
  readonly time: number;
  /** 'Discover', 'Offer', 'Request', 'ACK', 'NACK', … */
  readonly type: string;
  /** IP destination without port */
  readonly to: string;
  /** the address it is about ("your IP") */
  readonly address: string | undefined;
  /** values by option number, in tcpdump's words */
  readonly options: ReadonlyMap<number, string>;
}

export interface Exchange {
  readonly packets: readonly DhcpPacket[];
  /** undefined: the client got nothing */
  readonly ack: DhcpPacket | undefined;
}

export const ALL_OPTIONS = [
  'subnet-mask',
  'broadcast-address',
  'routers',
  'domain-name',
  'domain-name-servers',
  'interface-mtu',
  'dhcp-renewal-time',
  'dhcp-rebinding-time',
  'classless-routes',
  'microsoft-routes',
];

const configuration = (request: readonly string[], timeout: number): string => `
option classless-routes code 121 = array of unsigned integer 8;
option microsoft-routes code 249 = array of unsigned integer 8;
request ${request.join(', ')};
timeout ${timeout};
retry 1;
initial-interval 1;
backoff-cutoff 1;
`;

/**
 * Runs dhclient on eth0 until it has a lease or `timeout` seconds are over. Nothing is configured with it.
 * `memory`: a directory in which the client remembers its lease; with one in it, it asks for that again.
 */
export async function lease(
  machine: Machine,
  options: { request?: readonly string[]; timeout?: number; memory?: string } = {},
): Promise<Exchange> {
  const { request = ALL_OPTIONS, timeout = 5 } = options;
  const directory = options.memory ?? fs.mkdtempSync(join(tmpdir(), 'vdt-dhclient-'));
  const at = (name: string) => join(directory, name);
  fs.writeFileSync(at('conf'), configuration(request, timeout));
  const files = ['-cf', at('conf'), '-lf', at('leases'), '-pf', at('pid')];
  const words = ['dhclient', '-4', '-1', '-d', ...files, '-sf', '/bin/true', 'eth0'];
  let packets: DhcpPacket[];
  try {
    const capture = await machine.capture('eth0', 'udp port 67 or udp port 68', '-vvv', '-tt');
    const client = new Background(inNs(machine.ns, ...words));
    const ended = until(
      'an answer',
      () =>
        client.lines.some((line) => /^bound to|No DHCPOFFERS|Unable to obtain|No working leases/.test(line)),
      (timeout + 5) * 1_000,
    );
    await ended.finally(() => client.stop('SIGKILL'));
    packets = packetsOf((await capture.stop()).join('\n'));
  } finally {
    if (!options.memory) fs.rmSync(directory, { recursive: true });
  }
  return { packets, ack: packets.findLast(({ type }) => type === 'ACK') };
}

function packetsOf(text: string): DhcpPacket[] {
  return text
    .split(/^(?=\d+\.\d+ IP )/m)
    .filter((part) => /DHCP-Message/.test(part))
    .map((part) => ({
      time: Number.parseFloat(part),
      type: /DHCP-Message \(53\), length 1: (\w+)/.exec(part)?.[1] ?? '',
      to: / > (\d+\.\d+\.\d+\.\d+)\.\d+:/.exec(part)?.[1] ?? '',
      address: /Your-IP (\S+)/.exec(part)?.[1],
      options: new Map(
        [...part.matchAll(/\((\d+)\), length \d+: (.*)$/gm)].map((match) => [
          Number(match[1]),
          match[2]!.trim(),
        ]),
      ),
    }));
}

/** Router advertisements as a host sees them: asked for with rdisc6, and what the kernel makes of them. */
import type { Machine } from './packets.ts';
import { until } from './shell.ts';

export interface Seen {
  /** M */
  readonly managed: boolean;
  /** O */
  readonly otherConfig: boolean;
  readonly preference: string;
  /** seconds */
  readonly lifetime: number;
  readonly mtu: number | undefined;
  readonly prefixes: readonly { prefix: string; onLink: boolean; autonomous: boolean; valid: number }[];
  readonly routes: readonly string[];
  readonly nameServers: readonly string[];
  /** link-local address of the sender */
  readonly from: string;
}

const first = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? '';
const isYes = (text: string, label: string): boolean =>
  first(text, new RegExp(`${label}\\s*:\\s*(\\w+)`)) === 'Yes';

function seenIn(text: string): Seen {
  const [head = '', ...prefixes] = text.split(/^ Prefix /m);
  const mtu = first(text, /^ MTU\s*:\s*(\d+)/m);
  return {
    managed: isYes(head, 'Stateful address conf\\.'),
    otherConfig: isYes(head, 'Stateful other conf\\.'),
    preference: first(head, /Router preference\s*:\s*(\w+)/),
    lifetime: Number(first(head, /Router lifetime\s*:\s*(\d+)/)),
    mtu: mtu === '' ? undefined : Number(mtu),
    prefixes: prefixes.map((block) => ({
      prefix: first(block, /^\s*:\s*(\S+)/),
      onLink: isYes(block, 'On-link'),
      autonomous: isYes(block, 'Autonomous address conf\\.'),
      valid: Number(first(block, /Valid time\s*:\s*(\d+)/)),
    })),
    routes: [...text.matchAll(/^ Route\s*:\s*(\S+)/gm)].map((match) => match[1]!),
    nameServers: [...text.matchAll(/^ Recursive DNS server\s*:\s*(\S+)/gm)].map((match) => match[1]!),
    from: first(text, /^ from (\S+)/m),
  };
}

/** Asks once, as a host that comes up does; undefined: nobody answers within 2 s. */
export async function solicited(machine: Machine, device = 'eth0'): Promise<Seen | undefined> {
  const { code, stdout } = await machine.run('rdisc6', '-1', '-r', '2', '-w', '1000', device);
  return code === 0 ? seenIn(stdout) : undefined;
}

/** Asks until what comes is as wanted. */
export const advertised = (
  machine: Machine,
  wanted: (seen: Seen) => boolean = () => true,
  device = 'eth0',
): Promise<Seen> =>
  until(
    `${machine.ns} hears the router advertisement it should`,
    async () => {
      const seen = await solicited(machine, device);
      if (seen && !wanted(seen)) throw new Error(JSON.stringify(seen));
      return seen;
    },
    30_000,
  );

export interface LearnedAddress {
  readonly ip: string;
  readonly deprecated: boolean;
}

/** Global IPv6 addresses the kernel made itself, once duplicate detection is over. */
export async function learned(machine: Machine, device = 'eth0'): Promise<LearnedAddress[]> {
  const text = await machine.sh(`ip -6 -o address show dev ${device} scope global dynamic`);
  return text
    .split('\n')
    .filter((line) => line.includes('inet6') && !line.includes('tentative'))
    .map((line) => ({
      ip: first(line, /inet6 ([^/]+)/),
      deprecated: line.includes('deprecated'),
    }));
}

/** Waits for an address of its own making that is not deprecated. */
export const configured = (machine: Machine, prefix: string, device = 'eth0'): Promise<string> =>
  until(
    `${machine.ns} has an address in ${prefix}`,
    async () =>
      (await learned(machine, device)).find(({ ip, deprecated }) => ip.startsWith(prefix) && !deprecated)?.ip,
    30_000,
  );

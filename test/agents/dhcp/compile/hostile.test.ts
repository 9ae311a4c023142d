import { describe, expect, it } from 'vitest';
import { RADVD_TEMPLATE } from '../../../../lib/announcement/radvd.ts';
import { readTemplate } from '../../../../lib/daemon/template.ts';
import { parseNetwork } from '../../../../lib/model/network.ts';
import { PayloadError } from '../../../../lib/model/payload.ts';
import { findPackageRoot } from '../../../../lib/process/life.ts';
import { leaves, numbers, pick, replaced, spoiled } from '../../../fixtures/hostile-text.ts';
import { harmIn, type Produced, produced } from './grammar.ts';
import { dhcpPort, networkPayload, portId, portPayload, subnetPayload } from './payload.ts';
import { compiled } from './rendered.ts';

/** Many short tests: a machine that is busy has time enough for each. */
const CASES = 150;
const BLOCKS = Array.from({ length: 10 }, (_, i) => i * CASES + 1);
const PORTS = [5, 6, 7];
const VERSION_6 = ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac'] as const;

/** Every kind of field that a file is made of, on every port. */
const PAYLOAD = networkPayload(
  [
    subnetPayload(1, {
      dns_nameservers: ['192.0.2.53', '192.0.2.54'],
      host_routes: [{ destination: '10.77.0.0/16', nexthop: '10.0.1.7' }],
      allocation_pools: [{ start: '10.0.1.2', end: '10.0.1.254' }],
    }),
    ...VERSION_6.map((mode, i) =>
      subnetPayload(i + 2, {
        ip_version: 6,
        cidr: `fd00:${i + 2}::/64`,
        gateway_ip: `fd00:${i + 2}::1`,
        ipv6_ra_mode: mode,
        ipv6_address_mode: mode,
        dns_nameservers: [`fd00:${i + 2}::53`],
      }),
    ),
  ],
  [
    dhcpPort(
      99,
      [1, 2, 3, 4].map((n) => [n, n === 1 ? '10.0.1.2' : `fd00:${n}::99`] as const),
    ),
    ...PORTS.map((n) =>
      portPayload(
        n,
        [
          [1, `10.0.1.${n}`],
          [2, `fd00:2::${n}`],
          [3, `fd00:3::${n}`],
          [4, `fd00:4::${n}`],
        ],
        {
          name: `port ${n}`,
          extra_dhcp_opts: [
            { opt_name: 'bootfile-name', opt_value: 'pxe.0', ip_version: 4 },
            { opt_name: 'tag:ipxe,67', opt_value: 'http://boot.example/y', ip_version: 4 },
            { opt_name: '59', opt_value: 'http://boot.example/x', ip_version: 6 },
            { opt_name: 'client-id', opt_value: `client${n}`, ip_version: 4 },
          ],
          dns_assignment: [{ ip_address: `10.0.1.${n}`, hostname: `web${n}`, fqdn: `web${n}.a.example.` }],
        },
      ),
    ),
  ],
  { dns_domain: 'a.example' },
);

const ROOT = findPackageRoot();
const TEMPLATE = readTemplate(ROOT, RADVD_TEMPLATE);

const produce = (payload: unknown): Produced =>
  produced(compiled(parseNetwork(payload), { enable_isolated_ra: true }, { radvd: TEMPLATE }));

/** Lines by which a port is served: they name its id, its MAC or its addresses. */
const linesOf = ({ files }: Produced, port: number): string[] => {
  const marks = [portId(port), `fa:16:3e:00:00:0${port}`];
  const starts = [`10.0.1.${port}\t`, ...[2, 3, 4].map((n) => `fd00:${n}::${port}\t`)];
  return [...files.host!, ...files.opts!, ...files.addn_hosts!].filter(
    (line) => marks.some((mark) => line.includes(mark)) || starts.some((start) => line.startsWith(start)),
  );
};
const clean = produce(PAYLOAD);

/** By them the server says which port is the agent's own: with others the network has none. */
const OWN_PORT = ['ports.0.device_id', 'ports.0.device_owner'];
const FIELDS = leaves(PAYLOAD).filter((path) => !OWN_PORT.includes(path.join('.')));

const isClientIdName = (path: Case['path']): boolean =>
  path.slice(2).join('.') === 'extra_dhcp_opts.3.opt_name';

interface Case {
  readonly what: string;
  readonly path: readonly (string | number)[];
  readonly payload: unknown;
}

function spoiledPayload(seed: number): Case {
  const random = numbers(seed);
  const path = pick(random, FIELDS);
  let value: unknown;
  const payload = replaced(PAYLOAD, path, (before) => {
    value = spoiled(random, before);
    return value;
  });
  return { what: `seed ${seed}: ${path.join('.')} = ${JSON.stringify(value).slice(0, 200)}`, path, payload };
}

/** undefined: refused as a whole, in one sentence that names the field */
function produceOrRefuse({ payload, what, path }: Case): Produced | undefined {
  try {
    return produce(payload);
  } catch (error) {
    if (!(error instanceof PayloadError)) throw new Error(what, { cause: error });
    const field = path.filter((part) => typeof part === 'string').at(-1)!;
    expect(error.message, what).toContain(field);
    expect(error.message.length, what).toBeLessThan(400);
    expect(error.message, what).not.toMatch(/[\n\r\0]/);
    return undefined;
  }
}

describe('text of tenants that tries to be configuration', () => {
  it('stands for itself as long as it is harmless', () => {
    expect(harmIn(clean, clean)).toEqual([]);
    for (const n of PORTS) expect(linesOf(clean, n).length, `port ${n}`).toBeGreaterThan(8);
  });

  it.each(BLOCKS)(
    'makes no line of its own in any file, and keeps no other port from being served (seeds from %d)',
    (first) => {
      let refused = 0;
      for (let seed = first; seed < first + CASES; seed++) {
        const one = spoiledPayload(seed);
        const result = produceOrRefuse(one);
        if (!result) {
          refused += 1;
          // A port of an instance is nobody else's affair.
          expect(one.path[0] === 'ports' && one.path[1] !== 0, one.what).toBe(false);
          continue;
        }
        // A client id under another name is an option as any other.
        expect(harmIn(result, clean, isClientIdName(one.path) ? 1 : 0), one.what).toEqual([]);
        if (one.path[0] === 'subnets') continue;
        const victim = one.path[0] === 'ports' ? PORTS[Number(one.path[1]) - 1] : undefined;
        const others = PORTS.filter((n) => n !== victim);
        expect(
          others.map((n) => linesOf(result, n)),
          one.what,
        ).toEqual(others.map((n) => linesOf(clean, n)));
      }
      expect(refused).toBeGreaterThan(0);
      expect(refused).toBeLessThan(CASES / 2);
    },
  );
});

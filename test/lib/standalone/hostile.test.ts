import { describe, expect, it } from 'vitest';
import { compileFabricRecord, instanceHost } from '../../../agents/fabric/agent.ts';
import { compileRouter } from '../../../agents/l3/compile/router.ts';
import { l3Options } from '../../../agents/l3/options.ts';
import { RADVD_TEMPLATE } from '../../../lib/announcement/radvd.ts';
import { readTemplate } from '../../../lib/daemon/template.ts';
import { parseNetwork } from '../../../lib/model/network.ts';
import { parseRouter } from '../../../lib/model/router.ts';
import type { Row } from '../../../lib/namespace/rows.ts';
import { findPackageRoot } from '../../../lib/process/life.ts';
import { instancesOf } from '../../../lib/standalone/instance-view.ts';
import { payloadsOf } from '../../../lib/standalone/payload.ts';
import { parseTopology, TopologyError } from '../../../lib/standalone/topology.ts';
import { harmIn, type Produced, produced } from '../../agents/dhcp/compile/grammar.ts';
import { compiled, HOST } from '../../agents/dhcp/compile/rendered.ts';
import { leaves, numbers, pick, replaced, spoiled } from '../../fixtures/hostile-text.ts';

const CASES = 100;
const BLOCKS = Array.from({ length: 8 }, (_, i) => i * CASES + 1);
const ROOT = findPackageRoot();
const RADVD = readTemplate(ROOT, RADVD_TEMPLATE);

/** Every kind of field that ends up in a file, a device name or a command line. */
const TOPOLOGY = {
  name: 'hostile',
  networks: [
    {
      name: 'ext',
      external: true,
      subnets: [{ name: 'ext4', cidr: '198.18.0.0/24', gateway_ip: '198.18.0.1' }],
    },
    {
      name: 'net',
      mtu: 1400,
      dns_domain: 'a.example',
      subnets: [
        {
          name: 'v4',
          cidr: '10.0.0.0/24',
          dns_nameservers: ['192.0.2.53'],
          host_routes: [{ destination: '10.77.0.0/16', nexthop: '10.0.0.7' }],
        },
        {
          name: 'v6',
          cidr: 'fd00:1::/64',
          ipv6_ra_mode: 'slaac',
          ipv6_address_mode: 'slaac',
          dns_nameservers: ['fd00:1::53'],
        },
      ],
    },
  ],
  routers: [{ name: 'r', external_gateway_info: { network: 'ext' }, interfaces: ['v4', 'v6'] }],
  ports: [
    {
      name: 'p',
      network: 'net',
      mac_address: 'fa:16:3e:00:00:05',
      dns_name: 'web',
      extra_dhcp_opts: [{ opt_name: 'bootfile-name', opt_value: 'pxe.0' }],
    },
  ],
  instances: [
    { name: 'a', network: 'net' },
    { name: 'b', ports: ['p'], namespace: 'vdt-hostile-b' },
  ],
  floating_ips: [{ floating_network: 'ext', instance: 'a', floating_ip_address: '198.18.0.50' }],
};

interface Everything {
  readonly networks: readonly Produced[];
  readonly others: readonly Row[];
}

function everything(topology: unknown): Everything {
  const read = parseTopology(JSON.stringify(topology), { file: 't.yaml', host: HOST.name });
  const { networks, routers } = payloadsOf(read);
  const host = instanceHost({ directory: '/state', packageRoot: ROOT });
  return {
    networks: networks.map((one) =>
      produced(compiled(parseNetwork(one), { enable_isolated_ra: true }, { radvd: RADVD })),
    ),
    others: [
      ...routers.flatMap((one) =>
        compileRouter({
          router: parseRouter(one),
          host: { name: HOST.name, radvd: RADVD },
          options: l3Options(),
        }).flat(),
      ),
      ...instancesOf(read).flatMap((payload) =>
        (compileFabricRecord({ kind: 'instance', payload }, host) ?? []).flat(),
      ),
    ],
  };
}
const clean = everything(TOPOLOGY);

/** Names of devices and namespaces are one word; a file has as many lines as before, an argument none. */
function harmInRows(rows: readonly Row[]): string[] {
  const known = new Map(
    clean.others.flatMap((row) => (row.kind === 'file' ? [[kindOf(row.path), row.content]] : [])),
  );
  return rows.flatMap((row) => {
    const harm: string[] = [];
    if (!/^[A-Za-z0-9._-]*$/.test(row.ns)) harm.push(`namespace ${row.ns}`);
    if (row.kind === 'link' && !/^[A-Za-z0-9._-]{1,15}$/.test(row.name)) harm.push(`device ${row.name}`);
    if (row.kind === 'daemon') harm.push(...row.argv.filter((argument) => !/^[\x20-\x7e]+$/.test(argument)));
    if (row.kind === 'file') {
      const before = known.get(kindOf(row.path));
      if (row.content.split('\n').length > (before ?? '').split('\n').length) harm.push(row.content);
      if (/[^\n\x20-\x7e]/.test(row.content)) harm.push(row.content);
    }
    return harm;
  });
}
/** 'radvd.conf', 'eth0.conf' */
const kindOf = (path: string): string => path.replace(/^.*\//, '').replace(/^[0-9a-f-]{36}\./, '');

describe('text in a topology file that tries to be configuration', () => {
  it('has none in it to begin with', () => {
    for (const network of clean.networks) expect(harmIn(network, network)).toEqual([]);
    expect(harmInRows(clean.others)).toEqual([]);
    expect(clean.others.some((row) => row.kind === 'file' && kindOf(row.path) === 'radvd.conf')).toBe(true);
  });

  it.each(BLOCKS)('is refused in a line for each mistake, or stands for itself (seeds from %d)', (first) => {
    let refused = 0;
    for (let seed = first; seed < first + CASES; seed++) {
      const random = numbers(seed);
      const path = pick(random, leaves(TOPOLOGY));
      let what = '';
      const topology = replaced(TOPOLOGY, path, (before) => {
        const value = spoiled(random, before);
        what = `seed ${seed}: ${path.join('.')} = ${JSON.stringify(value).slice(0, 200)}`;
        return value;
      });
      try {
        const made = everything(topology);
        expect(made.networks.length, what).toBe(clean.networks.length);
        made.networks.forEach((network, i) => {
          expect(harmIn(network, clean.networks[i]!), what).toEqual([]);
        });
        expect(harmInRows(made.others), what).toEqual([]);
      } catch (error) {
        if (!(error instanceof TopologyError)) throw new Error(what, { cause: error });
        refused += 1;
        const lines = error.message.split('\n');
        expect(lines.length, what).toBe(error.problems.length);
        for (const line of lines) {
          expect(line, what).toMatch(/^t\.yaml:\d+:\d+: [^\p{Cc}]+ — /u);
          expect(line.length, what).toBeLessThan(400);
        }
      }
    }
    expect(refused).toBeGreaterThan(CASES / 4);
  });
});

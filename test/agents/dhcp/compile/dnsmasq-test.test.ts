import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addedOpts } from '../../../../agents/dhcp/compile/dnsmasq.ts';
import type { Network } from '../../../../lib/model/network.ts';
import { MODES } from './modes.ts';
import { dhcpPort, network, portPayload, subnetPayload } from './payload.ts';
import { argumentsOf, compiled, recordedNetworks } from './rendered.ts';

const installed = spawnSync('dnsmasq', ['--version']).status === 0;

/** dnsmasq checks its command line and conf files with --test; files of hosts and options only as conf lines. */
describe.skipIf(!installed)('the dnsmasq of this machine', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'vdt-dnsmasq-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const hostile = network(
    [subnetPayload(1, { dns_nameservers: ['0.0.0.0'], gateway_ip: null })],
    [
      dhcpPort(99, [[1, '10.0.1.2']]),
      ...['a"b', 'a #b', 'x,y', "it's", 'back\\slash', '\u0000', 'ü', 'tag:x', ',,,', 'x'.repeat(960)].map(
        (opt_value, i) =>
          portPayload(i + 1, [[1, `10.0.1.${i + 10}`]], {
            extra_dhcp_opts: [
              { opt_name: '224', opt_value, ip_version: 4 },
              { opt_name: 'client-id', opt_value, ip_version: 4 },
              { opt_name: opt_value, opt_value: 'x', ip_version: 4 },
            ],
            dns_assignment: [{ ip_address: `10.0.1.${i + 10}`, hostname: opt_value, fqdn: opt_value }],
          }),
      ),
    ],
  );

  const given: readonly (readonly [name: string, network: () => Network])[] = [
    ['dhcp-opts', () => recordedNetworks('dhcp-opts', 'get_network_info-3')[0]!],
    ['dual-stack', () => recordedNetworks('dual-stack', 'get_network_info-10')[0]!],
    ['legacy-basic', () => recordedNetworks('legacy-basic', 'get_network_info-8')[0]!],
    ['hostile', () => hostile],
    ...MODES.map(([name, one]) => [name, () => one] as const),
  ];
  it.each(given)('accepts arguments, hosts and options of %s', (name, network) => {
    const result = compiled(network(), { dhcp_confs: join(directory, name) });
    const own = result.service!.directory;
    mkdirSync(addedOpts(own), { recursive: true });
    for (const row of result.groups.flat())
      if (row.kind === 'file') {
        mkdirSync(dirname(row.path), { recursive: true });
        writeFileSync(row.path, row.content);
      }
    const { lines } = result.service!;
    const conf = join(own, 'conf');
    // An unknown option name is the tenant's own affair at run time (one line is ignored), but an error in a conf file.
    const opts = lines.opts.filter((line) => !/option:(x|tag:x|back|it's)/.test(line));
    writeFileSync(
      conf,
      [
        ...lines.host.map((line) => `dhcp-host=${line}`),
        ...opts.map((line) => `dhcp-option=${line}`),
        '',
      ].join('\n'),
    );
    const args = argumentsOf(result)
      .slice(1)
      .map((arg) => (arg === '--conf-file=/dev/null' ? `--conf-file=${conf}` : arg));
    const output = execFileSync('dnsmasq', ['--test', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    expect(output.toString()).toBe('');
  });
});

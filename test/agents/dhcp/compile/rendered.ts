import { readFileSync } from 'node:fs';
import {
  type CompiledNetwork,
  compileNetwork,
  type DhcpHost,
} from '../../../../agents/dhcp/compile/network.ts';
import { dhcpOptions } from '../../../../agents/dhcp/options.ts';
import { type Network, parseNetwork } from '../../../../lib/model/network.ts';
import type { Row } from '../../../../lib/namespace/rows.ts';

export const HOST: DhcpHost = { name: 'net-1', ipv6: true, hostTags: true, inotify: true };

/** Networks of a recorded answer of Neutron 21. */
export function recordedNetworks(scenario: string, file: string): Network[] {
  const url = new URL(`../../../fixtures/recorded/${scenario}/${file}.json`, import.meta.url);
  const payload = JSON.parse(readFileSync(url, 'utf8')) as unknown;
  return (Array.isArray(payload) ? payload : [payload]).filter(Boolean).map(parseNetwork);
}

export const compiled = (
  network: Network,
  options: Readonly<Record<string, unknown>> = {},
  host: Partial<DhcpHost> = {},
): CompiledNetwork =>
  compileNetwork({
    network,
    host: { ...HOST, ...host },
    options: dhcpOptions({ dhcp_confs: '/dhcp', ...options }),
  });

/** Content of a file of the network's directory. */
export function fileOf({ groups }: CompiledNetwork, name: string): string {
  const found = groups.flat().find((row) => row.kind === 'file' && row.path.endsWith(`/${name}`));
  if (found?.kind !== 'file') throw new Error(`no file ${name}`);
  return found.content;
}

export const argumentsOf = ({ service }: CompiledNetwork): readonly string[] => service?.daemon.argv ?? [];

const DEFAULTS: Readonly<Record<string, unknown>> = {
  up: true,
  metric: 0,
  scope: 'global',
  protocol: 4,
  table: 254,
};

function renderedRow(row: Row): string {
  if (row.kind === 'file') return `${row.key}\n${row.content.replace(/^/gm, '    ')}`;
  if (row.kind === 'daemon') return `${row.key}\n    ${row.argv.join('\n    ')}`;
  const { kind, key, ns, ...rest } = row;
  const fields = Object.entries(rest).filter(
    ([name, value]) => value !== undefined && value !== false && value !== DEFAULTS[name],
  );
  return [key, ...fields.map(([name, value]) => `${name}=${JSON.stringify(value)}`)].join(' ');
}

/** Everything a network is, for golden files. */
export const rendered = ({ groups, warnings }: CompiledNetwork): string =>
  `${[...groups.map((group) => group.map(renderedRow).join('\n')), warnings.join('\n')].filter(Boolean).join('\n\n')}\n`;

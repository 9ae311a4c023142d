/** What files and arguments of a network may look like, line by line, whatever tenants wrote. */
import type { CompiledNetwork } from '../../../../agents/dhcp/compile/network.ts';
import { isIp } from '../../../../lib/model/ip.ts';
import { argumentsOf } from './rendered.ts';

const UUID = '[0-9a-f-]{36}';
const MAC = '(?:[0-9a-f]{2}:){5}[0-9a-f]{2}';
const NAME = '[A-Za-z0-9][A-Za-z0-9._-]{0,253}';
const ADDRESS = '[0-9a-f.:]+|\\[[0-9a-f:.]+\\]';
/** No quote, no control character, no start of a comment; words apart. */
const VALUE = '(?:(?![,\\s]#)[ !$-~#])*';

/** What a line of each file may look like: each of its fields is one field. */
const LINES: Readonly<Record<string, RegExp>> = {
  host: new RegExp(
    `^${MAC},(?:tag:dhcpv6,)?(?:set:port-${UUID}|(?:id:[!-+\\--~]+,)?${NAME},(?:${ADDRESS})(?:,set:port-${UUID})?)$`,
  ),
  addn_hosts: new RegExp(`^[0-9a-f.:]+\t${NAME} ${NAME}$`),
  opts: new RegExp(
    `^tag:(?:subnet|port)-${UUID},(?:tag:[!A-Za-z0-9_.-]+,)?(?:\\d+|option6?:[A-Za-z0-9-]+)(?:,${VALUE})?$`,
  ),
  'radvd.conf':
    /^(?:# Written by Viaduct: router advertisements of network [0-9a-f-]{36} \(radvd\.conf\(5\)\)\.|interface (?:ns-|tap)[0-9a-f-]{11}|prefix [0-9a-f:]+\/\d+|RDNSS [0-9a-f:. ]+ \{\};|AdvRASrcAddress \{ fe80::[0-9a-f:]+; \};|(?:Adv|Min|Max)[A-Za-z]+ [a-z0-9]+;|\{|\};)$/,
};
const LONGEST = 1_000;

export interface Produced {
  /** lines by file; the file may be missing */
  readonly files: Readonly<Record<string, readonly string[]>>;
  readonly argv: readonly string[];
}

/** A network of which nothing is served has none. */
export function produced(result: CompiledNetwork): Produced {
  const rows = result.groups.flat();
  const content = (name: string): string => {
    const found = rows.find((row) => row.kind === 'file' && row.path.endsWith(`/${name}`));
    return found?.kind === 'file' ? found.content : '';
  };
  const files = Object.keys(LINES).map((name) => [
    name,
    content(name)
      .split('\n')
      .map((line) => (name === 'radvd.conf' ? line.trim() : line))
      .filter((line) => line !== ''),
  ]);
  return { files: Object.fromEntries(files), argv: argumentsOf(result) };
}
/** What in it is more than what was `clean`, or of another form than what the fields of a payload can be. */
export function harmIn({ files, argv }: Produced, clean: Produced, moreOptions = 0): string[] {
  const harm: string[] = [];
  for (const [name, form] of Object.entries(LINES)) {
    const lines = files[name]!;
    const most = clean.files[name]!.length + (name === 'opts' ? moreOptions : 0);
    if (lines.length > most) harm.push(`${name} has ${lines.length} lines`);
    harm.push(...lines.filter((line) => !form.test(line) || Buffer.byteLength(line) >= LONGEST));
  }
  harm.push(...files.addn_hosts!.filter((line) => !isIp(line.split('\t')[0]!)));
  if (argv.length > clean.argv.length) harm.push(`${argv.length} arguments`);
  harm.push(...argv.slice(1).filter((argument) => !/^--[a-z0-9-]+(?:=[\x21-\x7e]*)?$/.test(argument)));
  return harm;
}

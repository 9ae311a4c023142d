/**
 * How a running dnsmasq learns of changed files. Pure.
 *
 * What dnsmasq 2.90 does, by experiment:
 * - `--dhcp-hostsfile`, `--addn-hosts`, `--dhcp-optsfile` are read at start and on SIGHUP, never else.
 * - A file that appears in `--dhcp-hostsdir` or `--dhcp-optsdir` is read at once (inotify) and *added*. What is
 *   removed from it, or the whole file, stays in force until SIGHUP; SIGHUP reads the directory anew.
 * - In `--dhcp-hostsdir` an address that an entry in force already has is refused ("duplicate dhcp-host IP
 *   address"); a second entry of a MAC goes before the first.
 * - `--hostsdir` also forgets at once what was removed from a file.
 * - Names that begin with a dot or end with `~` are not read; so temporary files begin with a dot.
 * - After a client was served by an entry with `set:`, SIGHUP may crash it: the tag's list then points into the
 *   stack and is freed. (Seen with 2.90-4~deb12u2 under valgrind, by hostsfile and hostsdir alike; 2.86:
 *   github.com/imp/dnsmasq/pull/20.) It must be started anew instead.
 *
 * So: the contract's three files are always complete and written first of all for whoever starts dnsmasq next.
 * Lines that are new in every respect (no line in force has their MAC, address or tag) go to the watched
 * directories as well, and that is all. Everything else is a signal, or a new start if a `set:` line is in
 * force; it empties the directories. `digest` tells what was in the three files when dnsmasq last read them:
 * digest + additions = what is in force, also for an agent that was just started. Without the directories the files
 * are Neutron's agent's, and what is in them is in force.
 */
import { createHash } from 'node:crypto';
import type { ConfigLines } from './compile/network.ts';

/** One set of files in the watched directories. */
export interface Addition {
  /** file name in each of the directories; counts up */
  readonly number: number;
  readonly lines: ConfigLines;
}

/** What dnsmasq has been told, as found on disk. */
export interface InForce {
  /** the contract's files as they are */
  readonly lines: ConfigLines;
  /** of the files as dnsmasq last read them; undefined: not known */
  readonly digest: string | undefined;
  /** the files are another agent's (Neutron's), which tells dnsmasq of every change at once */
  readonly adopted?: boolean;
  readonly additions: readonly Addition[];
}

export type Decision =
  /** dnsmasq knows all of it */
  | { readonly action: 'none' }
  /** put these lines into the watched directories */
  | { readonly action: 'add'; readonly addition: Addition }
  /** write the files, empty the directories, then SIGHUP */
  | { readonly action: 'signal' }
  /** write the files, empty the directories, stop and start */
  | { readonly action: 'restart' };

export const KINDS = ['host', 'names', 'opts'] as const;
export type Kind = (typeof KINDS)[number];

/** Files in a directory before a signal tidies up: each is read at start, and each costs dnsmasq a look. */
export const MOST_ADDITIONS = 200;

export function digestOf(lines: ConfigLines): string {
  const hash = createHash('sha1');
  for (const kind of KINDS) hash.update(`${kind}\n${lines[kind].join('\n')}\n`);
  return hash.digest('hex');
}

/**
 * By what an entry is found; a new line may share none of it with one in force. MAC and addresses of a host
 * entry, address of a name, tag of an option.
 */
export function subjectsOf(kind: Kind, line: string): string[] {
  if (kind === 'names') return [line.split('\t')[0]!];
  const fields = line.split(',');
  if (kind === 'opts') return [fields[0]!];
  return fields.filter((field, i) => i === 0 || /^\[|^[0-9.]+$/.test(field));
}

/** Lines of `lines` that are not in `other`; undefined if one of `other` is not in `lines`. */
function beyond(lines: readonly string[], other: readonly string[]): string[] | undefined {
  const left = new Set(other);
  if (left.size < other.length) return undefined;
  const more = lines.filter((line) => !left.delete(line));
  return left.size === 0 ? more : undefined;
}

function subtract(lines: ConfigLines, other: ConfigLines): ConfigLines | undefined {
  const host = beyond(lines.host, other.host);
  const names = beyond(lines.names, other.names);
  const opts = beyond(lines.opts, other.opts);
  return host && names && opts ? { host, names, opts } : undefined;
}

/** In whatever order: ports come in another one from the server than events told of them. */
function isSame(lines: ConfigLines, other: ConfigLines): boolean {
  const rest = subtract(lines, other);
  return rest !== undefined && KINDS.every((kind) => rest[kind].length === 0);
}

const joined = (additions: readonly Addition[]): ConfigLines => ({
  host: additions.flatMap(({ lines }) => lines.host),
  names: additions.flatMap(({ lines }) => lines.names),
  opts: additions.flatMap(({ lines }) => lines.opts),
});

function isNewInEveryRespect(fresh: ConfigLines, wanted: ConfigLines): boolean {
  return KINDS.every((kind) => {
    const added = new Set(fresh[kind]);
    const taken = new Set(
      wanted[kind].filter((line) => !added.has(line)).flatMap((line) => subjectsOf(kind, line)),
    );
    return fresh[kind].every((line) => subjectsOf(kind, line).every((subject) => !taken.has(subject)));
  });
}

const isTagged = (line: string): boolean => line.includes(',set:');

/**
 * What to do so that a *running* dnsmasq serves by `wanted`.
 * @param watches it was started with the watched directories
 */
export function decideReload(inForce: InForce, wanted: ConfigLines, watches: boolean): Decision {
  const { digest, additions, lines } = inForce;
  if (inForce.adopted && !watches && isSame(lines, wanted)) return { action: 'none' };
  const told = joined(additions);
  const rest = subtract(wanted, told);
  if (digest !== undefined && rest) {
    if (digestOf(rest) === digest) return { action: 'none' };
    const before = new Set([...lines.host, ...lines.names, ...lines.opts]);
    const pick = (kind: Kind): string[] => rest[kind].filter((line) => !before.has(line));
    const fresh: ConfigLines = { host: pick('host'), names: pick('names'), opts: pick('opts') };
    const base = subtract(rest, fresh);
    if (
      watches &&
      additions.length < MOST_ADDITIONS &&
      base &&
      digestOf(base) === digest &&
      isNewInEveryRespect(fresh, wanted)
    )
      return { action: 'add', addition: { number: (additions.at(-1)?.number ?? 0) + 1, lines: fresh } };
  }
  const tagged = [...lines.host, ...told.host].some(isTagged);
  return { action: tagged ? 'restart' : 'signal' };
}

/**
 * A network's configuration directory, as far as it is not rows: leases, and what a running dnsmasq has been
 * told beside the three files (see reload.ts).
 */
import fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { counters } from '../../lib/kernel/counters.ts';
import { addedHosts, addedNames, addedOpts } from './compile/dnsmasq.ts';
import type { Addition, InForce } from './reload.ts';

/** Not read by dnsmasq: its name begins with a dot. */
const digestPath = (directory: string): string => join(addedHosts(directory), '.digest');

function textOf(path: string): string {
  if (!fs.existsSync(path)) return '';
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const linesOf = (path: string): string[] => textOf(path).split('\n').filter(Boolean);

/** Temporary names begin with a dot, so that dnsmasq sees the file once, whole. */
function write(path: string, content: string): void {
  const directory = dirname(path);
  const temporary = join(directory, `.${path.slice(directory.length + 1)}.new`);
  counters.writes += 1;
  inDirectory(directory, () => fs.writeFileSync(temporary, content, { mode: 0o644 }));
  fs.renameSync(temporary, path);
}

/** Makes the directory only if that is what is missing: mostly it is there. */
function inDirectory(directory: string, fn: () => void): void {
  try {
    fn();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    fs.mkdirSync(directory, { recursive: true, mode: 0o755 });
    fn();
  }
}

/** @throws Error if it can't be made */
export function makeDirectory(path: string): void {
  if (fs.existsSync(path)) return;
  counters.writes += 1;
  fs.mkdirSync(path, { recursive: true, mode: 0o755 });
}

function remove(path: string): void {
  counters.writes += 1;
  fs.rmSync(path, { recursive: true, force: true });
}

function numbers(directory: string): number[] {
  if (!fs.existsSync(directory)) return [];
  try {
    return fs
      .readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const additionDirectories = (directory: string) => ({
  host: addedHosts(directory),
  names: addedNames(directory),
  opts: addedOpts(directory),
});

/** What dnsmasq has been told. */
export function readInForce(directory: string): InForce {
  const added = additionDirectories(directory);
  const found = new Set(Object.values(added).flatMap(numbers));
  const additions = [...found]
    .sort((a, b) => a - b)
    .map(
      (number): Addition => ({
        number,
        lines: {
          host: linesOf(join(added.host, String(number))),
          names: linesOf(join(added.names, String(number))),
          opts: linesOf(join(added.opts, String(number))),
        },
      }),
    );
  const lines = {
    host: linesOf(join(directory, 'host')),
    names: linesOf(join(directory, 'addn_hosts')),
    opts: linesOf(join(directory, 'opts')),
  };
  return {
    lines,
    digest: textOf(digestPath(directory)).trim() || undefined,
    adopted: !fs.existsSync(addedHosts(directory)),
    additions,
  };
}

/** Tell a running dnsmasq more. Hosts come last: whoever is served gets the options, too. */
export function add(directory: string, { number, lines }: Addition): void {
  const added = additionDirectories(directory);
  for (const kind of ['opts', 'names', 'host'] as const)
    if (lines[kind].length > 0)
      write(join(added[kind], String(number)), lines[kind].map((line) => `${line}\n`).join(''));
}

/** From now on nobody knows what dnsmasq has been told; a crash before `remember` costs one signal more. */
export function forget(directory: string): void {
  fs.mkdirSync(addedHosts(directory), { recursive: true, mode: 0o755 });
  if (fs.existsSync(digestPath(directory))) remove(digestPath(directory));
}

/** dnsmasq has read the three files as of this digest. */
export const remember = (directory: string, digest: string): void =>
  write(digestPath(directory), `${digest}\n`);

/** Nothing beside the three files is to be read. */
export function removeAdditions(directory: string): void {
  if (!fs.existsSync(addedHosts(directory))) return;
  for (const added of Object.values(additionDirectories(directory)))
    for (const number of numbers(added)) remove(join(added, String(number)));
}

export const readHosts = (directory: string): string => textOf(join(directory, 'host'));
export const readLeases = (directory: string): string => textOf(join(directory, 'leases'));

/** Looks at a lease file that seems to be written just now, and milliseconds between them. */
const LOOKS = 4;
const APART_MS = 5;

/** Of a running dnsmasq: it writes the file anew in place, so that for a moment it is empty or ends within a line. */
export async function wholeLeases(directory: string): Promise<string> {
  for (let look = 1; ; look += 1) {
    const text = readLeases(directory);
    if (text.endsWith('\n') || look === LOOKS) return text;
    await pause(APART_MS);
  }
}

export const writeLeases = (directory: string, content: string): void =>
  write(join(directory, 'leases'), content);

/**
 * As Neutron's agent expects to find it, and no more. A running dnsmasq that watched the rest goes on with what it has
 * been told: the three files say the same.
 */
export const giveBack = (directory: string): void => {
  if (fs.existsSync(addedHosts(directory))) remove(addedHosts(directory));
};

/** All of it, once dnsmasq is gone. */
export function removeDirectory(directory: string): void {
  if (fs.existsSync(directory)) remove(directory);
}

/** Networks that have a directory: what an earlier agent, ours or Neutron's, served. */
export function networksOnDisk(dhcpConfs: string): string[] {
  try {
    return fs
      .readdirSync(dhcpConfs)
      .filter((name) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * The nearest directory above (or at) `path` that other users can't pass: dnsmasq, which reads its files again as
 * a user of its own, would find none of them. undefined: the way is free.
 */
export function closedDirectory(path: string): string | undefined {
  const OTHERS_PASS = 0o001;
  for (let at = resolve(path); ; at = dirname(at)) {
    const mode = fs.statSync(at, { throwIfNoEntry: false })?.mode;
    if (mode !== undefined && !(mode & OTHERS_PASS)) return at;
    if (at === '/') return undefined;
  }
}

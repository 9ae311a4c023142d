/**
 * What one running dnsmasq serves by, kept at hand: one port more then costs its own lines, not a look at those
 * of all others. It gives the same answers as decideReload or none. Pure.
 */
import type { ConfigLines } from './compile/network.ts';
import { type Addition, KINDS, type Kind, MOST_ADDITIONS, subjectsOf } from './reload.ts';

/** Lines of `wanted` beside those of `lines`, all of which must be there in the same order; else undefined. */
function inserted(lines: readonly string[], wanted: readonly string[]): string[] | undefined {
  const more: string[] = [];
  let at = 0;
  for (const line of wanted)
    if (at < lines.length && line === lines[at]) at += 1;
    else more.push(line);
  return at === lines.length ? more : undefined;
}

const subjectsOfAll = (lines: ConfigLines) => {
  const of = (kind: Kind) => new Set(lines[kind].flatMap((line) => subjectsOf(kind, line)));
  return { host: of('host'), names: of('names'), opts: of('opts') };
};

export class LinesInForce {
  private lines: ConfigLines;
  private additions: number;
  private number: number;
  /** found out when they are first asked for */
  private subjects: Readonly<Record<Kind, Set<string>>> | undefined;

  /** @param lines in the order of the contract's files, those of the additions among them */
  constructor(lines: ConfigLines, additions: readonly Addition[]) {
    this.lines = lines;
    this.additions = additions.length;
    this.number = additions.at(-1)?.number ?? 0;
  }

  /**
   * What makes `wanted` be in force ('none': it is); undefined: something else than an addition, or it can't be
   * told without a look at everything.
   */
  towards(wanted: ConfigLines): Addition | 'none' | undefined {
    const [host, names, opts] = KINDS.map((kind) => inserted(this.lines[kind], wanted[kind]));
    if (!host || !names || !opts) return undefined;
    if (host.length + names.length + opts.length === 0) return 'none';
    if (this.additions >= MOST_ADDITIONS) return undefined;
    const lines: ConfigLines = { host, names, opts };
    this.subjects ??= subjectsOfAll(this.lines);
    const { subjects } = this;
    const isNew = (kind: Kind): boolean =>
      new Set(lines[kind]).size === lines[kind].length &&
      lines[kind].every((line) => subjectsOf(kind, line).every((each) => !subjects[kind].has(each)));
    return KINDS.every(isNew) ? { number: this.number + 1, lines } : undefined;
  }

  /** These lines were told to dnsmasq: all of `wanted` is in force. */
  added({ number, lines }: Addition, wanted: ConfigLines): this {
    this.lines = wanted;
    this.additions += 1;
    this.number = number;
    const { subjects } = this;
    if (subjects)
      for (const kind of KINDS)
        for (const line of lines[kind]) for (const each of subjectsOf(kind, line)) subjects[kind].add(each);
    return this;
  }
}

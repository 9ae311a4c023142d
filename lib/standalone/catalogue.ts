/** Names and ids of one kind of object, and finding what a reference means. */
import type { Given, Source } from './document.ts';
import { nearest } from './problem.ts';

interface Entry<T> {
  readonly id: string;
  readonly at: number;
  /** undefined: it is in the file but was found wrong, so references to it say nothing more */
  readonly object: T | undefined;
}

export class Catalogue<T> {
  readonly #source: Source;
  readonly #kind: string;
  readonly #byId = new Map<string, Entry<T>>();
  readonly #byName = new Map<string, Entry<T>[]>();
  readonly #unique = new Map<string, number>();

  constructor(source: Source, kind: string) {
    this.#source = source;
    this.#kind = kind;
  }

  /**
   * @param names what may stand for the id; the first one must be unique within `scope`
   */
  add(
    id: string,
    names: readonly (string | undefined)[],
    at: number,
    object: T | undefined,
    scope = '',
  ): void {
    const entry = { id, at, object };
    const [name] = names;
    const same = this.#byId.get(id);
    const first = name === undefined ? undefined : this.#unique.get(`${scope}|${name}`);
    if (name !== undefined && first !== undefined) {
      this.#duplicate(at, `the name ${JSON.stringify(name)}`, first, 'rename one of them');
    } else if (same) {
      this.#duplicate(at, `the id ${id}`, same.at, 'change it, or leave it out to have it derived');
    }
    if (name !== undefined && first === undefined) this.#unique.set(`${scope}|${name}`, at);
    if (!same) this.#byId.set(id, entry);
    for (const one of new Set(names)) {
      if (one === undefined) continue;
      const list = this.#byName.get(one);
      if (list) list.push(entry);
      else this.#byName.set(one, [entry]);
    }
  }

  #duplicate(at: number, what: string, first: number, fix: string): void {
    this.#source.report(
      at,
      `${what} is that of another ${this.#kind} (line ${this.#source.lineOf(first)})`,
      fix,
    );
  }

  /**
   * What a reference means; undefined (and reported) if that is nothing or several.
   * @param subject who refers, for the error
   * @param within the only objects it can mean, and what to call that: 'on network "blue"'
   */
  find(
    ref: Given<string>,
    subject: string,
    within?: { readonly says: string; matches(object: T): boolean },
  ): T | undefined {
    const exact = this.#byId.get(ref.value.toLowerCase());
    const all = exact ? [exact] : (this.#byName.get(ref.value) ?? []);
    const fitting = all.filter(({ object }) => !object || !within || within.matches(object));
    const quoted = JSON.stringify(ref.value);
    if (fitting.length === 1) return fitting[0]!.object;
    if (fitting.length > 1) {
      const lines = fitting.map(({ at }) => this.#source.lineOf(at)).join(' and ');
      this.#source.report(
        ref.at,
        `${subject}: ${quoted} means more than one ${this.#kind} (lines ${lines})`,
        'use an id or a name that only one has',
      );
    } else if (all.length > 0) {
      this.#source.report(
        ref.at,
        `${subject}: ${this.#kind} ${quoted} is not ${within?.says}`,
        'name another one',
      );
    } else {
      const guess = nearest(ref.value, this.#byName.keys());
      this.#source.report(
        ref.at,
        `${subject}: there is no ${this.#kind} ${quoted}`,
        guess ? `did you mean ${JSON.stringify(guess)}?` : `define it, or name a ${this.#kind} of this file`,
      );
    }
    return undefined;
  }
}

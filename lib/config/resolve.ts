import {
  type HostFacts,
  normalGroup,
  type OptionDeclaration,
  type OptionValue,
  optionLabel,
} from './option.ts';
import { type ConfigProblem, type Origin, originText } from './problem.ts';
import { maskUrl } from './secrets.ts';
import type { Layer } from './sources.ts';
import { substitute } from './substitution.ts';
import { parseValue } from './value.ts';

export interface EffectiveOption {
  readonly option: OptionDeclaration;
  /** secrets as they are: show it through `shown` */
  readonly value: OptionValue;
  readonly origin: Origin;
  /** whether that is what it would be without being set */
  readonly standard: boolean;
}

/** Set to something else than the default, but without effect here. */
export const isWithoutEffect = ({ option, standard }: EffectiveOption): boolean =>
  option.unused !== undefined && !standard;

/** Typed values by group (as declared: DEFAULT, AGENT, OVS, oslo_messaging_rabbit…) and name. */
export type ConfigValues = Readonly<Record<string, Readonly<Record<string, OptionValue>>>>;

export interface Resolution {
  readonly effective: readonly EffectiveOption[];
  readonly values: ConfigValues;
  /** bad values of honoured options and references that lead nowhere */
  readonly problems: readonly ConfigProblem[];
  /** one line each: old names in use, values that cannot count */
  readonly warnings: readonly string[];
}

export interface ResolveInput {
  readonly options: readonly OptionDeclaration[];
  /** the weakest first */
  readonly layers: readonly Layer[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly facts: HostFacts;
}

/**
 * The effective value of every option and where it comes from, in oslo.config's order (`cfg.py` _do_get):
 * flags of the command line, then the environment (`OS_<GROUP>__<OPTION>`), then files, then defaults; of files
 * and flags the later wins. Does no I/O and does not throw: all problems are returned together.
 */
export function resolveOptions(input: ResolveInput): Resolution {
  return new Resolver(input).resolve();
}

interface Found {
  /** several only for options that may be given several times */
  readonly texts: readonly string[];
  readonly origin: Origin;
}

class Resolver {
  readonly #input: ResolveInput;
  readonly #byPlace = new Map<string, OptionDeclaration>();
  readonly #done = new Map<OptionDeclaration, EffectiveOption | undefined>();
  /** options whose value is being worked out, to notice circles */
  readonly #open = new Set<OptionDeclaration>();
  readonly #problems: ConfigProblem[] = [];
  readonly #warnings: string[] = [];
  readonly #oldNames: string[] = [];

  constructor(input: ResolveInput) {
    this.#input = input;
    for (const option of input.options) this.#byPlace.set(place(option.group, option.name), option);
  }

  resolve(): Resolution {
    const effective = this.#input.options.flatMap((option) => this.#effective(option) ?? []);
    const values: Record<string, Record<string, OptionValue>> = {};
    for (const { option, value } of effective) {
      values[option.group] ??= {};
      values[option.group]![option.name] = value;
    }
    if (this.#oldNames.length > 0) {
      this.#warnings.push(`options under old names: ${this.#oldNames.join(', ')}`);
    }
    return { effective, values, problems: this.#problems, warnings: this.#warnings };
  }

  /** undefined: the value is bad, and the problem is noted */
  #effective(option: OptionDeclaration): EffectiveOption | undefined {
    if (this.#done.has(option)) return this.#done.get(option);
    this.#open.add(option);
    const result = this.#workOut(option);
    this.#open.delete(option);
    this.#done.set(option, result);
    return result;
  }

  #workOut(option: OptionDeclaration): EffectiveOption | undefined {
    const found = this.#find(option);
    if (!found) return this.#standard(option);
    const parsed: OptionValue[] = [];
    for (const text of found.texts) {
      const value = this.#parse(option, text, found.origin);
      if (value === undefined) return option.unused === undefined ? undefined : this.#standard(option);
      parsed.push(value);
    }
    const value = option.type.kind === 'multi' ? parsed.flat() : parsed.at(-1)!;
    if (value === null) {
      const standard = this.#standard(option);
      if (standard && standard.value !== null) {
        const using = `${optionLabel(option)} is empty in ${originText(found.origin)}`;
        this.#warnings.push(`${using}: the default ${String(standard.value)} counts`);
      }
      return standard;
    }
    return { option, value, origin: found.origin, standard: this.#isStandard(option, value, found) };
  }

  #standard(option: OptionDeclaration): EffectiveOption | undefined {
    const origin: Origin = { kind: 'default' };
    const standard =
      typeof option.default === 'function' ? option.default(this.#input.facts) : option.default;
    if (typeof standard !== 'string') return { option, value: standard, origin, standard: true };
    const value = this.#substituted(option, standard, origin);
    return value === undefined ? undefined : { option, value, origin, standard: true };
  }

  /** Compared as written too: working out a default may lead to the very option that refers to this one. */
  #isStandard(option: OptionDeclaration, value: OptionValue, { texts }: Found): boolean {
    const standard = this.#declaredDefault(option);
    return standard === texts.at(-1) || JSON.stringify(standard) === JSON.stringify(value);
  }

  #declaredDefault({ default: standard }: OptionDeclaration): OptionValue {
    return typeof standard === 'function' ? standard(this.#input.facts) : standard;
  }

  #parse(option: OptionDeclaration, text: string, origin: Origin): OptionValue | undefined {
    const substituted = this.#substituted(option, text, origin);
    if (substituted === undefined) return undefined;
    const parsed = parseValue(option.type, substituted);
    if ('value' in parsed) return parsed.value;
    this.#report(option, origin, `${written(option, substituted)} must be ${parsed.problem}`);
    return undefined;
  }

  #substituted(option: OptionDeclaration, text: string, origin: Origin): string | undefined {
    let bad = false;
    const result = substitute(text, (reference) => {
      const value = this.#referred(option, reference, origin);
      if (value === undefined) bad = true;
      return value ?? '';
    });
    return bad ? undefined : result;
  }

  /** `name` is looked for in the group of the option that refers to it, then in DEFAULT. */
  #referred(from: OptionDeclaration, reference: string, origin: Origin): string | undefined {
    const dot = reference.indexOf('.');
    const target =
      dot < 0
        ? (this.#byPlace.get(place(from.group, reference)) ?? this.#byPlace.get(place('DEFAULT', reference)))
        : this.#byPlace.get(place(reference.slice(0, dot), reference.slice(dot + 1)));
    // What stands behind a $ in a secret may be half of it.
    const name = from.secret || from.credentials ? '' : ` $${reference}`;
    if (!target) {
      this.#report(from, origin, `refers to an option${name} that is not known; write $$ for a dollar sign`);
      return undefined;
    }
    if (this.#open.has(target)) {
      this.#report(from, origin, `refers to itself by${name || ' an option'}`);
      return undefined;
    }
    const value = this.#effective(target)?.value;
    return value === undefined ? undefined : pythonText(value);
  }

  #find(option: OptionDeclaration): Found | undefined {
    const layered = this.#findInLayers(option);
    if (layered?.origin.kind === 'flag') return layered;
    return this.#findInTransportUrl(option) ?? this.#findInEnvironment(option) ?? layered;
  }

  #findInEnvironment({ group, name }: OptionDeclaration): Found | undefined {
    const variable = `OS_${group.toUpperCase()}__${name.toUpperCase()}`;
    const text = this.#input.environment[variable];
    return text === undefined ? undefined : { texts: [text], origin: { kind: 'environment', variable } };
  }

  /** The query of transport_url overrides its section (oslo_messaging/_drivers/common.py ConfigOptsProxy). */
  #findInTransportUrl({ group, name }: OptionDeclaration): Found | undefined {
    const url = this.#byPlace.get(place('DEFAULT', 'transport_url'));
    if (group !== 'oslo_messaging_rabbit' || !url) return undefined;
    const effective = this.#effective(url);
    const query = typeof effective?.value === 'string' ? effective.value.split('?', 2)[1] : undefined;
    const texts = new URLSearchParams(query ?? '').getAll(name);
    if (!effective || texts.length === 0) return undefined;
    return { texts: [texts.join(',')], origin: { kind: 'transport_url', origin: effective.origin } };
  }

  #findInLayers(option: OptionDeclaration): Found | undefined {
    const collected: string[] = [];
    let origin: Origin | undefined;
    for (const layer of this.#input.layers.toReversed()) {
      const found = layer.kind === 'file' ? this.#findInFile(option, layer) : findInFlag(option, layer);
      if (!found) continue;
      if (option.type.kind !== 'multi') return found;
      collected.unshift(...found.texts);
      origin ??= found.origin;
    }
    return origin && { texts: collected, origin };
  }

  /** In one file today's name wins over older ones; of several values all, the last one counting. */
  #findInFile(option: OptionDeclaration, { ini }: Extract<Layer, { kind: 'file' }>): Found | undefined {
    const names = [
      { group: option.group, name: option.name },
      ...option.formerly.map(({ group = option.group, name = option.name }) => ({ group, name })),
    ];
    const collected: string[] = [];
    let origin: Origin | undefined;
    for (const [age, { group, name }] of names.entries()) {
      const matches = ini.assignments.filter(
        ({ section, key }) => key === name && normalGroup(section) === normalGroup(group),
      );
      const last = matches.at(-1);
      if (!last) continue;
      const here: Origin = { kind: 'file', file: ini.file, line: last.line };
      if (age > 0 && option.unused === undefined) {
        const today = optionLabel(option);
        this.#oldNames.push(`${optionLabel({ group, name })} (${originText(here)}; now ${today})`);
      }
      if (option.type.kind !== 'multi') return { texts: [last.value], origin: here };
      collected.unshift(...matches.map(({ value }) => value));
      origin ??= here;
    }
    return origin && { texts: collected, origin };
  }

  #report(option: OptionDeclaration, origin: Origin, message: string): void {
    const { group, name } = option;
    const text = `${optionLabel(option)} ${message}`;
    // What has no effect is no reason not to start.
    if (option.unused === undefined) {
      this.#problems.push({ place: originText(origin), message: text, group, option: name });
    } else this.#warnings.push(`${originText(origin)}: ${text}`);
  }
}

const place = (group: string, name: string): string => `${normalGroup(group)}|${name}`;

function findInFlag(
  { group, name }: OptionDeclaration,
  layer: Extract<Layer, { kind: 'value' }>,
): Found | undefined {
  if (layer.group !== group || layer.name !== name) return undefined;
  return { texts: [layer.text], origin: { kind: 'flag', flag: layer.flag } };
}

/** `= "dvrr"`, without what must not be shown */
function written({ secret, credentials }: OptionDeclaration, text: string): string {
  if (secret) return '(not shown)';
  return `= ${JSON.stringify(credentials ? maskUrl(text) : text)}`;
}

/** A value as Python's str() puts it into another one. */
function pythonText(value: OptionValue): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return Array.isArray(value) ? value.join(',') : String(value);
}

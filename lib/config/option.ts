/** How the text of an option becomes a value; as oslo.config's types (`oslo_config/types.py`). */
export type OptionType =
  | {
      readonly kind: 'string';
      readonly choices?: readonly string[];
      readonly ignoreCase?: boolean;
      readonly maxLength?: number;
      /** undefined, or what the text must be, as in "must be …" */
      readonly check?: (text: string) => string | undefined;
    }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'integer' | 'float'; readonly min?: number; readonly max?: number }
  | { readonly kind: 'list'; readonly item?: OptionType }
  /** given several times, every value counts */
  | { readonly kind: 'multi' }
  /** an IP address or a host name */
  | { readonly kind: 'host' };

/** null: not set, and there is no default */
export type OptionValue = string | number | boolean | null | readonly (string | number | boolean | null)[];

/** What this machine contributes to defaults. */
export interface HostFacts {
  readonly hostname: string;
  /** number of CPUs, at least 1 */
  readonly cpus: number;
}

export interface OptionDeclaration {
  /** as Neutron registers it: DEFAULT, AGENT, OVS; in files the case matters for DEFAULT only */
  readonly group: string;
  readonly name: string;
  readonly type: OptionType;
  /** text goes through `$` substitution */
  readonly default: OptionValue | ((facts: HostFacts) => OptionValue);
  readonly help: string;
  /** file of Neutron or oslo that declares it */
  readonly source: string;
  /** why the option has no effect here; absent: it is honoured */
  readonly unused?: string;
  readonly secret: boolean;
  /** a URL with credentials inside, shown without them */
  readonly credentials: boolean;
  /** older places of the same option; a missing part is that of today's place */
  readonly formerly: readonly { readonly group?: string; readonly name?: string }[];
  /** flag of the agents' command line; a boolean also has its inverse: --debug, --nodebug */
  readonly flag?: string;
}

type Extra = Partial<
  Pick<OptionDeclaration, 'unused' | 'secret' | 'credentials' | 'formerly' | 'flag' | 'source'>
>;

type Declare = (
  name: string,
  type: OptionType,
  standard: OptionDeclaration['default'],
  help: string,
  extra?: Extra,
) => OptionDeclaration;

/** A short way to write the options of one group of one file. */
export function declaring(group: string, source: string, common: Extra = {}): Declare {
  return (name, type, standard, help, extra = {}) => ({
    group,
    name,
    type,
    default: standard,
    help,
    source,
    secret: false,
    credentials: false,
    formerly: [],
    ...common,
    ...extra,
  });
}

export const string = (more: Omit<Extract<OptionType, { kind: 'string' }>, 'kind'> = {}): OptionType => ({
  kind: 'string',
  ...more,
});
export const oneOf = (...choices: readonly string[]): OptionType => ({ kind: 'string', choices });
export const boolean: OptionType = { kind: 'boolean' };
export const integer = (min?: number, max?: number): OptionType => ({ kind: 'integer', min, max });
export const float = (min?: number, max?: number): OptionType => ({ kind: 'float', min, max });
export const port = integer(1, 65535);
export const list = (item?: OptionType): OptionType => ({ kind: 'list', item });
export const host: OptionType = { kind: 'host' };

/**
 * Group names are compared without regard to case, except DEFAULT, which is only that: a section
 * `[default]` is another one (`cfg.py` _normalize_group_name).
 */
export const normalGroup = (group: string): string => (group === 'DEFAULT' ? group : group.toLowerCase());

/** `[AGENT] report_interval` */
export const optionLabel = ({ group, name }: { readonly group: string; readonly name: string }): string =>
  `[${group}] ${name}`;

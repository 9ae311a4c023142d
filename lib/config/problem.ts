/** Where a configuration value comes from. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string /** 1-based */; readonly line: number }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string }
  /** the query of transport_url overrides options of [oslo_messaging_rabbit] */
  | { readonly kind: 'transport_url'; readonly origin: Origin };

/** `/etc/neutron/l3_agent.ini:12`, `environment OS_DEFAULT__HOST`, `--log-file`, `default` */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${origin.file}:${origin.line}`;
    case 'environment':
      return `environment ${origin.variable}`;
    case 'flag':
      return origin.flag;
    case 'transport_url':
      return `transport_url of ${originText(origin.origin)}`;
  }
}

export interface ConfigProblem {
  /** where: `file:line`, `environment …`, a flag of the command line, or a path that could not be read */
  readonly place: string;
  /** what is wrong and what is allowed; never holds a secret */
  readonly message: string;
  readonly group?: string;
  readonly option?: string;
}

export const problemText = ({ place, message }: ConfigProblem): string => `${place}: ${message}`;

/** All problems of a configuration at once; the message has one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(problemText).join('\n'));
    this.problems = problems;
  }
}

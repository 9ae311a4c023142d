import type { Import } from './imports.ts';

/** What one part of the code must not import. `reason` completes "…, because". */
export interface Rule {
  readonly name: string;
  readonly applies: (path: string) => boolean;
  readonly forbids: (found: Import, path: string) => boolean;
  readonly reason: string;
}

/** Code that computes and never does: same input, same output. */
const PURE: readonly RegExp[] = [
  /^lib\/model\//,
  /^lib\/announcement\/(?!farewell)/,
  /^lib\/prefix-delegation\/(message|exchange)\.ts$/,
  /^lib\/kernel\/nft-(address|expression|rule|messages|batch)\.ts$/,
  /^lib\/namespace\/(rows|delta|difference|plan|ownership|nft-text|describe|describe-change)\.ts$/,
  /^(lib|agents)\/.*\/compile\//,
  /^lib\/rpc\/(transport-url|options|context|envelope|failures|unique|timeouts|topology|message|dispatch)\.ts$/,
  /^lib\/config\/(?!sources|load)/,
  /^lib\/process\/owner-task\.ts$/,
  /^lib\/neutron\/leftovers\.ts$/,
  /^agents\/l3\/unbuilt-features\.ts$/,
  /^agents\/dhcp\/network-view\.ts$/,
  /^agents\/metadata\/rate-limit\.ts$/,
  /^lib\/wiring\/(bridge|wiring|bare|json-stream|ovsdb-values|ovs-tables)\.ts$/,
];
/** What pure code may use from outside: computation only. */
const PURE_BUILTINS = new Set(['node:assert', 'node:buffer', 'node:crypto', 'node:util']);
const PURE_PACKAGES = new Set(['handlebars', 'ip-cidr', 'ip-address', 'yaml']);

const DEVELOPMENT = new Set(['vitest', 'typescript', '@biomejs/biome']);

/** An import that reaches files, sockets, processes or the kernel. Types are erased and reach nothing. */
export const reachesOutside = ({ kind, target, typeOnly }: Import): boolean =>
  !typeOnly &&
  ((kind === 'builtin' && !PURE_BUILTINS.has(target)) || (kind === 'package' && !PURE_PACKAGES.has(target)));

export const PURITY =
  'pure code does no input or output, because networking knowledge must be testable without root and give the ' +
  'same rows for the same payload; read files, sockets and the kernel in the agent and pass the facts in';

export const isPure = (path: string): boolean => PURE.some((pattern) => pattern.test(path));
const within = (...folders: string[]) => {
  return (path: string) => folders.some((folder) => path.startsWith(`${folder}/`));
};
const isFile = (found: Import): boolean => found.kind === 'file';
/** 'agents/l3' of 'agents/l3/compile/snat.ts' */
export const folderOf = (path: string): string => path.split('/').slice(0, 2).join('/');

export const rules: readonly Rule[] = [
  {
    name: 'lib does not know the agents',
    applies: within('lib'),
    forbids: (found) => isFile(found) && within('agents')(found.target),
    reason: 'imports point downwards: what two agents share is in lib, what one agent knows stays in agents',
  },
  {
    name: 'lib/kernel knows nothing of the project',
    applies: within('lib/kernel'),
    forbids: (found) => isFile(found) && !within('lib/kernel')(found.target),
    reason: 'it is the lowest layer: Linux, and nothing about routers or networks',
  },
  {
    name: 'lib/model knows nothing of the project',
    applies: within('lib/model'),
    forbids: (found) => isFile(found) && !within('lib/model')(found.target),
    reason: 'it is the vocabulary that everyone else speaks',
  },
  {
    name: 'agents do not import each other',
    applies: (path) => within('agents')(path) && !within('agents/cli')(path),
    forbids: (found, path) =>
      isFile(found) && within('agents')(found.target) && folderOf(found.target) !== folderOf(path),
    reason:
      'each agent also runs alone; what two need belongs in lib. Only agents/cli, which runs them all in one ' +
      'process, knows them',
  },
  {
    name: 'the product does not import tests or tools',
    applies: within('lib', 'agents'),
    forbids: ({ kind, target }) =>
      kind === 'file' ? within('test', 'dist')(target) : kind === 'package' && DEVELOPMENT.has(target),
    reason: 'an installed Viaduct has neither',
  },
];

/** Places outside the repository that sources must not name: a clone has only itself. */
export const foreignPlaces: readonly string[] = ['/work/', '../shared/'];

import type { Command } from 'commander';

/** Every verb in the order of the help: building first, then looking. One file each, in verbs/. */
export const verbs: readonly (() => Command)[] = [];

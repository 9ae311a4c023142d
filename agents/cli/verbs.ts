import type { Command } from 'commander';
import { config } from './verbs/config.ts';
import { down } from './verbs/down.ts';
import { plan } from './verbs/plan.ts';
import { up } from './verbs/up.ts';
import { validate } from './verbs/validate.ts';

/** Every verb in the order of the help: building first, then looking. One file each, in verbs/. */
export const verbs: readonly (() => Command)[] = [validate, plan, up, down, config];

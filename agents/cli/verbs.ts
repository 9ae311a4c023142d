import type { Command } from 'commander';
import { config } from './verbs/config.ts';
import { demo } from './verbs/demo.ts';
import { diff } from './verbs/diff.ts';
import { down } from './verbs/down.ts';
import { events } from './verbs/events.ts';
import { exec } from './verbs/exec.ts';
import { gc } from './verbs/gc.ts';
import { ls } from './verbs/ls.ts';
import { plan } from './verbs/plan.ts';
import { release } from './verbs/release.ts';
import { show } from './verbs/show.ts';
import { up } from './verbs/up.ts';
import { validate } from './verbs/validate.ts';

/** Every verb in the order of the help: building first, then looking. One file each, in verbs/. */
export const verbs: readonly (() => Command)[] = [
  validate,
  plan,
  up,
  down,
  ls,
  show,
  diff,
  exec,
  events,
  config,
  release,
  gc,
  demo,
];

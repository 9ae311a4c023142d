/** Runs the tests against Neutron in a machine of their own. Arguments go to vitest. */
import { join } from 'node:path';
import { packageRoot } from '../house/package-root.ts';
import { inPrivateMachine } from './cloud/private.ts';

const root = packageRoot();
const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'neutron'];
process.exitCode = inPrivateMachine([process.execPath, ...vitest, ...process.argv.slice(2)], root);

/** `npm run bench -- neutron`: installs what it needs, then compares in a machine of its own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../house/package-root.ts';
import { inPrivateMachine } from '../../neutron/cloud/private.ts';

/** @throws Error if it could not be measured; why was told on standard error */
export function compareWithNeutron(n: number, json: boolean): void {
  const root = packageRoot();
  const installer = ['sh', join(root, 'deploy/install-dependencies.sh'), 'neutron'];
  // Standard output is for the figures.
  const { status } = spawnSync(installer[0]!, installer.slice(1), { stdio: ['ignore', 2, 'inherit'] });
  if (status !== 0) throw new Error('the packages of Neutron could not be installed');
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const code = inPrivateMachine([process.execPath, main, String(n), ...(json ? ['--json'] : [])], root);
  if (code !== 0) throw new Error(`the comparison with Neutron failed (exit code ${code})`);
}

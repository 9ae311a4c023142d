import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../house/package-root.ts';

const script = join(packageRoot(), 'deploy/install-dependencies.sh');
let bin: string;
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'vdt-deploy-'));
});
afterEach(() => {
  rmSync(bin, { recursive: true });
});

function program(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** The machine: which packages it has, and what apt-get does when called with its arguments. */
function machine(installed: string, aptGet: string): void {
  program(
    'dpkg-query',
    `for p in ${installed}; do echo "installed $p"; done; echo "not-installed curl"; exit 1`,
  );
  program(
    'apt-get',
    `echo "$@" >>${bin}/calls; [ -e ${bin}/policy ] && echo held >>${bin}/policies; ${aptGet}`,
  );
  program('id', 'echo 0');
}

function run(...groups: string[]) {
  const env = { PATH: `${bin}:/usr/bin:/bin`, POLICY_RC_D: join(bin, 'policy') };
  const child = spawnSync('sh', [script, ...groups], { env, encoding: 'utf8' });
  const calls = existsSync(join(bin, 'calls'))
    ? readFileSync(join(bin, 'calls'), 'utf8').trim().split('\n')
    : [];
  return { status: child.status, stdout: child.stdout, stderr: child.stderr, calls };
}

const runtime = 'libnftables1 dnsmasq-base radvd iproute2';

test('a machine that has everything is left alone, silently', () => {
  machine(runtime, 'exit 0');
  expect(run('runtime')).toEqual({ status: 0, stdout: '', stderr: '', calls: [] });
});

test('what is missing is named with the reason, then installed in one go, no lists fetched', () => {
  machine('iproute2', 'exit 0');
  const { status, stdout, calls } = run('runtime');
  expect(status).toBe(0);
  expect(stdout).toContain('libnftables1     nftables rulesets, loaded in-process');
  expect(stdout).not.toContain('curl');
  expect(calls).toHaveLength(1);
  expect(calls[0]).toMatch(/install --no-install-recommends libnftables1 dnsmasq-base radvd$/);
});

test('the package lists are fetched when apt does not know a package yet', () => {
  machine(
    'iproute2',
    `case "$*" in *update*) touch ${bin}/lists ;; *) [ -e ${bin}/lists ] || exit 100 ;; esac`,
  );
  const { status, calls } = run('runtime');
  expect(status).toBe(0);
  expect(calls.map((call) => call.split(' ').find((word) => /^(install|update)$/.test(word)))).toEqual([
    'install',
    'update',
    'install',
  ]);
});

test('a failing installation fails the script', () => {
  machine('', 'exit 100');
  expect(run('runtime', 'test').status).not.toBe(0);
});

test('no service is started: the policy against it holds during the installation and is removed after', () => {
  machine('', 'exit 0');
  expect(run('runtime').status).toBe(0);
  expect(readFileSync(join(bin, 'policies'), 'utf8')).toBe('held\n');
  expect(existsSync(join(bin, 'policy'))).toBe(false);
});

test("an administrator's own policy stays as it was", () => {
  machine('', 'exit 0');
  writeFileSync(join(bin, 'policy'), 'own');
  run('runtime');
  expect(readFileSync(join(bin, 'policy'), 'utf8')).toBe('own');
});

test('an unknown group is refused by name', () => {
  machine(runtime, 'exit 0');
  const { status, stderr, calls } = run('everything');
  expect([status, calls]).toEqual([64, []]);
  expect(stderr).toContain("unknown group 'everything' (known: runtime, test, neutron)");
});

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RADVD_TEMPLATE } from '../../../../lib/announcement/radvd.ts';
import { readTemplate } from '../../../../lib/daemon/template.ts';
import type { Network } from '../../../../lib/model/network.ts';
import { findPackageRoot } from '../../../../lib/process/life.ts';
import { MODES } from './modes.ts';
import { compiled, rendered } from './rendered.ts';

describe('a network of each mode', () => {
  it.each(MODES)('%s becomes these rows and files', async (name, network) => {
    await expect(rendered(compiled(network))).toMatchFileSnapshot(`golden/${name}.txt`);
  });
});

const radvd = readTemplate(findPackageRoot(), RADVD_TEMPLATE);
const installed = spawnSync('radvd', ['--version']).error === undefined;

/** What is announced from the DHCP namespace of a network without a router; undefined: nothing. */
function announced(network: Network): string | undefined {
  const { groups } = compiled(network, { enable_isolated_ra: true }, { radvd });
  const row = groups.flat().find((one) => one.kind === 'file' && one.path.endsWith('/radvd.conf'));
  return row?.kind === 'file' ? row.content : undefined;
}

describe('a network of each mode without a router', () => {
  it('is announced if its ipv6_ra_mode says so', () => {
    const silent = MODES.filter(([, network]) => announced(network) === undefined).map(([name]) => name);
    expect(silent).toEqual([
      'mode-none-none',
      'mode-none-slaac',
      'mode-none-dhcpv6-stateless',
      'mode-none-dhcpv6-stateful',
    ]);
  });

  const given = MODES.flatMap(([name, network]) => {
    const conf = announced(network);
    return conf === undefined ? [] : [[name, conf] as const];
  });

  it.each(given)('%s has this radvd.conf', async (name, conf) => {
    await expect(conf).toMatchFileSnapshot(`golden/${name}.radvd.conf`);
  });

  it.skipIf(!installed).each(given)('the radvd of this machine accepts that of %s', (_name, conf) => {
    const directory = mkdtempSync(join(tmpdir(), 'vdt-modes-'));
    const path = join(directory, 'radvd.conf');
    writeFileSync(path, conf);
    chmodSync(path, 0o444);
    const { status, stderr } = spawnSync('radvd', ['-c', '-C', path, '-m', 'stderr'], { encoding: 'utf8' });
    rmSync(directory, { recursive: true });
    expect(stderr).toContain('syntax ok');
    expect(status).toBe(0);
  });
});

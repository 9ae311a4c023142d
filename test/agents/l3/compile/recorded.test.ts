import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compiled, loadedRuleset, recordedRouter, renderedRows, renderedRuleset } from './rendered.ts';

const recordings = [
  ['legacy-basic', 'sync_routers-8', 'gateway, two interfaces, one floating IP'],
  ['legacy-basic', 'sync_routers-10', 'the same with SNAT off'],
  ['dual-stack', 'sync_routers-6', 'IPv4 and several IPv6 subnets'],
  ['extra-routes', 'sync_routers-3', 'extra routes inside and outside'],
  ['extra-routes', 'sync_routers', 'a gateway and nothing else'],
  ['snat-off', 'sync_routers', 'SNAT off from the start'],
] as const;

/** nft reads a ruleset only as root in a network namespace; without that these checks do not run. */
const nftWorks = spawnSync('unshare', ['-n', 'nft', 'list', 'ruleset']).status === 0;

function nftVerdict(ruleset: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'vdt-nft-'));
  try {
    const path = join(directory, 'ruleset');
    writeFileSync(path, ruleset);
    const { status, stderr } = spawnSync('unshare', ['-n', 'nft', '-c', '-f', path], { encoding: 'utf8' });
    return status === 0 ? 'valid' : stderr;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.each(recordings)('recorded payload %s/%s (%s)', (scenario, file) => {
  const groups = compiled(recordedRouter(scenario, file));

  it('compiles to the known rows', async () => {
    await expect(renderedRows(groups)).toMatchFileSnapshot(`golden/${scenario}-${file}.rows.txt`);
  });

  it('compiles to the known ruleset', async () => {
    await expect(renderedRuleset(groups)).toMatchFileSnapshot(`golden/${scenario}-${file}.nft`);
  });

  it.skipIf(!nftWorks)('has a ruleset that nft accepts', () => {
    expect(nftVerdict(loadedRuleset(groups))).toBe('valid');
  });

  it('never names a row twice', () => {
    const keys = groups.flat().map(({ key }) => key);
    expect(keys.filter((key, i) => keys.indexOf(key) !== i && !key.startsWith('|link|brq'))).toEqual([]);
  });
});

describe('options that shape the ruleset', () => {
  const router = recordedRouter('legacy-basic', 'sync_routers-8');
  const text = (options: Parameters<typeof compiled>[1]) => renderedRuleset(compiled(router, options));

  it.skipIf(!nftWorks).each([
    { enable_metadata_proxy: false, use_random_fully: false },
    { metadata_port: 8080, metadata_access_mark: 0xbeef },
  ])('give rulesets that nft accepts: %o', (options) => {
    expect(nftVerdict(loadedRuleset(compiled(router, options)))).toBe('valid');
  });

  it('leave out redirect and protection of the proxy, but not the mark, when it is disabled', () => {
    const ruleset = text({ enable_metadata_proxy: false });
    expect(ruleset).not.toMatch(/9697|redirect/);
    expect(ruleset).toMatch(/169\.254\.169\.254 tcp dport 80 meta mark set/);
  });

  it('change port and marks', () => {
    const ruleset = text({ metadata_port: 8080, metadata_access_mark: 0xbeef, external_ingress_mark: 0x7 });
    expect(ruleset).toContain('redirect to :8080');
    expect(ruleset).toContain('meta mark & 0xffff == 0xbeef accept');
    expect(ruleset).toContain('meta mark set meta mark & 0xffff0000 | 0x7');
    expect(ruleset).toContain('meta mark & 0xffff != 0x7 ct status');
  });

  it('make source ports random only if told', () => {
    expect(text({})).toContain('fully-random');
    expect(text({ use_random_fully: false })).not.toContain('random');
  });
});

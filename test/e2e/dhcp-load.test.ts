import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot, program } from './build.ts';
import { inPrivateHost, quoted } from './private-host.ts';

const STAYING = 50;
const ADDED = 1000;
const SECONDS = 10;

test('1000 ports come to a network in ten seconds while 50 clients renew: nobody is refused or given a wrong address', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vdt-load-'));
  // dnsmasq reads its files as its own user.
  chmodSync(directory, 0o755);
  try {
    const node = program('cli')[0]!;
    const variants = join(packageRoot, 'dist/test/bench/variants.js');
    const words = [
      node,
      variants,
      'dhcp-load',
      join(directory, 'state'),
      ...[STAYING, ADDED, SECONDS].map(String),
    ];
    const ran = await inPrivateHost(`mount -t sysfs none /sys; exec ${quoted(words)}`);
    const line = ran.stdout.trim().split('\n').at(-1) ?? '';
    expect(line, ran.stderr).toMatch(/^\{/);
    const seen = JSON.parse(line) as Record<string, number>;
    expect(seen).toMatchObject({ naks: 0, wrong: 0, unanswered: 0, restarts: 0, offers: ADDED });
    expect(seen.renewals).toBeGreaterThanOrEqual(STAYING - 3);
    expect(seen.dhclients_right).toBe(seen.dhclients);
    expect(seen.signals_apart_ms).toBeGreaterThanOrEqual(990);
    process.stdout.write(
      `offers within ${Math.round(seen.offer_p99_ms!)} ms (99 of 100), renewals within ${Math.round(seen.renewal_p99_ms!)} ms, ${seen.signals} signals\n`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

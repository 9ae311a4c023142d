import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkRequirements } from '../../../../agents/cli/demo/requirements.ts';

describe('requirements of the demo', () => {
  let directory: string;
  beforeAll(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'viaduct-requirements-'));
    for (const program of ['dnsmasq', 'radvd', 'ip', 'ping', 'curl'])
      fs.writeFileSync(join(directory, program), '#!/bin/sh\n', { mode: 0o755 });
  });
  afterAll(() => fs.rmSync(directory, { recursive: true }));

  test('every missing program is named, with what it is for and how to get it', () => {
    expect(() => checkRequirements(`/nowhere:${directory}`)).toThrow(
      'missing: dhclient (the DHCP client of each instance). "sh deploy/install-dependencies.sh runtime test"',
    );
    expect(() => checkRequirements('')).toThrow(
      'missing: dnsmasq (the DHCP server of each network), radvd (IPv6 router advertisements), dhclient',
    );
  });

  test('nothing is said when all is there, and a file that cannot be run is not there', () => {
    fs.writeFileSync(join(directory, 'dhclient'), '', { mode: 0o644 });
    expect(() => checkRequirements(directory)).toThrow('missing: dhclient');
    fs.chmodSync(join(directory, 'dhclient'), 0o755);
    expect(() => checkRequirements(directory)).not.toThrow();
  });
});

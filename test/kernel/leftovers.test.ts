import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createNamespace, inNamespace, namespaceExists } from '../../lib/kernel/netns.ts';
import { readProcess } from '../../lib/kernel/process.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import * as rows from '../../lib/namespace/rows.ts';
import { routerLeftovers } from '../../lib/neutron/leftovers.ts';
import { withLeftovers } from '../../lib/process/leftovers.ts';
import { FIP, ip, loopback, pair, RFP, ROUTER, RowRig, SNAT } from './row-rig.ts';

const ID = 'vdt-rows';
const DEVICE = 'qr-0a0b0c0d-e';

describe('what an earlier process, or Neutron’s agent, left', () => {
  let rig: RowRig;
  let directory: string;
  let pid: number | undefined;
  const contents = (): string[] => [ip(SNAT, '-br', 'address'), ip(SNAT, 'route', 'show', 'table', 'all')];
  const inSnat = (...argv: string[]): void =>
    inNamespace(SNAT, () => void execFileSync(argv[0]!, argv.slice(1), { stdio: 'pipe' }));
  const paths = () => ({
    external_pids: directory,
    ra_confs: directory,
    ha_confs_path: directory,
    state_path: directory,
  });
  const left = (reconciler: Reconciler) =>
    withLeftovers(reconciler, {
      owners: ['other'],
      namespaceOf: () => SNAT,
      rowsOf: () => routerLeftovers(SNAT, ID, paths()),
    });

  beforeEach(() => {
    rig = new RowRig();
    directory = fs.mkdtempSync(join(tmpdir(), 'vdt-left-'));
    createNamespace(SNAT);
    ip(SNAT, 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', 'vdt-peer');
    ip(SNAT, 'link', 'set', DEVICE, 'up');
    ip(SNAT, 'address', 'add', '10.3.0.1/24', 'dev', DEVICE);
    inSnat('iptables', '-N', 'neutron-l3-agent-local');
  });
  afterEach(async () => {
    if (pid !== undefined && readProcess(pid)) process.kill(pid, 'SIGKILL');
    pid = undefined;
    await rig.close();
    fs.rmSync(directory, { recursive: true });
  });

  test('is not repaired, cleaned or called stale before it is known whether it is wanted', async () => {
    const reconciler = new Reconciler({ announce: false, heal: true });
    reconciler.expect('other', () => [[rows.netns(SNAT), loopback(SNAT)]]);
    const agents = left(reconciler);
    const before = contents();
    agents.setDesired('r', [pair]);
    expect((await agents.reconcile('r')).failures).toEqual([]);
    // Repairing one router must not drag along those that are only expected.
    ip(ROUTER, 'address', 'del', '169.254.31.28/31', 'dev', RFP);
    await vi.waitFor(() => expect(ip(ROUTER, 'address')).toContain('169.254.31.28/31'), 5_000);
    await reconciler.settled();
    expect(contents()).toEqual(before);
    reconciler.setDesired('other', [[rows.netns(SNAT), loopback(SNAT)]]);
    expect((await reconciler.reconcile('other')).failures).toEqual([]);
    expect(contents().join()).not.toContain(DEVICE);
    await reconciler.close();
  });

  test('is taken over as it is when it is wanted', async () => {
    const agents = left(rig.reconciler);
    const before = contents();
    const index = ip(SNAT, '-o', 'link', 'show', DEVICE).split(':')[0];
    agents.setDesired('other', [
      [
        rows.netns(SNAT),
        rows.link({ ns: SNAT, name: DEVICE, type: 'veth', peer: { ns: SNAT, name: 'vdt-peer' } }),
        rows.address({ ns: SNAT, dev: DEVICE, ip: '10.3.0.1', prefix: 24, family: 4 }),
      ],
    ]);
    const { steps, failures } = await agents.reconcile('other');
    expect([steps, failures]).toEqual([1, []]);
    expect(contents()).toEqual(before);
    expect(ip(SNAT, '-o', 'link', 'show', DEVICE).split(':')[0]).toBe(index);
  });

  test('goes whole when it is not: processes, their files, devices, namespace; twice is no error', async () => {
    const configuration = join(directory, 'ns-metadata-proxy', `${ID}.conf`);
    fs.mkdirSync(join(directory, 'ns-metadata-proxy'));
    fs.writeFileSync(configuration, 'listen nothing\n');
    // Neutron's haproxy is known by its pid file, and by the id in its arguments.
    const sleeper = inNamespace(SNAT, () => ({
      child: spawn('sh', ['-c', 'while :; do sleep 1; done', 'haproxy', '-f', configuration]),
    })).child;
    pid = sleeper.pid!;
    const pidFile = join(directory, `${ID}.pid.haproxy`);
    fs.writeFileSync(pidFile, `${pid}\n`);
    const agents = left(rig.reconciler);
    for (const _twice of [1, 2]) {
      agents.removeOwner('other');
      expect((await agents.reconcile('other')).failures).toEqual([]);
      expect(namespaceExists(SNAT)).toBe(false);
      expect([configuration, pidFile].filter((path) => fs.existsSync(path))).toEqual([]);
      await vi.waitFor(() => expect(readProcess(pid!)).toBeUndefined());
    }
  });

  test('goes even if only its processes’ files are left', async () => {
    execFileSync('ip', ['netns', 'del', SNAT]);
    const radvd = join(directory, `${ID}.radvd.conf`);
    fs.writeFileSync(radvd, '');
    const agents = left(rig.reconciler);
    agents.removeOwner('other');
    expect((await agents.reconcile('other')).failures).toEqual([]);
    expect(fs.existsSync(radvd)).toBe(false);
    expect([namespaceExists(SNAT), namespaceExists(FIP)]).toEqual([false, false]);
  });
});

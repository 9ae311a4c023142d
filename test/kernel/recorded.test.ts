/** Every payload that a real neutron-server was recorded with, built in real namespaces. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDhcpAgent } from '../../agents/dhcp/agent.ts';
import { dhcpDeviceId } from '../../agents/dhcp/compile/identity.ts';
import { dhcpOptions } from '../../agents/dhcp/options.ts';
import { standaloneHost } from '../../agents/dhcp/standalone.ts';
import { createL3Agent } from '../../agents/l3/agent.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { l3Host } from '../../agents/l3/standalone.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import type { DaemonRow, RowGroup } from '../../lib/namespace/rows.ts';
import { findPackageRoot } from '../../lib/process/life.ts';
import { recordedFiles, recordedPayloads, withDhcpPort } from '../fixtures/recorded.ts';

const SUFFIX = '.vdt-recorded';
const ROOT = findPackageRoot();
let directory: string;
let reconciler: Reconciler;
let desired: Map<string, readonly RowGroup[]>;
let warnings: string[];
const logger = {
  debug() {},
  info() {},
  warn: (_fields: object, message: string) => void warnings.push(message),
};

/** Remembers what was wanted. */
const remembering = () => ({
  confirm: async () => false,
  setDesired(owner: string, groups: readonly RowGroup[]) {
    desired.set(owner, groups);
    reconciler.setDesired(owner, groups);
  },
  removeOwner(owner: string) {
    desired.delete(owner);
    reconciler.removeOwner(owner);
  },
  reconcile: (owner: string) => reconciler.reconcile(owner),
  ended: (row: DaemonRow) => reconciler.ended(row),
});

/** Who knows nothing but what is wanted finds nothing to do. */
async function expectConverged(owners: number): Promise<void> {
  const newcomer = new Reconciler();
  expect(desired.size).toBe(owners);
  for (const [owner, groups] of desired) newcomer.setDesired(owner, structuredClone(groups));
  for (const owner of desired.keys())
    expect(newcomer.plan(owner).map(({ action, row, reason }) => `${action} ${row.key}: ${reason}`)).toEqual(
      [],
    );
  await newcomer.close();
}
const ours = (): string[] => listNamespaces().filter((name) => name.endsWith(SUFFIX));

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vdt-recorded-'));
  // dnsmasq reads its files as its own user.
  chmodSync(directory, 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(() => {
  reconciler = new Reconciler({ announce: false });
  desired = new Map();
  warnings = [];
});
afterEach(async () => {
  for (const owner of [...desired.keys()]) {
    reconciler.removeOwner(owner);
    await reconciler.reconcile(owner);
  }
  await reconciler.close();
  expect(ours()).toEqual([]);
});

describe('routers', () => {
  const agentOf = (payloads: readonly unknown[]) =>
    createL3Agent({
      plugin: {
        syncRouters: async () => [...payloads],
        updateFloatingIpStatuses: async () => {},
        updatePrefixes: async () => {},
      },
      reconciler: remembering(),
      options: l3Options({
        namespace_suffix: SUFFIX,
        ra_confs: join(directory, 'ra'),
        external_pids: join(directory, 'pids'),
      }),
      host: l3Host('net-1', ROOT),
      logger,
      knownRouters: [],
    });

  it.each(recordedFiles('routers'))('%s', async (file) => {
    const payloads = recordedPayloads(file);
    const built = payloads.filter(({ ha, distributed }) => !ha && !distributed);
    const agent = agentOf(payloads);
    agent.start();
    await expect.poll(() => agent.state().listings).toBe(1);
    await agent.idle();
    expect(ours().filter((name) => name.startsWith('qrouter-'))).toEqual(
      [...new Set(built.map(({ id }) => `qrouter-${id}${SUFFIX}`))].sort(),
    );
    const others = payloads.filter((payload) => !built.includes(payload));
    expect(Object.keys(agent.state().problems).sort()).toEqual(
      [...new Set(others.map(({ id }) => id))].sort(),
    );
    for (const problem of Object.values(agent.state().problems))
      expect(problem).toMatch(/^router \S+ is of kind "\S+" .*: set ha and distributed to false$/);
    await expectConverged(new Set(built.map(({ id }) => id)).size);
    await agent.stop();
  });
});

describe('networks', () => {
  it.each(recordedFiles('networks'))('%s', async (file) => {
    const payloads = recordedPayloads(file).map((payload) =>
      withDhcpPort(payload, dhcpDeviceId('net-1', String(payload.id))),
    );
    const served = payloads.filter(({ subnets }) =>
      (subnets as { enable_dhcp: boolean }[]).some(({ enable_dhcp }) => enable_dhcp),
    );
    const agent = createDhcpAgent({
      plugin: {
        getActiveNetworksInfo: async () => payloads,
        getNetworkInfo: async (id) => payloads.find((payload) => payload.id === id) ?? null,
        dhcpReadyOnPorts: async () => {},
      },
      reconciler: remembering(),
      options: dhcpOptions({ dhcp_confs: join(directory, 'dhcp'), namespace_suffix: SUFFIX }),
      host: standaloneHost('net-1', ROOT),
      logger,
      knownNetworks: [],
    });
    agent.start();
    await agent.idle();
    expect(agent.state().problems).toEqual({});
    expect(ours()).toEqual(served.map(({ id }) => `qdhcp-${id}${SUFFIX}`).sort());
    await expectConverged(served.length);
    agent.networksDeleted([...desired.keys()]);
    await agent.idle();
    await agent.stop();
  });
});

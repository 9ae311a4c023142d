/** [DEFAULT] cleanup_on_shutdown: an L3 agent that is told to end takes its routers along. */
import fs from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { output } from '../e2e/shell.ts';
import { routerPayload, testId } from '../kernel/routers.ts';
import { fullSyncs } from './cloud/agent-log.ts';
import { PretendRig } from './pretend/rig.ts';
import { mishaps } from './pretend/server.ts';

const ROUTERS = [1, 2, 3].map((n) => routerPayload(n, { floatingIps: 1 }));
const IDS = ROUTERS.map(({ id }) => id);
/** Neutron's agent built it, and nobody has said yet what it is. */
const UNKNOWN = testId(0x40, 99);
let rig: PretendRig;

const left = (): string[] => listNamespaces().filter((name) => name.startsWith('qrouter-'));
const inOrder = (ids: readonly string[]): string[] => ids.map((id) => `qrouter-${id}`).sort();

async function built(): Promise<void> {
  for (const router of ROUTERS) rig.server.routers.set(router.id, router);
  const agent = rig.node.agent('l3');
  const before = fullSyncs(agent);
  agent.start();
  await rig.soon('a full sync', () => fullSyncs(agent) > before);
  await rig.soon('all routers are built', () => IDS.every((id) => left().includes(`qrouter-${id}`)));
}

async function stops(): Promise<void> {
  const complaints = await rig.complaints('l3', async () => {
    expect(await rig.node.agent('l3').stop('SIGTERM', 60_000)).toBe(0);
  });
  expect(complaints).toEqual([]);
}

function withCleanup(): void {
  const [, own] = rig.node.configFiles('l3');
  fs.appendFileSync(own!, '\n[DEFAULT]\ncleanup_on_shutdown = true\n');
}

beforeAll(async () => {
  rig = await PretendRig.open(['l3'], { common: { AGENT: { report_interval: 2 } } });
});
afterEach(async () => {
  rig.server.tamper = () => undefined;
  await rig.node.agent('l3').stop('SIGKILL');
});
afterAll(async () => {
  await rig?.close();
});

it('without the option all routers stay', async () => {
  await built();
  await stops();
  expect(left().sort()).toEqual(inOrder(IDS));
});

it('[A19] with it none is left, not even before the server has listed them; what is nobody’s yet stays', async () => {
  withCleanup();
  await output('ip', 'netns', 'add', `qrouter-${UNKNOWN}`);
  rig.server.tamper = ({ method }) => (method === 'get_router_ids' ? mishaps.lost() : undefined);
  const asked = rig.server.count('get_router_ids');
  rig.node.start('l3');
  await rig.soon('it asks for its routers', () => rig.server.count('get_router_ids') > asked);
  await stops();
  expect(left()).toEqual([`qrouter-${UNKNOWN}`]);
  expect(rig.node.records).toEqual([]);
  await output('ip', 'netns', 'del', `qrouter-${UNKNOWN}`);
});

it('[A19] with it none is left of those whose removal was just announced', async () => {
  await built();
  const pid = rig.node.agent('l3').pid!;
  process.kill(pid, 'SIGSTOP');
  for (const id of IDS) rig.server.notify('l3_agent.bench', 'router_deleted', { router_id: id });
  const stopped = stops();
  process.kill(pid, 'SIGCONT');
  await stopped;
  expect(left()).toEqual([]);
  expect(rig.node.records).toEqual([]);
});

it('[A19] with it none is left when the broker is away', async () => {
  await built();
  await rig.broker.kill();
  expect(await rig.node.agent('l3').stop('SIGTERM', 60_000)).toBe(0);
  expect(left()).toEqual([]);
  expect(rig.node.records).toEqual([]);
});

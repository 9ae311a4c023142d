import { afterAll, beforeAll, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { floatingIp, routerPayload } from '../kernel/routers.ts';
import { PretendRig } from './pretend/rig.ts';

const ROUTERS = Number(process.env.VIADUCT_TEST_ROUTERS ?? 400);
let rig: PretendRig;

beforeAll(async () => {
  rig = await PretendRig.open(['l3'], {
    common: {
      AGENT: { report_interval: 1 },
      // The broker closes a connection of which it has heard nothing for ten seconds.
      oslo_messaging_rabbit: { heartbeat_timeout_threshold: 5 },
    },
  });
});
afterAll(async () => {
  await rig?.close();
});

const built = (): number => listNamespaces().filter((name) => name.startsWith('qrouter-')).length;
const router = (n: number) => routerPayload(n, { floatingIps: 30 });

it(`while ${ROUTERS} routers are built, state reports and heartbeats go on, and a user’s change comes first`, async () => {
  for (let n = 1; n <= ROUTERS; n++) rig.server.routers.set(router(n).id, router(n));
  const last = router(ROUTERS);
  rig.node.start('l3');
  await rig.soon('routers are built', () => built() > 10, 200_000);
  const begun = Date.now();
  rig.server.routers.set(last.id, { ...last, _floatingips: [floatingIp(ROUTERS, 999)] });
  rig.server.notify('l3_agent.bench', 'routers_updated', { routers: [last.id] });
  await rig.soon('the user’s change is done', () => listNamespaces().includes(`qrouter-${last.id}`));
  expect(built()).toBeLessThan(ROUTERS);
  await rig.soon('all routers are built', () => built() === ROUTERS, 400_000);
  const quarter = (Date.now() - begun) / 4;
  const reports = rig.server.asked.filter(({ method }) => method === 'report_state');
  const quarters = new Set(reports.map(({ at }) => Math.floor((at - begun) / quarter)));
  expect([0, 1, 2, 3].filter((each) => !quarters.has(each))).toEqual([]);
  expect(rig.log('l3').filter(({ msg }) => msg.startsWith('lost the message broker'))).toEqual([]);
}, 900_000);

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { wrap } from '../../lib/rpc/envelope.ts';
import { hexId } from '../../lib/rpc/identifiers.ts';
import { instancePort, networkOf } from '../bench/networks-under-test.ts';
import { routerPayload, testId } from '../kernel/routers.ts';
import { everything } from './cloud/everything.ts';
import { PretendRig } from './pretend/rig.ts';
import { stranger } from './rabbit/parties.ts';

const ROUTER = routerPayload(1, { floatingIps: 1 });
const NETWORK = networkOf(1, 3);
const STRANGER = testId(0x99, 9);
let rig: PretendRig;

beforeAll(async () => {
  rig = await PretendRig.open(['l3', 'dhcp'], { common: { AGENT: { report_interval: 2 } } });
  rig.server.routers.set(ROUTER.id, ROUTER);
  rig.server.networks.set(NETWORK.id, NETWORK);
  rig.node.start('l3', 'dhcp');
  await rig.settled();
});
afterAll(async () => {
  await rig?.close();
});

/** Whether the agent still does what it is told: it asks for a router, or a network. */
async function listens(role: 'l3' | 'dhcp'): Promise<void> {
  const method = role === 'l3' ? 'sync_routers' : 'get_network_info';
  const before = rig.server.count(method);
  if (role === 'l3') rig.server.notify('l3_agent.bench', 'routers_updated', { routers: [ROUTER.id] });
  else
    rig.server.notify('dhcp_agent.bench', 'network_update_end', {
      payload: { network: { id: NETWORK.id }, priority: 1 },
    });
  await rig.soon('it asks', () => rig.server.count(method) > before);
  await rig.settled();
}

const inner = (fields: object): Buffer => wrap({ version: '1.0', _unique_id: hexId(), args: {}, ...fields });
const NOISE = 'n'.repeat(10_000_000);

describe('a message that is wrong makes one line that says why, and nothing else', () => {
  const bodies: [string, 'l3' | 'dhcp', () => Buffer, RegExp][] = [
    ['no JSON', 'l3', () => Buffer.from('{"oslo'), /the body is not JSON/],
    ['no bytes', 'l3', () => Buffer.alloc(0), /\(0 bytes\) was dropped: the body is not JSON/],
    ['a list', 'dhcp', () => Buffer.from('[1]'), /the body is not a JSON object/],
    [
      'another version of the envelope',
      'l3',
      () => Buffer.from('{"oslo.version":"3.0","oslo.message":"{}"}'),
      /oslo.version "3.0" is not understood/,
    ],
    [
      'an envelope around no JSON',
      'dhcp',
      () => Buffer.from('{"oslo.version":"2.0","oslo.message":"x"}'),
      /oslo.message is not JSON/,
    ],
    ['no method', 'l3', () => inner({}), /request: method: /],
    ['a list of arguments', 'l3', () => inner({ method: 'routers_updated', args: [] }), /request: args: /],
    [
      'a version that is none',
      'l3',
      () => inner({ method: 'x', version: 'new' }),
      /is not a version such as 1.0/,
    ],
    ['an unknown method', 'l3', () => inner({ method: 'reboot' }), /RPC method reboot/],
    ['a private method', 'dhcp', () => inner({ method: '__class__' }), /RPC method __class__/],
    [
      'a newer version',
      'l3',
      () => inner({ method: 'routers_updated', version: '1.99' }),
      /RPC version 1.99/,
    ],
    [
      'a method without its argument',
      'l3',
      () => inner({ method: 'router_deleted' }),
      /argument router_id: /,
    ],
    [
      'an argument of the wrong type',
      'l3',
      () => inner({ method: 'routers_updated', args: { routers: 'all' } }),
      /routers_updated: argument routers: "all" is not a list$/,
    ],
    [
      'a path for an id',
      'l3',
      () => inner({ method: 'router_deleted', args: { router_id: '../../../etc' } }),
      /router_deleted: argument router_id: "\.\.\/\.\.\/\.\.\/etc" is not a UUID$/,
    ],
    [
      'a path for an id',
      'dhcp',
      () => inner({ method: 'network_delete_end', args: { payload: { network_id: '..', priority: 2 } } }),
      /network_delete_end: argument network_id: "\.\." is not a UUID$/,
    ],
    [
      'a payload that is none',
      'dhcp',
      () => inner({ method: 'port_create_end', args: { payload: 5 } }),
      /port_create_end: argument payload: /,
    ],
    [
      'a port without its network',
      'dhcp',
      () => inner({ method: 'port_update_end', args: { payload: { port: { id: STRANGER } } } }),
      /port_update_end: argument port.network_id: /,
    ],
    [
      '10 MB of noise',
      'l3',
      () => Buffer.from(NOISE),
      /\(10000000 bytes\) was dropped: the body is not JSON/,
    ],
    [
      '10 MB in an argument',
      'dhcp',
      () => inner({ method: 'network_delete_end', args: { payload: { network_id: NOISE } } }),
      /argument network_id: "n{20,100} is not a UUID$/,
    ],
    [
      '10 MB of brackets',
      'l3',
      () => {
        const brackets = '['.repeat(5_000_000) + ']'.repeat(5_000_000);
        const text = `{"method":"routers_updated","version":"1.0","args":{"routers":${brackets}}}`;
        return Buffer.from(JSON.stringify({ 'oslo.version': '2.0', 'oslo.message': text }));
      },
      /routers_updated: argument routers: expected UUIDs; one is something nested too deep to show$/,
    ],
  ];

  it.each(bodies)('%s (%s)', async (_, role, body, line) => {
    const before = await everything();
    const complaints = await rig.complaints(role, async () => {
      rig.server.send(`${role}_agent.bench`, body());
      await listens(role);
    });
    expect(complaints).toEqual([expect.stringMatching(line)]);
    expect(complaints[0]!.length).toBeLessThan(400);
    expect(await everything()).toBe(before);
  });

  it('damaged compression', async () => {
    const { model, channel } = await stranger(rig.broker.port);
    const before = await everything();
    const complaints = await rig.complaints('l3', async () => {
      channel.publish('neutron', 'l3_agent.bench', gzipSync('{}').subarray(0, 12), {
        headers: { compression: 'application/x-gzip' },
      });
      await channel.waitForConfirms();
      await listens('l3');
    });
    expect(complaints).toEqual([expect.stringMatching(/was dropped: the compressed body is damaged/)]);
    expect(await everything()).toBe(before);
    await model.close();
  });
});

describe('a notification', () => {
  const silently = async (role: 'l3' | 'dhcp', work: () => void): Promise<void> => {
    const before = await everything();
    const complaints = await rig.complaints(role, async () => {
      work();
      await listens(role);
    });
    expect(complaints).toEqual([]);
    expect(await everything()).toBe(before);
  };

  it('that is delivered twice counts once', async () => {
    const before = rig.server.count('sync_routers');
    const lines = rig.log('l3').length;
    const twice = { _unique_id: hexId() };
    const send = (): void =>
      rig.server.notify('l3_agent.bench', 'routers_updated', { routers: [ROUTER.id] }, twice);
    send();
    await rig.soon('the first is followed', () => rig.server.count('sync_routers') === before + 1);
    send();
    await rig.soon('the second is dropped', () =>
      rig
        .log('l3')
        .slice(lines)
        .some(({ msg }) => msg === 'routers_updated: delivered twice, the second one was dropped'),
    );
    await rig.settled();
    expect(rig.server.count('sync_routers')).toBe(before + 1);
  });

  it('about routers that this host does not have changes nothing', () =>
    silently('l3', () => {
      rig.server.notify('l3_agent_fanout', 'router_deleted', { router_id: STRANGER });
      rig.server.notify('l3_agent.bench', 'router_removed_from_agent', { payload: { router_id: STRANGER } });
      rig.server.notify('l3_agent.bench', 'routers_updated', { routers: [STRANGER, ROUTER.id] });
      rig.server.notify('l3_agent_fanout', 'fipnamespace_delete_on_ext_net', { ext_net_id: STRANGER });
      rig.server.notify('q-agent-notifier-network-update_fanout', 'network_update', {
        network: { id: STRANGER, mtu: 1400 },
      });
    }));

  it('about networks, ports and subnets that this host does not serve changes nothing', () =>
    silently('dhcp', () => {
      const port = { ...instancePort(1, 0), id: STRANGER, network_id: STRANGER };
      const say = (method: string, payload: object) =>
        rig.server.notify('dhcp_agent.bench', method, { payload });
      say('network_delete_end', { network_id: STRANGER });
      say('network_update_end', { network: { id: STRANGER } });
      say('subnet_update_end', { subnet: { id: STRANGER, network_id: STRANGER } });
      say('subnet_delete_end', { subnet_id: STRANGER });
      say('port_create_end', { port });
      say('port_delete_end', { port_id: STRANGER, network_id: STRANGER });
      say('port_delete_end', { port_id: STRANGER });
    }));

  it('that comes in the wrong order: the server’s word counts at last', async () => {
    rig.server.routers.delete(ROUTER.id);
    rig.server.notify('l3_agent.bench', 'routers_updated', { routers: [ROUTER.id] });
    await rig.soon('the router is gone', () => !listNamespaces().includes(`qrouter-${ROUTER.id}`));
    rig.server.routers.set(ROUTER.id, ROUTER);
    for (let n = 0; n < 20; n++) {
      rig.server.notify('l3_agent.bench', 'router_deleted', { router_id: ROUTER.id });
      rig.server.notify('l3_agent.bench', 'routers_updated', { routers: [ROUTER.id] });
    }
    await rig.soon('the router is there', () => listNamespaces().includes(`qrouter-${ROUTER.id}`));
    await rig.settled();
    expect(listNamespaces()).toContain(`qrouter-${ROUTER.id}`);
  });

  it('about a deleted port does not bring it back', async () => {
    const port = { ...instancePort(1, 7), network_id: NETWORK.id };
    const say = (method: string, payload: object) =>
      rig.server.notify('dhcp_agent.bench', method, { payload: { ...payload, priority: 6 } });
    await silently('dhcp', () => {
      say('port_delete_end', { port_id: port.id, network_id: NETWORK.id });
      say('port_create_end', { port });
      say('port_update_end', { port });
    });
    const hosts = readFileSync(`${rig.node.statePath}/dhcp/${NETWORK.id}/host`, 'utf8');
    expect(hosts).toContain(instancePort(1, 0).mac_address);
    expect(hosts).not.toContain(port.mac_address);
  });
});

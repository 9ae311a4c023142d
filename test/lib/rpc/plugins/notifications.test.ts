import { describe, expect, test, vi } from 'vitest';
import { type Endpoint, handlerFor } from '../../../../lib/rpc/dispatch.ts';
import { requestOf } from '../../../../lib/rpc/envelope.ts';
import { type DhcpNotification, dhcpEndpoints } from '../../../../lib/rpc/plugins/dhcp-notifications.ts';
import { l3Endpoints, networkUpdateEndpoints } from '../../../../lib/rpc/plugins/l3-notifications.ts';
import { innerOf, recordedMessages } from '../recording.ts';

const id = (digit: string) => `${digit.repeat(8)}-0000-4000-8000-000000000000`;
const l3 = () => ({
  routersUpdated: vi.fn(),
  routersDeleted: vi.fn(),
  agentUpdated: vi.fn(),
  arpEntryAdded: vi.fn(),
  arpEntryDeleted: vi.fn(),
  externalNetworkDeleted: vi.fn(),
});

function tell(endpoints: readonly Endpoint[], inner: Readonly<Record<string, unknown>>): unknown {
  const request = requestOf(inner);
  return handlerFor(endpoints, request)(request.args, request.context);
}

const told = (exchange: RegExp) =>
  recordedMessages
    .filter(
      ({ exchange: name, routing_keys }) =>
        exchange.test(name || '-') || exchange.test(routing_keys[0] ?? ''),
    )
    .map((message) => innerOf(message))
    .filter((inner) => 'method' in inner)
    .map((inner): [string, Record<string, unknown>] => [`${inner.method} ${inner.version}`, inner]);

describe('L3', () => {
  test.each(told(/^l3_agent/))('the recorded %s is understood', (_, inner) => {
    const heard = l3();
    expect(tell(l3Endpoints(heard), inner)).toBeNull();
    const calls = Object.values(heard).flatMap(({ mock }) => mock.calls);
    expect(calls).toHaveLength(1);
  });

  test('the methods that were not recorded', () => {
    const heard = l3();
    const endpoints = l3Endpoints(heard);
    tell(endpoints, { method: 'router_added_to_agent', args: { payload: [id('a'), id('b')] } });
    tell(endpoints, { method: 'router_removed_from_agent', args: { payload: { router_id: id('c') } } });
    tell(endpoints, {
      method: 'routers_updated',
      version: '1.1',
      args: { routers: [{ id: id('d') }], operation: null },
    });
    tell(endpoints, { method: 'agent_updated', args: { payload: { admin_state_up: false } } });
    expect(heard.routersUpdated.mock.calls).toEqual([[[id('a'), id('b')]], [[id('d')]]]);
    expect(heard.routersDeleted.mock.calls).toEqual([[[id('c')]]]);
    expect(heard.agentUpdated.mock.calls).toEqual([[false]]);
  });

  test.each([
    ['routers_updated', { routers: 'all' }, 'argument routers: "all" is not a list'],
    ['router_deleted', {}, 'argument router_id'],
    ['router_deleted', { router_id: '../x' }, 'argument router_id: "../x" is not a UUID'],
    ['router_removed_from_agent', { payload: null }, 'argument payload'],
    ['add_arp_entry', { payload: { router_id: id('e') } }, 'argument payload.arp_table'],
  ])('%s with %j is refused by the name of the argument, and nothing is done', (method, args, message) => {
    const heard = l3();
    expect(() => tell(l3Endpoints(heard), { method, args })).toThrow(message);
    expect(Object.values(heard).flatMap(({ mock }) => mock.calls)).toEqual([]);
  });

  test('ids that are none are named; the others of the list count', () => {
    const heard = l3();
    const args = { routers: [id('a'), 5, '/etc/passwd', { id: id('b') }] };
    expect(() => tell(l3Endpoints(heard), { method: 'routers_updated', version: '1.1', args })).toThrow(
      'argument routers: expected UUIDs; one is 5 (and 1 more)',
    );
    expect(heard.routersUpdated.mock.calls).toEqual([[[id('a'), id('b')]]]);
  });

  test('network_update comes in version 1.4', () => {
    const updated = vi.fn();
    const endpoints = networkUpdateEndpoints(updated);
    tell(endpoints, {
      method: 'network_update',
      version: '1.4',
      args: { network: { id: id('b'), mtu: 1450, name: 'x' } },
    });
    expect(updated).toHaveBeenCalledWith({ id: id('b'), mtu: 1450 });
  });
});

describe('DHCP', () => {
  const hear = (inner: Readonly<Record<string, unknown>>) => {
    const heard: DhcpNotification[] = [];
    const updates: boolean[] = [];
    const endpoints = dhcpEndpoints({
      notified: (each) => heard.push(each),
      agentUpdated: (up) => updates.push(up),
    });
    tell(endpoints, inner);
    return { heard, updates };
  };

  test.each(told(/^dhcp_agent/))('the recorded %s is understood: network, priority, payload', (_, inner) => {
    const { heard } = hear(inner);
    const { payload } = inner.args as { payload: Record<string, unknown> };
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject({ method: inner.method, priority: payload.priority, payload });
    expect(heard[0]?.networkId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a priority that is missing is that of the method; a port may be deleted without its network', () => {
    expect(hear({ method: 'port_delete_end', args: { payload: { port_id: id('f') } } }).heard).toEqual([
      { method: 'port_delete_end', networkId: null, priority: 6, payload: { port_id: id('f') } },
    ]);
    expect(
      hear({ method: 'network_delete_end', args: { payload: { network_id: id('b') } } }).heard[0]?.priority,
    ).toBe(2);
    expect(hear({ method: 'agent_updated', args: { payload: { admin_state_up: true } } }).updates).toEqual([
      true,
    ]);
  });

  test.each([
    ['port_create_end', { payload: { port: { id: id('f') } } }, 'argument port.network_id'],
    ['network_create_end', {}, 'argument payload'],
    [
      'network_delete_end',
      { payload: { network_id: '../..' } },
      'argument network_id: "../.." is not a UUID',
    ],
    ['subnet_delete_end', { payload: { subnet_id: 5 } }, 'argument subnet_id'],
  ])('%s with %j is refused by the name of the argument', (method, args, message) => {
    expect(() => hear({ method, args })).toThrow(message);
  });
});

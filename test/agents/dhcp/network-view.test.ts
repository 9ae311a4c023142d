import { describe, expect, it } from 'vitest';
import { dhcpDeviceId } from '../../../agents/dhcp/compile/identity.ts';
import { NetworkView } from '../../../agents/dhcp/network-view.ts';
import { dhcpPort, NETWORK, networkPayload, portId, portPayload, subnetPayload } from './compile/payload.ts';
import { HOST } from './compile/rendered.ts';

const vm = (number: number, ip: string, wish = {}) => portPayload(number, [[1, ip]], wish);
const payload = (...ports: readonly unknown[]) => networkPayload([subnetPayload(1)], ports);

function setUp(...ports: readonly unknown[]) {
  const clock = { now: 0 };
  const view = new NetworkView(
    (id) => dhcpDeviceId(HOST.name, id),
    () => clock.now,
  );
  const ask = (at: number, ...answer: readonly unknown[]) => {
    view.keep(NETWORK, view.asked(NETWORK, payload(...answer), at), at);
    return known();
  };
  const known = () => {
    const { ports: all } = (view.current(NETWORK) ?? { ports: [] }) as { ports: ReturnType<typeof vm>[] };
    return all.map(({ fixed_ips }) => fixed_ips[0]?.ip_address);
  };
  ask(1, ...ports);
  return { view, clock, ask, known };
}

describe('what is known of a network', () => {
  it('is the payload itself as long as nothing was said', () => {
    const { view } = setUp();
    const answer = payload(vm(5, '10.0.1.5'));
    expect(view.asked(NETWORK, answer, 2)).toStrictEqual(answer);
    expect(view.current('another')).toBeUndefined();
  });

  it('has what was said after an answer was asked for, and not what was said before', () => {
    const { view, ask, known } = setUp(vm(5, '10.0.1.5'));
    expect(view.portSaid(NETWORK, vm(6, '10.0.1.6'), true, 3)).toEqual({ known: true });
    expect(known()).toEqual(['10.0.1.5', '10.0.1.6']);
    expect(ask(2, vm(5, '10.0.1.5'))).toEqual(['10.0.1.5', '10.0.1.6']);
    expect(ask(4, vm(5, '10.0.1.5'))).toEqual(['10.0.1.5']);
  });

  it('goes by the higher revision when an answer and a message meet', () => {
    const { view, ask } = setUp(vm(5, '10.0.1.5', { revision_number: 1 }));
    view.portSaid(NETWORK, vm(5, '10.0.1.7', { revision_number: 2 }), false, 3);
    expect(ask(2, vm(5, '10.0.1.8', { revision_number: 3 }))).toEqual(['10.0.1.8']);
    view.portSaid(NETWORK, vm(5, '10.0.1.9', { revision_number: 4 }), false, 5);
    expect(ask(4, vm(5, '10.0.1.8', { revision_number: 3 }))).toEqual(['10.0.1.9']);
  });

  it('has no deleted port, for a day', () => {
    const { view, clock, ask } = setUp(vm(5, '10.0.1.5'));
    view.portDeleted(NETWORK, portId(5));
    expect(ask(9, vm(5, '10.0.1.5'))).toEqual([]);
    expect(view.portSaid(NETWORK, vm(5, '10.0.1.5'), false, 10)).toEqual({
      stale: `port ${portId(5)} was deleted`,
    });
    clock.now = 25 * 3_600_000;
    view.portDeleted(NETWORK, portId(6));
    expect(ask(11, vm(5, '10.0.1.5'))).toEqual(['10.0.1.5']);
  });

  it('takes an equal or missing revision for news, a lower one not', () => {
    const { view } = setUp(vm(5, '10.0.1.5', { revision_number: 3 }));
    const said = (revision_number: unknown) =>
      view.portSaid(NETWORK, vm(5, '10.0.1.5', { revision_number }), false, 2);
    expect(said(3)).toEqual({ known: true });
    expect(said(2)).toEqual({ stale: `revision 2 of port ${portId(5)}, 3 is known` });
    expect(said(undefined)).toHaveProperty('stale');
    const { view: other } = setUp(vm(5, '10.0.1.5'));
    expect(other.portSaid(NETWORK, vm(5, '10.0.1.5'), false, 2)).toEqual({ known: true });
  });

  it('asks when a new port has the address of another, or the same port another MAC', () => {
    const { view } = setUp(vm(5, '10.0.1.5'));
    const twin = { ask: `port ${portId(6)} has an address of port ${portId(5)}` };
    expect(view.portSaid(NETWORK, vm(6, '10.0.1.5'), true, 2)).toEqual(twin);
    const moved = vm(5, '10.0.1.5', { mac_address: 'fa:16:3e:00:00:77' });
    expect(view.portSaid(NETWORK, moved, true, 3)).toHaveProperty('ask');
    expect(view.portSaid(NETWORK, moved, false, 4)).toEqual({ known: true });
  });

  it("asks when this agent's own port is deleted or gets other subnets, not for other addresses", () => {
    const { view } = setUp(dhcpPort(9, [[1, '10.0.1.2']]));
    const own = (ips: readonly (readonly [number, string])[]) =>
      view.portSaid(NETWORK, dhcpPort(9, ips), false, 2);
    expect(own([[1, '10.0.1.3']])).toEqual({ known: true });
    expect(own([[2, '10.0.2.3']])).toHaveProperty('ask');
    expect(view.portDeleted(NETWORK, portId(9))).toHaveProperty('ask');
  });

  it('finds the network of a message that does not say it', () => {
    const { view } = setUp(vm(5, '10.0.1.5'));
    expect(view.networkWith('ports', portId(5))).toBe(NETWORK);
    expect(view.networkWith('subnets', subnetPayload(1).id)).toBe(NETWORK);
    expect(view.networkWith('subnets', subnetPayload(2).id)).toBeUndefined();
  });

  it('is counted as in state reports, and not when it was forgotten', () => {
    const { view } = setUp(vm(5, '10.0.1.5'));
    view.portSaid(NETWORK, vm(6, '10.0.1.6'), true, 2);
    expect(view.counters()).toEqual({ networks: 1, subnets: 1, ports: 2 });
    view.forget(NETWORK);
    expect(view.counters()).toEqual({ networks: 0, subnets: 0, ports: 0 });
  });

  it('keeps nothing of networks that a listing does not name', () => {
    const { view, ask } = setUp();
    view.forget(NETWORK);
    view.portSaid(NETWORK, vm(6, '10.0.1.6'), true, 5);
    view.listed(new Set());
    expect(ask(2)).toEqual([]);
  });
});

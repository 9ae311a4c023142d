import { describe, expect, it } from 'vitest';
import { routersLeft } from '../../../agents/l3/neutron.ts';
import { RouterIndex } from '../../../agents/l3/router-index.ts';

const port = (network_id: string, mtu: number) => ({ network_id, mtu });

describe('what is known of routers beside their rows', () => {
  const index = new RouterIndex();
  index.note({ id: 'a', gw_port: port('ext', 1500), _interfaces: [port('n', 1450)], _floatingips: [{}, {}] });
  index.note({ id: 'b', gw_port: null, _interfaces: [port('n', 1400), port('m', 1450)] });
  index.note('nonsense');

  it('counts for state reports as Neutron’s agent does', () => {
    expect(index.counters()).toEqual({ routers: 2, ex_gw_ports: 1, interfaces: 3, floating_ips: 2 });
  });

  it('names the routers that a new MTU of a network concerns', () => {
    expect(index.routersOf('n', 1450)).toEqual(['b']);
    expect(index.routersOf('n', 9000)).toEqual(['a', 'b']);
    expect(index.routersOf('ext', 1500)).toEqual([]);
    expect(index.routersOf('unknown', 1500)).toEqual([]);
  });
});

it('goes by the last payload that could be read, until an answer does without the router', () => {
  const index = new RouterIndex();
  index.answered(['a', 'b'], [{ id: 'a', _floatingips: [{}] }, { id: 'b' }]);
  index.answered(['a', 'b'], [{ id: 'a', _floatingips: 5 }]);
  expect(index.counters()).toMatchObject({ routers: 1, floating_ips: 1 });
});

describe('routers left over from before', () => {
  const id = '0f0e0d0c-1111-4222-8333-444455556666';
  it('are those with a namespace of exactly this agent’s naming', () => {
    const names = [`qrouter-${id}`, `qrouter-${id}-b`, `qdhcp-${id}`, 'qrouter-mine', 'other'];
    expect(routersLeft('', names)).toEqual([id]);
    expect(routersLeft('-b', names)).toEqual([id]);
  });
});

import { describe, expect, it } from 'vitest';
import { NetworkIndex } from '../../../agents/dhcp/network-index.ts';

const subnets = (...enabled: boolean[]) => enabled.map((enable_dhcp) => ({ enable_dhcp }));

describe('the networks of this host', () => {
  it('are those told of, until a complete listing says otherwise', () => {
    const index = new NetworkIndex(['recorded']);
    index.add('told');
    expect(['recorded', 'told', 'other'].map((id) => index.has(id))).toEqual([true, true, false]);
    index.list([{ id: 'told', subnets: [], ports: [] }, 'nonsense']);
    expect(['recorded', 'told'].map((id) => index.has(id))).toEqual([false, true]);
    index.forget('told');
    expect(index.has('told')).toBe(false);
  });

  it('count in state reports as far as they are served', () => {
    const index = new NetworkIndex([]);
    index.list([
      { id: 'a', subnets: subnets(true, false, true), ports: [{}, {}, {}] },
      { id: 'external', subnets: subnets(false), ports: [{}] },
    ]);
    expect(index.counters()).toEqual({ networks: 1, subnets: 2, ports: 3 });
  });
});

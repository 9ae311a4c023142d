import { expect, test } from 'vitest';
import { measuresOf } from './measures.ts';
import type { Found } from './sides.ts';

const all = (value: number): Found => ({
  routers: value,
  routersMemory: value * 1e6,
  restart: value,
  association: value,
  associationAgent: value,
  networks: value,
  networksMemory: value * 1e6,
  networksRestart: value,
});

test('each measure is one line with both sides and how many times Neutron takes', () => {
  const lines = measuresOf(50, { ...all(2), associationAgent: 0.012 }, { ...all(50), associationAgent: 0.6 });
  expect(lines).toHaveLength(8);
  expect(lines[0]).toEqual({
    bench: 'neutron',
    measure: 'agent start until all routers are complete',
    unit: 's',
    n: 50,
    viaduct: 2,
    neutron: 50,
    ratio: 25,
    wanted: 20,
  });
  expect(lines.find(({ measure }) => measure.includes("agent's share"))).toMatchObject({
    unit: 'ms',
    viaduct: 12,
    neutron: 600,
    ratio: 50,
  });
  expect(lines.find(({ measure }) => measure.startsWith('memory of L3'))).toMatchObject({
    unit: 'MB',
    viaduct: 2,
    neutron: 50,
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Rig, remains } from './rig.ts';
import { pause, until } from './shell.ts';
import { snapshot } from './snapshot.ts';
import { FIP, OUTSIDE, TOPOLOGY } from './whole-topology.ts';

/** Milliseconds after the first object appeared. */
const MOMENTS = [0, 12, 30, 60, 110];

describe('a process killed while it builds', () => {
  let net: Rig;
  let wanted: string;

  const leased = () =>
    until(
      'the lease is there',
      async () => (await net.client('vm').sh('ip -4 -o addr')).includes('10.1.0.5/24'),
      30_000,
    );
  const present = async (): Promise<number> => {
    const { namespaces, links } = await remains([net.topology]);
    return namespaces.length + links.length;
  };

  beforeAll(async () => {
    net = new Rig(TOPOLOGY);
    await net.up();
    await leased();
    wanted = await snapshot(net);
    await net.down();
    expect(await present()).toBe(0);
  });
  afterAll(() => net?.remove());

  test.each(MOMENTS)(
    'after %i ms: the next one builds the same network, and nothing is left over',
    async (moment) => {
      net.launch();
      await until('it has begun', async () => (await present()) > 0, 10_000);
      await pause(moment);
      await net.end('SIGKILL');
      await net.up();
      await leased();
      expect(await snapshot(net)).toBe(wanted);
      expect((await net.client('internet').ping(FIP)).received).toBe(3);
      await net.client('vm').reaches(OUTSIDE);
      await net.down();
      expect(await remains([net.topology])).toEqual({ namespaces: [], links: [] });
    },
  );

  test('killed and removed without another start, nothing is left over', async () => {
    net.launch();
    await until('it has begun', async () => (await present()) > 0, 10_000);
    await pause(40);
    await net.end('SIGKILL');
    await net.down();
    expect(await remains([net.topology])).toEqual({ namespaces: [], links: [] });
  });
});

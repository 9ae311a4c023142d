import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from './build.ts';
import { Rig } from './rig.ts';
import { output, pause, until } from './shell.ts';
import { FIP, OUTSIDE, TOPOLOGY } from './whole-topology.ts';

/** Here each agent runs as a program of its own, as on a node. */
const AGENTS = ['l3', 'dhcp', 'metadata'] as const;
type Agent = (typeof AGENTS)[number];

describe('agents restarted one by one', () => {
  let net: Rig;
  const running = new Map<Agent, ChildProcess>();

  async function start(agent: Agent): Promise<void> {
    const seen = net.log.length;
    running.set(agent, net.spawn(program(agent, '--topology', net.file, '--state-dir', net.stateDir)));
    await until(`${agent} has settled`, () => /settled after/.test(net.log.slice(seen)), 30_000).catch(
      (error) => {
        throw new Error(`${String(error)}\n${net.log.slice(seen)}`);
      },
    );
  }
  async function stop(agent: Agent, signal: NodeJS.Signals): Promise<void> {
    const child = running.get(agent)!;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
    running.delete(agent);
  }
  const dnsmasq = () => output('pgrep', '-f', `dnsmasq.*${net.networkId('a')}`);

  beforeAll(async () => {
    net = new Rig(TOPOLOGY);
    const built = await net.viaduct('up', '--once', net.file);
    expect([built.code, built.stderr.includes('Error')]).toEqual([0, false]);
    for (const agent of AGENTS) await start(agent);
    await net.client('vm').reaches(OUTSIDE, 30_000);
    await net.client('internet').reaches(FIP);
  });
  afterAll(async () => {
    for (const agent of running.keys()) await stop(agent, 'SIGTERM');
    await net?.remove();
  });

  for (const agent of AGENTS) {
    test.each(['SIGTERM', 'SIGKILL'] as const)(
      `${agent}: pings through SNAT and floating IP lose nothing over %s and start`,
      async (signal) => {
        const pid = await dnsmasq();
        const snat = net.client('vm').pingStream(OUTSIDE);
        const fip = net.client('internet').pingStream(FIP);
        await until('pings flow', () => snat.replies > 30 && fip.replies > 30);
        await stop(agent, signal);
        await pause(300);
        await start(agent);
        const [a, b] = [snat.replies, fip.replies];
        await until('pings go on', () => snat.replies > a + 50 && fip.replies > b + 50);
        expect([(await snat.stop()).lost, (await fip.stop()).lost]).toEqual([[], []]);
        expect(await dnsmasq()).toBe(pid);
      },
    );
  }

  test('[O7] a started agent adopts the daemons of the one before, and changes nothing', async () => {
    const pid = await dnsmasq();
    const seen = net.log.length;
    await stop('dhcp', 'SIGKILL');
    await start('dhcp');
    expect(await dnsmasq()).toBe(pid);
    expect(net.log.slice(seen)).toMatch(/settled after \d+ ms: 0 kernel writes, 0 forks/);
    expect((await net.client('vm').curl('http://169.254.169.254/latest/meta-data/instance-id')).body).toBe(
      net.instanceId('vm'),
    );
  });
});

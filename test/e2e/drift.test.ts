import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Rig, remains, rig } from './rig.ts';
import { output, run, until } from './shell.ts';
import { hostSnapshot, namespaceSnapshot, snapshot } from './snapshot.ts';
import { OUTSIDE, TOPOLOGY } from './whole-topology.ts';

const HEALED_MS = 2_000;

describe('objects deleted by hand', () => {
  let net: Rig;
  let wanted: string;
  let hostLinks: string[];

  interface Breakage {
    readonly what: string;
    readonly command: () => Promise<string[]> | string[];
    /** words of the object in `viaduct diff` */
    readonly named: () => string;
    /** namespace where it is missed; '' is the host, 'daemon' the DHCP server */
    readonly where: () => string;
  }
  const inRouter = (name: string, ...argv: string[]) => ['ip', 'netns', 'exec', net.router(name).ns, ...argv];
  const tap = (device: string) => `tap${device.slice(3)}`;

  const BREAKAGES: Breakage[] = [
    {
      what: 'an interface of a router',
      command: () => inRouter('r1', 'ip', 'link', 'del', net.interface('r1', 'a').device),
      named: () => net.interface('r1', 'a').device,
      where: () => net.router('r1').ns,
    },
    {
      what: 'the tap of a router’s gateway',
      command: () => ['ip', 'link', 'del', tap(net.gateway('r2').device)],
      named: () => tap(net.gateway('r2').device),
      where: () => '',
    },
    {
      what: 'a tap’s place in its bridge',
      command: () => ['ip', 'link', 'set', tap(net.gateway('r1').device), 'nomaster'],
      named: () => tap(net.gateway('r1').device),
      where: () => '',
    },
    {
      what: 'a bridge',
      command: () => ['ip', 'link', 'del', net.bridge('b')],
      named: () => net.bridge('b'),
      where: () => '',
    },
    {
      what: 'the gateway address',
      command: () => inRouter('r1', 'ip', 'addr', 'del', '203.0.113.11/24', 'dev', net.gateway('r1').device),
      named: () => '203.0.113.11',
      where: () => net.router('r1').ns,
    },
    {
      what: 'the address of a floating IP',
      command: () => inRouter('r1', 'ip', 'addr', 'del', '203.0.113.101/32', 'dev', net.gateway('r1').device),
      named: () => '203.0.113.101',
      where: () => net.router('r1').ns,
    },
    {
      what: 'the default route',
      command: () => inRouter('r1', 'ip', 'route', 'del', 'default'),
      named: () => 'default',
      where: () => net.router('r1').ns,
    },
    {
      what: 'an extra route',
      command: () => inRouter('r1', 'ip', 'route', 'del', '192.168.0.0/16'),
      named: () => '192.168.0.0/16',
      where: () => net.router('r1').ns,
    },
    {
      what: 'a chain of the ruleset',
      command: () => inRouter('r1', 'nft', 'flush', 'chain', 'inet', 'viaduct', 'nat_postrouting'),
      named: () => 'viaduct',
      where: () => net.router('r1').ns,
    },
    {
      what: 'the ruleset',
      command: () => inRouter('r2', 'nft', 'flush', 'ruleset'),
      named: () => 'viaduct',
      where: () => net.router('r2').ns,
    },
    {
      what: 'the translation of a floating IP',
      command: () => inRouter('r1', 'nft', 'flush', 'map', 'inet', 'viaduct', 'fip_dnat'),
      named: () => '203.0.113.101',
      where: () => net.router('r1').ns,
    },
    {
      what: 'a router’s namespace',
      command: () => ['ip', 'netns', 'del', net.router('r2').ns],
      named: () => net.router('r2').ns,
      where: () => net.router('r2').ns,
    },
    {
      what: 'the device of an instance',
      command: () => ['ip', '-n', net.client('fixed').ns, 'link', 'del', 'eth0'],
      named: () => 'eth0',
      where: () => net.client('fixed').ns,
    },
    {
      what: 'the DHCP namespace’s device',
      command: () => ['ip', '-n', net.dhcp('a').ns, 'link', 'del', net.dhcpPort('a').device],
      named: () => net.dhcpPort('a').device,
      where: () => net.dhcp('a').ns,
    },
    {
      what: 'the DHCP server’s process',
      command: async () => ['kill', '-9', await dnsmasqPid()],
      named: () => 'dnsmasq',
      where: () => 'daemon',
    },
  ];
  const dnsmasqPid = async (): Promise<string> => {
    const pids = (await output('ip', 'netns', 'pids', net.dhcp('a').ns)).trim().split('\n');
    for (const pid of pids) if ((await output('cat', `/proc/${pid}/comm`)).trim() === 'dnsmasq') return pid;
    throw new Error('no dnsmasq');
  };
  const served = (): Promise<string> =>
    dnsmasqPid().then(
      () => 'served',
      () => 'not served',
    );
  /** The kernel's objects, and the daemon that is none. */
  const state = async (): Promise<string> => `${await snapshot(net)}\n${await served()}`;
  /** The part of it where something is missed: quickly read, so that the time of its return is seen. */
  const part = (where: string): Promise<string> => {
    if (where === 'daemon') return served();
    return where === '' ? hostSnapshot(hostLinks) : namespaceSnapshot(where);
  };

  /** Lines that are too few or too many. */
  const difference = (is: string, should: string): string => {
    const [now, then] = [is.split('\n'), should.split('\n')];
    const missing = then.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
    return [...missing, ...now.filter((line) => !then.includes(line)).map((line) => `+ ${line}`)].join('; ');
  };

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
    await net.client('vm').reaches(OUTSIDE, 30_000);
    wanted = await state();
    hostLinks = (await remains([net.topology])).links;
  });
  afterAll(() => net?.remove());

  test('each is back within two seconds', async () => {
    const late: string[] = [];
    for (const { what, command, where } of BREAKAGES) {
      const place = where();
      const [before, argv] = [await part(place), await command()];
      const broken = await run(argv);
      expect([what, broken.stderr]).toEqual([what, '']);
      const started = Date.now();
      const seen: string[] = [];
      await until(what, async () => {
        const now = await part(place).catch((error: unknown) => String(error));
        seen.push(`${Date.now() - started} ms: ${difference(now, before)}`);
        return now === before;
      });
      if (Date.now() - started > HEALED_MS) late.push([what, ...seen].join('\n  '));
      await until(`${what}: all is as before`, async () => (await state()) === wanted);
    }
    expect(late).toEqual([]);
    expect((await net.client('internet').ping('203.0.113.101')).received).toBe(3);
    await net.client('vm').reaches(OUTSIDE);
  });

  test('while nobody heals, viaduct diff names each', async () => {
    await net.end();
    expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
    // What goes with something bigger is broken first, and looked for without it.
    const whole = BREAKAGES.filter(({ what }) => /namespace$|bridge$/.test(what));
    const parts = BREAKAGES.filter((one) => !whole.includes(one));
    const unnamed: string[] = [];
    for (const batch of [parts, whole]) {
      const words = batch.map(({ what, named }) => ({ what, word: named() }));
      for (const { command } of batch) await run(await command());
      const { code, stdout } = await net.viaduct('diff', '--exit-code');
      expect(code).toBe(2);
      for (const { what, word } of words) if (!stdout.includes(word)) unnamed.push(`${what}: ${stdout}`);
      expect((await net.viaduct('up', '--once', net.file)).code).toBe(0);
    }
    expect(unnamed).toEqual([]);
    expect(await state()).toBe(wanted);
    await net.up();
  });
});

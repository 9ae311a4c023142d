/** From the association of a floating IP over REST until its NAT works: until a packet from outside reaches the port. */
import { readAddresses } from '../../../lib/kernel/address.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../../lib/kernel/netlink.ts';
import { udpSend } from '../../../lib/kernel/socket.ts';
import { Background, output, until } from '../../e2e/shell.ts';
import { type Cloud, EXTERNAL_BRIDGE } from '../../neutron/cloud/cloud.ts';
import type { Resource } from '../../neutron/cloud/server.ts';
import { median } from '../figures.ts';
import { bound, type WantedRouter } from './site.ts';
import { Stalled } from './stalled.ts';
import { answeringTime, Traffic } from './traffic.ts';

const ROUNDS = 5;
const PORT = 7777;
const EVERY_MS = 2;
const BRIDGE = 'bench-inside';
const INSTANCE = 'bench-vm';
const PATIENCE_MS = 60_000;

const ip = (text: string): Promise<string> => output('ip', ...text.split(' '));
const tap = (portId: string): string => `tap${portId.slice(0, 11)}`;

/** A machine that owns the port, and a floating IP to give it. */
export interface AssociationSite {
  readonly router: WantedRouter;
  readonly port: Resource;
  readonly floating: Resource;
}

export async function createAssociationSite(
  { server, node }: Cloud,
  external: Resource,
  router: WantedRouter,
): Promise<AssociationSite> {
  const port = await server.create('ports', { network_id: router.networkId, ...bound(node) });
  const floating = await server.create('floatingips', { floating_network_id: external.id });
  return { router, port, floating };
}

/** What an L2 agent does, for the one router that packets go through, and the instance behind it. */
async function wire({ router, port, floating }: AssociationSite): Promise<void> {
  await ip(`link set ${tap(router.gateway.portId)} master ${EXTERNAL_BRIDGE}`);
  await ip(`link add ${BRIDGE} type bridge`);
  await ip(`link set ${BRIDGE} up`);
  await ip(`link set ${tap(router.interfaces[0]!.portId)} master ${BRIDGE}`);
  await ip(`netns add ${INSTANCE}`);
  await ip(`link add ${tap(port.id)} type veth peer name eth0 netns ${INSTANCE}`);
  await ip(`link set ${tap(port.id)} master ${BRIDGE} up`);
  await ip(`-n ${INSTANCE} link set eth0 address ${String(port.mac_address)} up`);
  const [fixed] = port.fixed_ips as { ip_address: string }[];
  await ip(`-n ${INSTANCE} addr add ${fixed!.ip_address}/24 dev eth0`);
  await ip(`-n ${INSTANCE} route add default via ${router.interfaces[0]!.address}`);
  // Whoever knows the address only by ARP must wait up to a second for the next try: that is nobody's work.
  const address = String(floating.floating_ip_address);
  await ip(`-n outside neigh replace ${address} lladdr ${router.gateway.mac} dev eth0 nud permanent`);
}

async function unwire(): Promise<void> {
  await ip(`netns del ${INSTANCE}`);
  await ip(`link del ${BRIDGE}`);
}

export interface AssociationTimes {
  /** ms from the request until the NAT works */
  readonly whole: number;
  /** ms from the server's notification at the broker until the NAT works, without the time in which the server answers */
  readonly agent: number;
}

/** A datagram every 2 ms, each from a port of its own: a connection refused once is remembered for the old one. */
function sending(address: string): () => void {
  const timer = setInterval(
    () => udpSend({ ns: 'outside', to: address, port: PORT, payload: Buffer.from('bench') }),
    EVERY_MS,
  );
  return () => clearInterval(timer);
}

async function round(cloud: Cloud, traffic: Traffic, site: AssociationSite): Promise<AssociationTimes> {
  const { server } = cloud;
  const { floating, port } = site;
  const address = String(floating.floating_ip_address);
  const capture = new Background([
    'ip',
    'netns',
    'exec',
    INSTANCE,
    'tcpdump',
    '-n',
    '-l',
    '-tt',
    '--immediate-mode',
    '-i',
    'eth0',
    `udp port ${PORT}`,
  ]);
  await until('tcpdump listens', () => capture.lines.some((line) => line.includes('listening on')));
  const stop = sending(address);
  try {
    const asked = performance.now();
    await server.update('floatingips', floating.id, { port_id: port.id });
    const arrived = await until(
      'a packet for the floating IP reaches its port',
      () => capture.lines.map((line) => /^(\d+\.\d+) IP /.exec(line)?.[1]).find((time) => time !== undefined),
      PATIENCE_MS,
    ).catch((error: Error) => {
      throw new Stalled(error.message);
    });
    // The kernel stamps packets with the time of day.
    const works = Number(arrived) * 1000 - performance.timeOrigin;
    const told = traffic.published.find(({ at, method }) => at > asked && method === 'routers_updated');
    if (!told) throw new Error('no notification was seen at the broker');
    return {
      whole: works - asked,
      agent: works - told.at - answeringTime(traffic.published, told.at, works),
    };
  } finally {
    stop();
    await capture.stop();
    await server.update('floatingips', floating.id, { port_id: null });
  }
}

/** The address is in the router's namespace. */
function isThere({ router, floating }: AssociationSite): boolean {
  using socket = new NetlinkSocket(NETLINK_ROUTE, `qrouter-${router.id}`);
  return readAddresses(socket).some(({ ip: address }) => address === floating.floating_ip_address);
}

/**
 * Medians of five associations. The router must be complete.
 * @param rest resolves when whoever still has something to do has done it
 */
export async function associate(
  cloud: Cloud,
  site: AssociationSite,
  rest: () => Promise<unknown>,
): Promise<AssociationTimes> {
  await wire(site);
  const traffic = await Traffic.watch(cloud.broker);
  try {
    const times: AssociationTimes[] = [];
    for (let number = 0; number < ROUNDS; number++) {
      await rest();
      times.push(await round(cloud, traffic, site));
      await until('the floating IP is gone again', () => !isThere(site), PATIENCE_MS).catch(
        (error: Error) => {
          throw new Stalled(error.message);
        },
      );
    }
    await rest();
    return {
      whole: median(times.map(({ whole }) => whole)),
      agent: median(times.map(({ agent }) => agent)),
    };
  } finally {
    await traffic.stop();
    await unwire();
  }
}

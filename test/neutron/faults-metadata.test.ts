/** What an instance hears, and the log says, when the server's answer to whom it is goes wrong. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { run } from '../e2e/shell.ts';
import { testId } from '../kernel/routers.ts';
import { PretendRig } from './pretend/rig.ts';
import { mishaps, type Tampering } from './pretend/server.ts';

const NETWORK = testId(0xa0, 1);
const INSTANCE = testId(0xc0, 1);
/** Each request by another address: an answer serves an address for a moment. */
let address = 10;
let rig: PretendRig;
let nova: http.Server;

/** As a proxy of Neutron's agents asks, by the agent's socket. */
async function asks(): Promise<{ status: number; body: string }> {
  address += 1;
  const { stdout } = await run([
    'curl',
    '-s',
    '--unix-socket',
    join(rig.node.statePath, 'metadata_proxy'),
    '-H',
    `X-Neutron-Network-ID: ${NETWORK}`,
    '-H',
    `X-Forwarded-For: 10.0.0.${address}`,
    '-w',
    '\n%{http_code}',
    'http://169.254.169.254/latest/meta-data/instance-id',
  ]);
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

const serves = (): Promise<unknown> =>
  rig.soon('it serves', async () => {
    const { status, body } = await asks();
    return status === 200 && body === `instance ${INSTANCE}`;
  });

/** What becomes of answers about ports; all else is answered as usual. */
const portsAre = (mishap: Tampering): void => {
  rig.server.tamper = (request, answer) =>
    request.method === 'get_ports' ? mishap(request, answer) : undefined;
};
const good: Tampering = (_request, answer) =>
  mishaps.other(answer([{ device_id: INSTANCE, project_id: testId(0x70, 1) }]));

beforeAll(async () => {
  nova = http.createServer((request, response) =>
    response.end(`instance ${String(request.headers['x-instance-id'])}`),
  );
  await new Promise<void>((resolve) => nova.listen(0, '127.0.0.1', resolve));
  const nova_metadata_port = (nova.address() as AddressInfo).port;
  rig = await PretendRig.open(['metadata'], {
    common: {
      DEFAULT: { rpc_response_timeout: 2, rpc_response_max_timeout: 4 },
      AGENT: { report_interval: 2 },
    },
    agents: { metadata: { DEFAULT: { nova_metadata_port } } },
  });
  portsAre(good);
  rig.node.start('metadata');
  await rig.settled();
  await serves();
});
afterEach(async () => {
  portsAre(good);
  await serves();
});
afterAll(async () => {
  await rig?.close();
  nova?.close();
});

it.each([
  ['lost', () => mishaps.lost(), 'get_ports: no answer within'],
  [
    'null',
    (_request, answer) => mishaps.other(answer(null)),
    "get_ports: the server's answer is not understood",
  ],
  [
    'a list of numbers',
    (_request, answer) => mishaps.other(answer([5])),
    "get_ports: the server's answer is not understood: [0]: 5 is not an object",
  ],
  [
    'damaged',
    (_request, answer) =>
      mishaps.other(
        Buffer.from(answer([]).toString().replace('\\"failure\\":null', '\\"failure\\":{\\"class\\":5}')),
      ),
    'get_ports: the answer is not understood: reply: failure: ',
  ],
] satisfies [string, Tampering, string][])(
  'an answer that is %s: the instance hears of a failure, one line says why, the next request is served',
  async (_, mishap, line) => {
    portsAre(mishap);
    const complaints = await rig.complaints('metadata', async () => {
      expect((await asks()).status).toBe(500);
      expect((await asks()).status).toBe(500);
    });
    const failures = complaints.filter((each) => each.startsWith('a metadata request failed'));
    expect(failures.length).toBeGreaterThan(0);
    for (const each of failures) expect(each).toContain(line);
  },
);

it.each([
  ['nobody', []],
  ['two ports at once', [{ device_id: INSTANCE }, { device_id: testId(0xc0, 2) }]],
  ['a port without an instance', [{ device_id: '' }]],
])('an answer of %s: the address is nobody’s, and no line is needed', async (_, ports) => {
  portsAre((_request, answer) => mishaps.other(answer(ports)));
  const complaints = await rig.complaints('metadata', async () => {
    expect((await asks()).status).toBe(404);
  });
  expect(complaints).toEqual([]);
});

it('an answer that comes three times, or too late, does not go to another request', async () => {
  const other = testId(0xc0, 3);
  portsAre((_request, answer) => mishaps.doubled(answer([{ device_id: other }])));
  expect((await asks()).body).toBe(`instance ${other}`);
  portsAre((_request, answer) => mishaps.late(answer([{ device_id: other }]), 6_000));
  expect((await asks()).status).toBe(500);
  portsAre(good);
  await rig.soon('the line', () =>
    rig.log('metadata').some(({ msg }) => msg === 'a late answer to get_ports was dropped'),
  );
  for (let i = 0; i < 5; i++) expect((await asks()).body).toBe(`instance ${INSTANCE}`);
});

it('a server that ends and comes back is asked again', async () => {
  await rig.server.stop();
  expect((await asks()).status).toBe(500);
  await rig.server.start();
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRpc, type Rpc, rpcOptions } from '../../../lib/rpc/rpc.ts';
import { silentLog } from '../../../lib/telemetry/log.ts';
import { rabbitInstalled, TestBroker } from './broker.ts';

let broker: TestBroker;
let rpc: Rpc;
beforeAll(async () => {
  broker = await TestBroker.start();
  rpc = openRpc({ options: rpcOptions({ transport_url: broker.url() }), log: silentLog(), program: 'test' });
});
afterAll(async () => {
  await rpc?.close();
  await broker?.stop();
});

test.runIf(rabbitInstalled())('a call is answered with the result of the method', async () => {
  const server = rpc.serve({
    topic: 'q-l3-plugin',
    server: 'net-1',
    endpoints: [{ version: '1.12', methods: { get_router_ids: ({ host }) => [host, 'b'] } }],
  });
  await server.ready();
  const result = await rpc.call({
    topic: 'q-l3-plugin',
    method: 'get_router_ids',
    args: { host: 'a' },
    version: '1.9',
  });
  expect(result).toEqual(['a', 'b']);
  await server.stop();
});

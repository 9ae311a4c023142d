import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetadataAgent, type MetadataAgent } from '../../../agents/metadata/agent.ts';
import { parseMetadataOptions } from '../../../agents/metadata/options.ts';
import { createLocalForwarder, createMetadataService } from '../../../agents/metadata/service/service.ts';
import { freePort, type PretendKernel, pretendKernel } from './pretend-kernel.ts';

const A = '11111111-1111-4111-8111-111111111111';
const B = '22222222-2222-4222-8222-222222222222';

let kernel: PretendKernel;
let agent: MetadataAgent;
let routers: () => Promise<unknown[]>;
let networks: unknown[];
let changed: () => void;
let warnings: string[];
let port: number;

const waitForSyncs = (count: number) => vi.waitFor(() => expect(agent.state().syncs).toBe(count));

beforeEach(() => {
  kernel = pretendKernel();
  kernel.make(`qrouter-${A}`);
  warnings = [];
  port = freePort();
  routers = async () => [{ id: A }];
  networks = [];
  const secret = 'shared';
  const instances = () => ({ id: 'i', name: 'i', project_id: 'p', ports: [] });
  agent = createMetadataAgent({
    plugin: { portOf: async () => [{ device_id: 'i', project_id: 'p' }] },
    inventory: {
      routers: () => routers(),
      networks: async () => networks,
      subscribe(listener) {
        changed = listener;
        return () => {
          changed = () => {};
        };
      },
    },
    options: parseMetadataOptions({
      metadata_port: port,
      metadata_proxy_shared_secret: secret,
      enable_isolated_metadata: true,
    }),
    logger: {
      debug() {},
      info() {},
      warn: (fields, message) => void warnings.push(message + JSON.stringify(fields)),
    },
    forwarder: createLocalForwarder(createMetadataService({ secret, instances })),
    kernel,
  });
});
afterEach(async () => {
  await agent.stop();
  kernel.cleanup();
});

describe('the metadata agent', () => {
  it('answers in the namespaces of its routers, from the service in its own process', async () => {
    await agent.start();
    const answer = await fetch(`http://127.0.0.1:${port}/latest/meta-data/instance-id`);
    expect([answer.status, await answer.text()]).toEqual([200, 'i']);
    expect(agent.state()).toMatchObject({
      listeners: { desired: 1, open: 1 },
      answers: { 200: 1 },
      converged: true,
    });
  });

  it('follows changes, and one more listing is enough for many', async () => {
    await agent.start();
    const listing = vi.fn(async () => []);
    routers = listing;
    for (let i = 0; i < 50; i += 1) changed();
    await vi.waitFor(() =>
      expect(agent.state()).toMatchObject({ listeners: { desired: 0 }, converged: true }),
    );
    expect(listing.mock.calls.length).toBeLessThanOrEqual(2);
  });

  it('goes on listening when a listing fails, says so, and tries again', async () => {
    await agent.start();
    routers = () => Promise.reject(new Error('no broker'));
    changed();
    await vi.waitFor(() => expect(agent.state().error).toBe('no broker'));
    expect(agent.state()).toMatchObject({ listeners: { open: 1 }, converged: false });
    routers = async () => [{ id: A }];
    await waitForSyncs(2);
    expect(agent.state()).toMatchObject({ listeners: { open: 1, opened: 1 }, converged: true });
  });

  it('keeps the listener of a router whose payload became invalid, and serves the others', async () => {
    await agent.start();
    routers = async () => [{ id: A, routes: 'nonsense' }, { id: B }];
    changed();
    await waitForSyncs(2);
    expect(agent.state().listeners).toMatchObject({ desired: 2, open: 1, kept: 1 });
    expect(warnings.join()).toContain(A);
  });

  it('keeps the listeners of a network with a subnet that can’t be read; its ports don’t matter', async () => {
    const subnet = { id: B, network_id: A, ip_version: 4, cidr: '10.0.0.0/24', gateway_ip: null };
    const network = { id: A, subnets: [subnet], ports: [] };
    networks = [network];
    await agent.start();
    expect(agent.state().listeners.desired).toBe(2);
    networks = [{ ...network, subnets: [{ ...subnet, cidr: 'none' }] }];
    changed();
    await waitForSyncs(2);
    expect(agent.state().listeners.desired).toBe(2);
    expect(warnings.join()).toContain('cidr');
    networks = [{ ...network, ports: [{ id: B, mac_address: 'none' }] }];
    changed();
    await waitForSyncs(3);
    expect(agent.state().listeners.desired).toBe(2);
    networks = [{ ...network, subnets: [] }];
    changed();
    await waitForSyncs(4);
    expect(agent.state().listeners.desired).toBe(1);
  });

  it('is not converged while a namespace is missing', async () => {
    routers = async () => [{ id: B }];
    await agent.start();
    expect(agent.state()).toMatchObject({ listeners: { open: 0 }, converged: false });
    kernel.make(`qrouter-${B}`);
    await vi.waitFor(() => expect(agent.state().converged).toBe(true));
  });

  it('can be stopped before it was started, and twice', async () => {
    await agent.stop();
    await agent.stop();
    expect(agent.state().listeners.desired).toBe(0);
  });
});

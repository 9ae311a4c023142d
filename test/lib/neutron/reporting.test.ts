import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Reporting, UnconfirmedAgent } from '../../../lib/neutron/reporting.ts';
import { L3_AGENT } from '../../../lib/rpc/plugins/state-reports.ts';
import type { Rpc, RpcHealth, RpcServer } from '../../../lib/rpc/rpc.ts';
import { createLog } from '../../../lib/telemetry/log.ts';

const HEALTH: RpcHealth = { connected: true, since: new Date(0), broker: 'b', blocked: null, problem: null };

/** A node whose server answers reports with the next of `answers`, in the end for ever with the last one. */
function rig(answers: unknown[]) {
  const listeners = new Set<(health: RpcHealth) => void>();
  const reports: unknown[] = [];
  const rpc: Rpc = {
    call: async ({ args }) => {
      reports.push(args);
      return answers.length > 1 ? answers.shift() : answers[0];
    },
    cast: async () => undefined,
    fanout: async () => undefined,
    serve: () => {
      throw new Error('nothing is served here');
    },
    health: () => HEALTH,
    onHealth: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => undefined,
  };
  const log = createLog({ program: 'test', write: () => undefined });
  const values = { DEFAULT: {}, AGENT: { report_interval: 30, availability_zone: 'nova' } };
  const ready = vi.fn(async () => undefined);
  const resync = vi.fn();
  const servers = [{ ready } as Pick<RpcServer, 'ready'> as RpcServer];
  const node = { values, host: 'net-1', log, rpc, touch: () => undefined };
  const reporting = new Reporting(node, { agent: L3_AGENT, configurations: () => ({}), servers, resync });
  const outage = () => {
    for (const connected of [false, true])
      for (const listener of listeners) listener({ ...HEALTH, connected });
  };
  return { reporting, resync, ready, reports, outage };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('asks for everything once when the broker is back, though the server had given the agent up', async () => {
  const { reporting, resync, outage } = rig(['alive', 'revived', 'alive']);
  reporting.start();
  await reporting.confirm();
  vi.setSystemTime(Date.now() + 600_000);
  outage();
  outage();
  await vi.advanceTimersByTimeAsync(250);
  expect(resync).toHaveBeenCalledTimes(1);
  await reporting.confirm();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(resync).toHaveBeenCalledTimes(1);
  await reporting.stop();
});

it('asks again for what happens after the first question was asked', async () => {
  const { reporting, resync, outage } = rig(['alive']);
  reporting.start();
  outage();
  await vi.advanceTimersByTimeAsync(250);
  expect(resync).not.toHaveBeenCalled();
  await reporting.confirm();
  outage();
  await vi.advanceTimersByTimeAsync(250);
  expect(resync).toHaveBeenCalledTimes(1);
  await reporting.stop();
});

it('resyncs when a report says that the server had given the agent up', async () => {
  const { reporting, resync } = rig(['alive', 'revived', 'alive']);
  reporting.start();
  await reporting.confirm();
  await vi.advanceTimersByTimeAsync(65_000);
  expect(resync).toHaveBeenCalledTimes(1);
  await reporting.stop();
});

it('trusts no listing before its queues are there, nor when the server ignores the reports', async () => {
  const { reporting, ready } = rig(['new', null]);
  reporting.start();
  await reporting.confirm();
  expect(ready).toHaveBeenCalled();
  vi.setSystemTime(Date.now() + 600_000);
  await expect(reporting.confirm()).rejects.toBeInstanceOf(UnconfirmedAgent);
  await reporting.stop();
});

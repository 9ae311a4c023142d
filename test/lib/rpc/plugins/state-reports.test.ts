import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { MessagingTimeout } from '../../../../lib/rpc/failures.ts';
import {
  DHCP_AGENT,
  L3_AGENT,
  METADATA_AGENT,
  type ReportSettings,
  reportTime,
  StateReports,
} from '../../../../lib/rpc/plugins/state-reports.ts';
import { FakeServer, failing, recordedExchanges } from './recorded-server.ts';

type Args = Readonly<Record<string, unknown>>;
const stateOf = (args: Args = {}) => (args.agent_state as { agent_state: Args }).agent_state;
const lines: string[] = [];
const line = (text: unknown) => lines.push(String(text));
const log = { debug: line, info: line, warn: line, error: line };

function settings(given: Partial<ReportSettings> = {}): ReportSettings {
  return { agent: L3_AGENT, host: 'net-1', configurations: () => ({}), interval: 30, log, ...given };
}

beforeEach(() => {
  vi.useFakeTimers();
  lines.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

const agents = [
  ['L3 agent', L3_AGENT, 'nova'],
  ['DHCP agent', DHCP_AGENT, 'nova'],
  ['Metadata agent', METADATA_AGENT, undefined],
] as const;

test.each(agents)(
  'the report of the %s equals the recorded one but for its ids',
  async (type, agent, zone) => {
    const recorded = recordedExchanges('report_state').find(({ args }) => stateOf(args).agent_type === type)!;
    const { configurations, uuid, start_flag, ...rest } = stateOf(recorded.args);
    const server = new FakeServer();
    server.answer = () => 'alive';
    const reports = new StateReports(
      server,
      settings({ agent, availabilityZone: zone, configurations: () => configurations as Args }),
    );
    if (!start_flag) await reports.report();
    await reports.report();
    const request = server.asked.at(-1)!;
    expect(request).toMatchObject({
      topic: recorded.topic,
      version: recorded.version,
      timeout: 30,
      urgent: true,
    });
    const { uuid: ownUuid, ...own } = stateOf(request.args);
    expect(own).toEqual({ ...rest, configurations, ...(start_flag === undefined ? {} : { start_flag }) });
    expect(String(ownUuid)).toHaveLength(String(uuid).length);
    const { agent_state, time, ...more } = request.args ?? {};
    expect(more).toEqual({});
    expect(Object.keys(agent_state as object)).toEqual(['agent_state']);
    expect(String(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
  },
);

test('a report that waited until a new server took it is made anew at once', async () => {
  const server = new FakeServer();
  const times: unknown[] = [];
  server.answer = ({ args }) => {
    times.push(args?.time);
    if (times.length > 1) return 'alive';
    vi.setSystemTime(Date.now() + 20_000);
    return null;
  };
  expect(await new StateReports(server, settings()).report()).toBe('alive');
  expect(new Set(times).size).toBe(2);
});

test('the start flag stays until a report was taken', async () => {
  const server = new FakeServer();
  const answers = [failing('DBConnectionError'), () => null, () => 'new', () => 'alive'];
  server.answer = (): unknown => answers.shift()?.();
  const reports = new StateReports(server, settings());
  await expect(reports.report()).rejects.toThrow('DBConnectionError');
  expect(await reports.report()).toBeNull();
  expect(reports.state.accepted).toBeNull();
  expect(await reports.report()).toBe('new');
  expect(reports.state.accepted).not.toBeNull();
  await reports.report();
  expect(server.asked.map(({ args }) => stateOf(args).start_flag)).toEqual([true, true, true, undefined]);
});

test('reports go on each interval whatever happens; a trouble is said once, and its end', async () => {
  const server = new FakeServer();
  const heard: unknown[] = [];
  const answers = ['new', 'timeout', 'timeout', 'revived', null, 'alive'];
  server.answer = () => {
    const next = answers.shift();
    if (next === 'timeout') throw new MessagingTimeout('report_state: no answer within 30 s');
    return next;
  };
  const reports = new StateReports(server, settings({ answered: (answer) => heard.push(answer) }));
  reports.start();
  const accepted = reports.accepted();
  await vi.advanceTimersByTimeAsync(10);
  await accepted;
  for (let i = 0; i < 5; i++) await vi.advanceTimersByTimeAsync(30_000);
  await reports.stop();
  expect(heard).toEqual(['new', 'revived', null, 'alive']);
  expect(lines).toEqual([
    'the state report failed: report_state: no answer within 30 s; the next one follows within 30 s',
    'the state report was taken, after a failure before',
    expect.stringContaining('Synchronise the clock'),
    'the state report was taken, after a failure before',
  ]);
});

test('the metadata agent casts once the server knows it', async () => {
  const server = new FakeServer();
  server.answer = () => 'new';
  const reports = new StateReports(server, settings({ agent: METADATA_AGENT, castLater: true }));
  await reports.report();
  await reports.report();
  expect(server.asked.map((request) => 'timeout' in request)).toEqual([true, false]);
});

test('an answer that is none of the known is refused', async () => {
  const server = new FakeServer();
  server.answer = () => 'perhaps';
  await expect(new StateReports(server, settings()).report()).rejects.toThrow(
    "report_state: the server's answer",
  );
});

test('times have microseconds and no zone', () => {
  expect(reportTime(new Date('2026-11-21T04:45:55.042Z'))).toBe('2026-11-21T04:45:55.042000');
});

import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../agents/cli/planned.ts';
import { renderEvents } from '../../../agents/cli/render/events.ts';
import { planDocument, renderPlan } from '../../../agents/cli/render/plan.ts';
import { renderRunning } from '../../../agents/cli/render/running.ts';
import { milliseconds } from '../../../agents/cli/verbs/events.ts';
import * as rows from '../../../lib/namespace/rows.ts';
import type { Role, RunStatus } from '../../../lib/standalone/deployment.ts';

const plain = { color: false };
const ns = 'qrouter-r1';
const subject = { kind: 'router', id: 'r1', name: 'edge', namespace: ns } as const;
const route = (via: string) =>
  rows.route({ ns, family: 4, destination: '0.0.0.0/0', nexthops: [{ via, dev: 'qg-1', weight: 1 }] });

const plan: Plan = {
  deployment: 'net',
  owners: [
    {
      subject,
      steps: [
        { action: 'create', row: rows.netns(ns), reason: 'missing' },
        { action: 'create', row: rows.link({ ns: '', name: 'brq1', type: 'bridge' }), reason: 'missing' },
        {
          action: 'change',
          row: route('203.0.113.1'),
          was: route('203.0.113.9'),
          reason: 'nexthop 203.0.113.1 dev qg-1 is missing',
        },
        {
          action: 'remove',
          row: rows.address({ ns, dev: 'qg-1', ip: '203.0.113.7', prefix: 32, family: 4 }),
          reason: 'not wanted',
        },
      ],
    },
    { subject: { ...subject, id: 'r2', name: 'other' }, steps: [], unreadable: 'not permitted' },
  ],
};

describe('viaduct plan', () => {
  test('lists steps by owner, then how many', async () => {
    await expect(renderPlan(plain, plan).join('\n')).toMatchFileSnapshot('golden/plan.txt');
  });

  test('has counts in JSON', () => {
    expect(planDocument(plan)).toMatchObject({ counts: { create: 2, change: 1, remove: 1 } });
  });
});

describe('who runs a deployment', () => {
  const facts = { name: 'net', topology: '/etc/net.yaml', host: 'h', options: {} };
  const recorded = [
    { owner: 'r1', record: { kind: 'router', payload: { id: 'r1', name: 'edge' } }, groups: [] },
  ] as const;
  const status = (role: Role, change: Partial<RunStatus> = {}): RunStatus => ({
    pid: 7,
    startTime: '1',
    role,
    converged: true,
    problems: {},
    at: '2026-01-02T03:04:05.000Z',
    ...change,
  });

  test('is nobody, and what that means', () => {
    expect(renderRunning({ facts, recorded, running: [] })).toEqual([
      'net (/etc/net.yaml): nobody runs it, so drift is not repaired',
    ]);
  });

  test('is one process with several roles, or several processes', () => {
    expect(renderRunning({ facts, recorded, running: [status('fabric'), status('l3')] })).toEqual([
      'net (/etc/net.yaml): run by process 7 (fabric, l3), converged',
    ]);
    expect(
      renderRunning({ facts, recorded, running: [status('l3'), status('dhcp', { pid: 8 })] })[0],
    ).toContain('process 7 (l3) and process 8 (dhcp)');
  });

  test('comes with its problems; not converged yet is no failure', () => {
    const failing = status('l3', { converged: false, problems: { r1: 'no such device' } });
    expect(renderRunning({ facts, recorded, running: [failing] })).toEqual([
      'net (/etc/net.yaml): run by process 7 (l3), 1 problem',
      '  router edge: no such device',
    ]);
    expect(renderRunning({ facts, recorded, running: [status('l3', { converged: false })] })[0]).toMatch(
      /still working$/,
    );
  });
});

describe('viaduct events', () => {
  test('tells cause, steps, duration and what failed', () => {
    const entry = {
      at: '2026-01-02T03:04:05.000Z',
      cause: 'drift',
      decision: 'reconcile',
      operations: ['create route default via 203.0.113.1\u001b[2J'],
      ms: 1.5,
      outcome: 'failed',
      error: 'no route to host',
    } as const;
    expect(renderEvents(plain, [{ deployment: 'net', subject, entry }])).toEqual([
      '2026-01-02T03:04:05.000Z router edge drift: 1 step in 1.5 ms, failed: no route to host',
      '    create route default via 203.0.113.1?[2J',
    ]);
    expect(renderEvents(plain, [])).toEqual(['no events']);
  });

  test('takes ages in seconds, minutes, hours and days', () => {
    expect(['30s', '10m', '2h', '1d'].map(milliseconds)).toEqual([30_000, 600_000, 7_200_000, 86_400_000]);
    expect(() => milliseconds('soon')).toThrow('write it like 30s, 10m, 2h or 1d');
  });
});

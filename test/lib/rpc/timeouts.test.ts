import { describe, expect, test, vi } from 'vitest';
import { MessagingTimeout } from '../../../lib/rpc/failures.ts';
import { GrowingTimeouts } from '../../../lib/rpc/timeouts.ts';
import { SeenIds } from '../../../lib/rpc/unique.ts';
import { Waiters } from '../../../lib/rpc/waiters.ts';

describe('GrowingTimeouts', () => {
  test('doubles per method up to the maximum and never shrinks', () => {
    const timeouts = new GrowingTimeouts({ initial: 60, maximum: 600 });
    const seen = Array.from({ length: 6 }, () => {
      timeouts.grow('sync_routers');
      return timeouts.of('sync_routers');
    });
    expect(seen).toEqual([120, 240, 480, 600, 600, 600]);
    expect(timeouts.of('get_router_ids')).toBe(60);
  });

  test('asks to wait at most the first timeout, at random', () => {
    const timeouts = new GrowingTimeouts({ initial: 60, maximum: 600, random: () => 0.5 });
    expect([timeouts.grow('m'), timeouts.grow('m'), timeouts.grow('m')]).toEqual([30, 30, 30]);
  });
});

describe('SeenIds', () => {
  test('knows what it saw, and forgets the oldest', () => {
    const seen = new SeenIds(2);
    expect(['a', 'b', 'a', 'c', 'a', 'c'].map((id) => seen.add(id))).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
    ]);
  });

  test('a message without id is always new', () => {
    const seen = new SeenIds();
    expect([seen.add(null), seen.add(null)]).toEqual([true, true]);
  });
});

describe('Waiters', () => {
  const reply = { msgId: 'x', result: null, failure: null, ending: true, uniqueId: null };
  const open = (waiters: Waiters, monitor: number | null = null) =>
    waiters.open({ method: 'm', msgId: 'x', seconds: 10, monitor });

  test('a result that comes before the end is the result', async () => {
    const waiters = new Waiters();
    const { answer } = open(waiters);
    waiters.settle({ ...reply, result: 5, ending: false });
    waiters.settle(reply);
    expect(await answer).toBe(5);
    expect(waiters.size).toBe(0);
  });

  test('a failure ends it', async () => {
    const waiters = new Waiters();
    const { answer } = open(waiters);
    waiters.settle({ ...reply, failure: '{"class": "PortNotFound", "message": "p"}' });
    await expect(answer).rejects.toMatchObject({ className: 'PortNotFound', message: 'm: PortNotFound: p' });
  });

  test('late, second and foreign answers are named', () => {
    const waiters = new Waiters();
    open(waiters).fail(new Error('over'));
    expect(waiters.settle(reply)).toBe('a late answer to m was dropped');
    open(waiters);
    waiters.settle(reply);
    expect(waiters.settle(reply)).toBe('a second answer to m was dropped');
    expect(waiters.settle({ ...reply, msgId: 'y' })).toBe('an answer to nobody (y) was dropped');
  });

  test('an answer that nobody can read ends its call, and no other', async () => {
    const waiters = new Waiters();
    const { answer } = open(waiters);
    waiters.spoil('y', 'failure: expected text');
    waiters.spoil(5, 'failure: expected text');
    expect(waiters.size).toBe(1);
    waiters.spoil('x', 'failure: expected text');
    await expect(answer).rejects.toThrow('m: the answer is not understood: failure: expected text');
  });

  test('signs of life keep a monitored call, their absence ends it', async () => {
    vi.useFakeTimers();
    try {
      const waiters = new Waiters();
      const { answer } = waiters.open({ method: 'm', msgId: 'x', seconds: 100, monitor: 2 });
      for (let i = 0; i < 5; i++) {
        vi.advanceTimersByTime(1500);
        waiters.settle({ ...reply, ending: false });
      }
      expect(waiters.size).toBe(1);
      vi.advanceTimersByTime(2000);
      await expect(answer).rejects.toBeInstanceOf(MessagingTimeout);
      await expect(answer).rejects.toThrow('m: no sign of life from the server within 2 s');
    } finally {
      vi.useRealTimers();
    }
  });

  test('only calls that the broker had taken are lost with its queues', async () => {
    const waiters = new Waiters();
    const sent = open(waiters);
    sent.sent = true;
    const waiting = waiters.open({ method: 'n', msgId: 'y', seconds: 10, monitor: null });
    expect(waiters.failSent((method) => new Error(`lost ${method}`))).toBe(1);
    await expect(sent.answer).rejects.toThrow('lost m');
    expect(waiters.size).toBe(1);
    waiting.fail(new Error('end'));
  });
});

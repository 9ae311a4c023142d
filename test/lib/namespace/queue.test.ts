import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Backoff,
  backoffDelay,
  createQueue,
  PRIORITY,
  type Queue,
} from '../../../lib/namespace/queue.ts';

const { userChange, fullSync } = PRIORITY;

/** A work function whose runs the test ends by hand. */
function handWork() {
  const started: string[] = [];
  const endings = new Map<string, { done: () => void; fail: (error: Error) => void }>();
  const work = (key: string, task: string) => {
    started.push(`${key}:${task}`);
    return new Promise<void>((done, fail) => endings.set(key, { done, fail }));
  };
  const settle = () => vi.advanceTimersByTimeAsync(0);
  const done = (key: string) => {
    endings.get(key)!.done();
    return settle();
  };
  const fail = (key: string) => {
    endings.get(key)!.fail(new Error('no route'));
    return settle();
  };
  return { started, work, done, fail, settle };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('order of work', () => {
  it('takes user changes before full-sync work, and older entries first', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work });
    queue.add('a', fullSync, '1');
    queue.add('b', fullSync, '1');
    queue.add('c', userChange, '1');
    for (const key of ['c', 'a', 'b']) {
      await hand.settle();
      await hand.done(key);
    }
    expect(hand.started).toEqual(['c:1', 'a:1', 'b:1']);
  });

  it('keeps one entry per key, with the better priority and the newer task', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work });
    queue.add('a', fullSync, '1');
    queue.add('b', fullSync, '1');
    queue.add('b', userChange, '2');
    expect(queue.size).toBe(2);
    await hand.settle();
    await hand.done('b');
    await hand.done('a');
    expect(hand.started).toEqual(['b:2', 'a:1']);
  });

  it('lets the owner of the queue decide which task is left', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work, merge: (waiting, added) => `${waiting}+${added}` });
    queue.add('a', fullSync, '1');
    queue.add('a', fullSync, '2');
    await hand.settle();
    expect(hand.started).toEqual(['a:1+2']);
  });

  it('works on as many keys at a time as told, but never twice on one', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work, concurrency: 2 });
    queue.add('a', userChange, '1');
    await hand.settle();
    queue.add('a', userChange, '2');
    queue.add('b', userChange, '1');
    queue.add('c', userChange, '1');
    await hand.settle();
    expect(hand.started).toEqual(['a:1', 'b:1']);
    await hand.done('a');
    expect(hand.started).toEqual(['a:1', 'b:1', 'a:2']);
    await hand.done('b');
    expect(hand.started).toEqual(['a:1', 'b:1', 'a:2', 'c:1']);
  });
});

describe('failures', () => {
  const backoff: Backoff = { first: 1000, longest: 5000, factor: 2, jitter: 0 };
  const failing = () => {
    const hand = handWork();
    const told: string[] = [];
    const queue: Queue<string> = createQueue({
      work: hand.work,
      backoff,
      onFailure: (key, error, failures, delay) => told.push(`${key} ${String(error)} ${failures} ${delay}`),
    });
    return { ...hand, told, queue };
  };

  it('come back after a pause that doubles up to a limit', async () => {
    const { queue, fail, started, told } = failing();
    queue.add('a', userChange, '1');
    await vi.advanceTimersByTimeAsync(0);
    for (const pause of [1000, 2000, 4000, 5000, 5000]) {
      const before = started.length;
      await fail('a');
      await vi.advanceTimersByTimeAsync(pause - 1);
      expect(started.length).toBe(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(started.length).toBe(before + 1);
    }
    expect(told[1]).toBe('a Error: no route 2 2000');
  });

  it('start small again after a success', async () => {
    const { queue, fail, done, told } = failing();
    queue.add('a', userChange, '1');
    await vi.advanceTimersByTimeAsync(0);
    await fail('a');
    await vi.advanceTimersByTimeAsync(1000);
    await done('a');
    queue.add('a', userChange, '2');
    await vi.advanceTimersByTimeAsync(0);
    await fail('a');
    expect(told).toEqual(['a Error: no route 1 1000', 'a Error: no route 1 1000']);
  });

  it('leave other keys alone', async () => {
    const { queue, fail, done, started } = failing();
    queue.add('a', userChange, '1');
    queue.add('b', userChange, '1');
    await vi.advanceTimersByTimeAsync(0);
    await fail('a');
    expect(started).toEqual(['a:1', 'b:1']);
    await done('b');
    expect(queue.size).toBe(1);
  });

  it('are tried at once when the user changes something, but not for a full sync', async () => {
    const { queue, fail, started } = failing();
    queue.add('a', userChange, '1');
    await vi.advanceTimersByTimeAsync(0);
    await fail('a');
    queue.add('a', fullSync, '2');
    await vi.advanceTimersByTimeAsync(0);
    expect(started).toEqual(['a:1']);
    queue.add('a', userChange, '3');
    await vi.advanceTimersByTimeAsync(0);
    expect(started).toEqual(['a:1', 'a:3']);
  });

  it('give way to what came in meanwhile', async () => {
    const { queue, fail, started } = failing();
    queue.add('a', userChange, '1');
    await vi.advanceTimersByTimeAsync(0);
    queue.add('a', userChange, '2');
    await fail('a');
    expect(started).toEqual(['a:1', 'a:2']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('spread by the share that is random', () => {
    const spread = { ...backoff, jitter: 0.25 };
    expect(backoffDelay(1, spread, 0)).toBe(750);
    expect(backoffDelay(1, spread, 1)).toBe(1000);
    expect(backoffDelay(40, spread, 1)).toBe(5000);
  });
});

describe('the end', () => {
  it('idle resolves when nothing waits, pauses or is worked on', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work });
    await queue.idle();
    queue.add('a', userChange, '1');
    let idle = false;
    void queue.idle().then(() => {
      idle = true;
    });
    await hand.settle();
    expect(idle).toBe(false);
    await hand.done('a');
    expect(idle).toBe(true);
  });

  it('forget drops what waits and what pauses', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work });
    queue.add('a', userChange, '1');
    queue.add('b', userChange, '1');
    await hand.settle();
    queue.forget('b');
    await hand.fail('a');
    queue.forget('a');
    expect(queue.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stop waits for work under way and drops the rest', async () => {
    const hand = handWork();
    const queue = createQueue({ work: hand.work });
    queue.add('a', userChange, '1');
    queue.add('b', userChange, '1');
    await hand.settle();
    let stopped = false;
    void queue.stop().then(() => {
      stopped = true;
    });
    await hand.settle();
    expect(stopped).toBe(false);
    await hand.done('a');
    expect(stopped).toBe(true);
    queue.add('c', userChange, '1');
    await hand.settle();
    expect(hand.started).toEqual(['a:1']);
  });
});

describe('others, while there is much to do', () => {
  /** How often the event loop turned until `count` pieces of work of so many milliseconds each were done. */
  async function turnsDuring(count: number, milliseconds: number): Promise<number> {
    vi.useRealTimers();
    let clock = 0;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => clock);
    const queue = createQueue<number>({
      work: async () => {
        clock += milliseconds;
      },
    });
    let turns = 0;
    let over = false;
    const turn = (): void => {
      turns += 1;
      if (!over) setImmediate(turn);
    };
    for (let key = 0; key < count; key++) queue.add(String(key), PRIORITY.fullSync, key);
    setImmediate(turn);
    await queue.idle();
    over = true;
    now.mockRestore();
    return turns;
  }

  it('have their turn after a second of work', async () => {
    expect(await turnsDuring(20, 500)).toBeGreaterThanOrEqual(9);
  });

  it('do not break a short piece of work into parts', async () => {
    expect(await turnsDuring(20, 10)).toBe(0);
  });
});

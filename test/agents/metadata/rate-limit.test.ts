import { describe, expect, it } from 'vitest';
import { RateLimiter, type RateLimits } from '../../../agents/metadata/rate-limit.ts';

const LIMITS: RateLimits = {
  rate_limit_enabled: true,
  ip_versions: [4],
  base_window_duration: 10,
  base_query_rate_limit: 10,
  burst_window_duration: 1,
  burst_query_rate_limit: 3,
};

function setUp(wish: Partial<RateLimits> = {}) {
  const clock = { now: 1_000_000 };
  const limiter = new RateLimiter({ ...LIMITS, ...wish }, () => clock.now);
  /** allowed of `count` requests, `apart` milliseconds from each other */
  const ask = (count: number, apart: number, address = '10.0.0.5', where = 'a') => {
    let allowed = 0;
    for (let i = 0; i < count; i += 1) {
      if (limiter.allows(where, address)) allowed += 1;
      clock.now += apart;
    }
    return allowed;
  };
  return { clock, ask };
}

describe('how often an address may ask', () => {
  it('is limited in the short window', () => {
    expect(setUp().ask(5, 10)).toBe(3);
  });

  it('is limited in the long window', () => {
    expect(setUp({ burst_query_rate_limit: 100 }).ask(15, 100)).toBe(10);
  });

  it('is counted anew once the windows are over', () => {
    const { clock, ask } = setUp();
    expect(ask(5, 10)).toBe(3);
    clock.now += 20_000;
    expect(ask(5, 10)).toBe(3);
  });

  it('fades: half a window later half of what was asked still counts', () => {
    const { clock, ask } = setUp({ burst_query_rate_limit: 100 });
    ask(10, 0);
    clock.now += 15_000;
    expect(ask(10, 0)).toBe(5);
  });

  it('is each address’s own, and each namespace’s', () => {
    const { ask } = setUp();
    ask(5, 10);
    expect(ask(3, 10, '10.0.0.6')).toBe(3);
    expect(ask(3, 10, '10.0.0.5', 'b')).toBe(3);
  });

  it.each([
    ['when it is off', { rate_limit_enabled: false }, '10.0.0.5'],
    ['for the other IP version', {}, 'fe80::1'],
    ['for both versions, which Neutron can not do', { ip_versions: [4, 6] }, '10.0.0.5'],
  ])('is not limited %s', (_title, wish, address) => {
    expect(setUp(wish).ask(50, 0, address)).toBe(50);
  });

  it('forgets who was silent for longest among very many', () => {
    const { ask } = setUp();
    ask(4, 0);
    for (let i = 0; i < 10_000; i += 1) ask(1, 0, `10.1.${i >> 8}.${i & 255}`);
    expect(ask(3, 0)).toBe(3);
  });
});

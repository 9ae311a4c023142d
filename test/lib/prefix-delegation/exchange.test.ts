import { describe, expect, test } from 'vitest';
import {
  answered,
  begin,
  type Delegation,
  isUseless,
  type Lease,
  prefixOf,
  release,
  type Step,
  timePassed,
} from '../../../lib/prefix-delegation/exchange.ts';
import { type Answer, FOREVER } from '../../../lib/prefix-delegation/message.ts';

const SECOND = 1_000;
const PREFIX = '2001:db8:f000:1::/64';

/** A client, its clock, and what it sends. Chance is in the middle: nothing is added or taken. */
class World {
  now = 1_000_000_000_000;
  state: Delegation;
  readonly sent: string[] = [];
  last: Step['send'];

  constructor(lease?: Lease, hint = '::/64') {
    this.state = begin(hint, lease, this.environment);
  }

  get environment() {
    return { now: this.now, random: () => 0.5 };
  }

  private take({ next, send }: Step): void {
    this.state = next;
    if (!send) return;
    this.last = send;
    this.sent.push(`${send.type} ${send.prefix}${send.server ? ` to ${send.server}` : ''}`);
  }

  /** Until the state wants to be called, that many times. */
  passes(times = 1): this {
    for (let i = 0; i < times; i++) {
      this.now = Math.max(this.now, this.state.wakeAt!);
      this.take(timePassed(this.state, this.environment));
    }
    return this;
  }

  /** Everything that happens in these seconds. */
  elapses(seconds: number): this {
    const end = this.now + seconds * SECOND;
    while (this.state.wakeAt !== null && this.state.wakeAt <= end) this.passes();
    this.now = end;
    return this;
  }

  hears(
    type: Answer['type'],
    association: Partial<Answer['association']> = {},
    more: Partial<Answer> = {},
  ): this {
    this.take(
      answered(
        this.state,
        {
          type,
          transaction: this.last!.transaction,
          client: '00',
          server: 'aa',
          preference: 0,
          status: 0,
          association: {
            status: 0,
            t1: 0,
            t2: 0,
            prefixes: [{ prefix: PREFIX, preferred: 1_000, valid: 2_000 }],
            ...association,
          },
          ...more,
        },
        this.environment,
      ),
    );
    return this;
  }

  gives(): this {
    this.take(release(this.state, this.environment));
    return this;
  }

  /** Seconds until it wants to be called. */
  get wait(): number | null {
    return this.state.wakeAt === null ? null : (this.state.wakeAt - this.now) / SECOND;
  }
}

const bound = (): World => new World().passes().hears('advertise').passes().hears('reply');

describe('asking', () => {
  test('a prefix is asked for, requested of who offers it, and held', () => {
    const world = bound();
    expect(world.sent).toEqual(['solicit ::/64', `request ${PREFIX} to aa`]);
    expect(prefixOf(world.state)).toBe(PREFIX);
    // Half and four fifths of the preferred lifetime, as the server leaves it to the client.
    expect(world.wait).toBe(500);
    expect(world.state.lease).toMatchObject({
      rebindAt: world.now + 800 * SECOND,
      validUntil: world.now + 2_000 * SECOND,
    });
  });

  test('the first second is for offers to come in: the most preferred is taken, 255 at once', () => {
    const offer = (server: string, preference: number) => ({ server, preference });
    const patient = new World()
      .passes()
      .hears('advertise', {}, offer('aa', 1))
      .hears('advertise', {}, offer('bb', 7));
    expect(patient.sent).toEqual(['solicit ::/64']);
    expect(patient.passes().sent[1]).toBe(`request ${PREFIX} to bb`);
    const sure = new World().passes().hears('advertise', {}, offer('cc', 255));
    expect(sure.sent[1]).toBe(`request ${PREFIX} to cc`);
    const late = new World().passes(3).hears('advertise', {}, offer('dd', 0));
    expect(late.sent.at(-1)).toBe(`request ${PREFIX} to dd`);
  });

  test('without an answer the pauses double, up to an hour or what a server says', () => {
    const world = new World();
    const waits: (number | null)[] = [];
    for (let i = 0; i < 14; i++) waits.push(world.passes().wait);
    // The first is longer than a second, never shorter (here by nothing: chance is in the middle).
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
    world.hears('advertise', { prefixes: [] }, { solMaxRt: 60 });
    expect(world.passes().wait).toBe(60);
    world.hears('advertise', { prefixes: [] }, { solMaxRt: 5 });
    expect(world.passes().wait).toBe(60);
  });

  test('offers of nothing, of prefixes too long for hosts, and of what is no network are no offers', () => {
    const world = new World().passes();
    world.hears('advertise', { status: 6, prefixes: [] }).hears('advertise', {}, { status: 1 });
    for (const prefix of ['2001:db8::/65', 'fe80::/10', 'ff00::/8', '::/0', '::/64', '2000::/128'])
      world.hears('advertise', { prefixes: [{ prefix, preferred: 1, valid: 1 }] });
    expect(world.passes().sent).toEqual(['solicit ::/64', 'solicit ::/64']);
    const useless = {
      prefixes: [{ prefix: '2001:db8::/80', preferred: 1, valid: 1 }],
      status: 0,
      t1: 0,
      t2: 0,
    };
    const answer = {
      type: 'advertise',
      transaction: 0,
      client: '',
      server: '',
      preference: 0,
      status: 0,
    } as const;
    expect(isUseless({ ...answer, association: useless })).toBe(true);
    expect(isUseless({ ...answer, association: { ...useless, prefixes: [] } })).toBe(false);
  });

  test('of a shorter prefix the first 64 bits are used, and the whole is renewed', () => {
    const prefixes = [{ prefix: '2001:db8:f00::/56', preferred: 10, valid: 20 }];
    const world = new World().passes().hears('advertise', { prefixes }).passes().hears('reply', { prefixes });
    expect(prefixOf(world.state)).toBe('2001:db8:f00::/64');
    expect(world.passes().sent.at(-1)).toBe('renew 2001:db8:f00::/56 to aa');
  });

  test('what the controller has already is asked for first', () => {
    expect(new World(undefined, PREFIX).passes().sent).toEqual([`solicit ${PREFIX}`]);
  });

  test('a request is sent ten times; then it begins again, later each time', () => {
    const world = new World().passes().hears('advertise').passes();
    const waits: (number | null)[] = [];
    for (let i = 0; i < 3; i++) {
      world.elapses(600);
      expect(world.sent.filter((text) => text.startsWith('request')).length).toBe(10 * (i + 1));
      while (!world.sent.at(-1)!.startsWith('solicit')) world.passes();
      waits.push(world.state.failures);
      world.hears('advertise').passes();
    }
    expect(waits).toEqual([1, 2, 3]);
  });

  test('a server that refuses what it offered is not asked in a circle', () => {
    const world = new World().passes();
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      world.hears('advertise', {}, { preference: 255 }).hears('reply', { status: 6, prefixes: [] });
      waits.push(world.wait!);
      world.passes();
    }
    expect(waits).toEqual([1.5, 3, 6, 12, 24, 48]);
  });
});

describe('holding', () => {
  test('it is renewed of its server, then of any, and lost when it has run out', () => {
    const world = bound();
    world.elapses(500);
    expect(world.sent.slice(2)).toEqual([`renew ${PREFIX} to aa`]);
    world.elapses(299);
    expect(new Set(world.sent.slice(2))).toEqual(new Set([`renew ${PREFIX} to aa`]));
    world.elapses(1);
    expect(world.sent.at(-1)).toBe(`rebind ${PREFIX}`);
    world.elapses(1_199);
    expect(prefixOf(world.state)).toBe(PREFIX);
    world.elapses(1);
    expect(prefixOf(world.state)).toBeUndefined();
    // What it had is what it would like again.
    expect(world.passes().sent.at(-1)).toBe(`solicit ${PREFIX}`);
  });

  test('an answer to a renewal counts from when it came', () => {
    const world = bound().elapses(500).hears('reply', { t1: 100, t2: 160 });
    expect(world.wait).toBe(100);
    expect(world.state.exchange).toBeUndefined();
  });

  test('a server that knows nothing of it is asked for it again; what it gives instead is taken', () => {
    const world = bound().elapses(500).hears('reply', { status: 3, prefixes: [] }, { server: 'bb' });
    expect(world.sent.at(-1)).toBe(`request ${PREFIX} to bb`);
    expect(prefixOf(world.state)).toBe(PREFIX);
    world.hears('reply', { prefixes: [{ prefix: '2001:db8:f00d::/64', preferred: 10, valid: 20 }] });
    expect(prefixOf(world.state)).toBe('2001:db8:f00d::/64');
  });

  test('a prefix that is taken away is gone, and of two the one at hand stays', () => {
    const gone = bound()
      .elapses(500)
      .hears('reply', { prefixes: [{ prefix: PREFIX, preferred: 0, valid: 0 }] });
    expect(prefixOf(gone.state)).toBeUndefined();
    const other = { prefix: '2001:db8:f00d::/64', preferred: 10, valid: 20 };
    const kept = bound()
      .elapses(500)
      .hears('reply', { prefixes: [other, { prefix: PREFIX, preferred: 10, valid: 20 }] });
    expect(prefixOf(kept.state)).toBe(PREFIX);
    const moved = bound()
      .elapses(500)
      .hears('reply', { prefixes: [{ prefix: PREFIX, preferred: 0, valid: 0 }, other] });
    expect(prefixOf(moved.state)).toBe(other.prefix);
  });

  test('a failing server, and answers to other questions, change nothing', () => {
    const world = bound().elapses(500);
    const before = world.state;
    world.hears('reply', {}, { status: 1 }).hears('reply', { status: 6, prefixes: [] }).hears('advertise');
    world.hears('reply', {}, { transaction: 0x123456 });
    expect(world.state).toEqual(before);
  });

  test('for ever is for ever', () => {
    const prefixes = [{ prefix: PREFIX, preferred: FOREVER, valid: FOREVER }];
    const world = new World().passes().hears('advertise', { prefixes }).passes().hears('reply', { prefixes });
    expect(world.wait).toBeNull();
    expect(world.state.lease).toMatchObject({ renewAt: null, rebindAt: null, validUntil: null });
  });
});

describe('a new start', () => {
  const lease = (): Lease => bound().state.lease!;
  const later = (seconds: number): World => {
    const held = lease();
    const world = new World();
    world.now = held.validUntil! - 2_000 * SECOND + seconds * SECOND;
    world.state = begin('::/64', held, world.environment);
    return world;
  };

  test('says nothing before its lease is due', () => {
    const world = later(100);
    expect(prefixOf(world.state)).toBe(PREFIX);
    expect(world.wait).toBe(400);
  });

  test('asks its server when that was due, everybody when it is late, and anew when it has run out', () => {
    expect(later(600).passes().sent).toEqual([`renew ${PREFIX} to aa`]);
    expect(later(900).passes().sent).toEqual([`rebind ${PREFIX}`]);
    const gone = later(2_001);
    expect(prefixOf(gone.state)).toBeUndefined();
    expect(gone.passes().sent).toEqual(['solicit ::/64']);
  });
});

describe('giving back', () => {
  test('it is over when the server says so', () => {
    const world = bound().gives();
    expect(world.sent.at(-1)).toBe(`release ${PREFIX} to aa`);
    world.hears('reply', {});
    expect(world.state).toMatchObject({ lease: undefined, exchange: undefined, wakeAt: null });
  });

  test('four times it is said, then it is over all the same', () => {
    const world = bound().gives().elapses(60);
    expect(world.sent.filter((text) => text.startsWith('release')).length).toBe(4);
    expect(world.state).toMatchObject({ lease: undefined, wakeAt: null });
  });

  test('what was not held is not given back', () => {
    const world = new World().passes().gives();
    expect(world.sent).toEqual(['solicit ::/64']);
    expect(world.state.wakeAt).toBeNull();
  });
});

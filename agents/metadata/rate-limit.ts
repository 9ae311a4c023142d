/**
 * How often an address may ask (`[metadata_rate_limiting]`), counted as the haproxy of Neutron's agents does: two
 * windows, in each the rate of requests, those refused included. Pure but for the clock it is given.
 */

/** The options of that section. */
export interface RateLimits {
  readonly rate_limit_enabled: boolean;
  /** exactly one of 4 and 6: only that is limited; anything else: nothing is, as in Neutron */
  readonly ip_versions: readonly number[];
  /** seconds */
  readonly base_window_duration: number;
  /** requests in that window */
  readonly base_query_rate_limit: number;
  readonly burst_window_duration: number;
  readonly burst_query_rate_limit: number;
}

/** haproxy's frequency counter: the last whole window counts for as much as is left of it. */
class Rate {
  readonly #window: number;
  #start = 0;
  #current = 0;
  #before = 0;

  /** @param window milliseconds */
  constructor(window: number) {
    this.#window = window;
  }

  /** Counts one event; events in the window that ends now. */
  add(now: number): number {
    const elapsed = now - this.#start;
    if (elapsed >= this.#window) {
      this.#before = elapsed < 2 * this.#window ? this.#current : 0;
      this.#current = 0;
      this.#start = elapsed < 2 * this.#window ? this.#start + this.#window : now;
    }
    this.#current += 1;
    const left = 1 - (now - this.#start) / this.#window;
    return this.#current + Math.floor(this.#before * left);
  }
}

interface Source {
  readonly base: Rate;
  readonly burst: Rate;
}

/** As many sources as haproxy's table has; who was not heard of for longest goes first. */
const MOST_SOURCES = 10_000;

export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #clock: () => number;
  readonly #sources = new Map<string, Source>();

  constructor(limits: RateLimits, clock: () => number = Date.now) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Counts a request. False: it is one too many. `where` is the namespace it came in by. */
  allows(where: string, address: string): boolean {
    const { rate_limit_enabled, ip_versions, base_query_rate_limit, burst_query_rate_limit } = this.#limits;
    if (!rate_limit_enabled || ip_versions.length !== 1) return true;
    if ((address.includes(':') ? 6 : 4) !== ip_versions[0]) return true;
    const source = this.#source(`${where} ${address}`);
    const now = this.#clock();
    const [base, burst] = [source.base.add(now), source.burst.add(now)];
    return base <= base_query_rate_limit && burst <= burst_query_rate_limit;
  }

  #source(key: string): Source {
    const known = this.#sources.get(key);
    this.#sources.delete(key);
    const { base_window_duration, burst_window_duration } = this.#limits;
    const source = known ?? {
      base: new Rate(base_window_duration * 1000),
      burst: new Rate(burst_window_duration * 1000),
    };
    this.#sources.set(key, source);
    if (this.#sources.size > MOST_SOURCES) this.#sources.delete(this.#sources.keys().next().value!);
    return source;
  }
}

export interface TimeoutSettings {
  /** seconds: rpc_response_timeout */
  readonly initial: number;
  /** seconds: rpc_response_max_timeout */
  readonly maximum: number;
  /** 0 ≤ random() < 1 */
  readonly random?: () => number;
}

/**
 * How long a call waits, per method name for the life of the process (`neutron_lib/rpc.py`, BackingOffClient): a
 * server that is too slow for a method is given twice the time at the next call, up to the maximum.
 */
export class GrowingTimeouts {
  readonly #settings: TimeoutSettings;
  readonly #seconds = new Map<string, number>();

  constructor(settings: TimeoutSettings) {
    this.#settings = settings;
  }

  /** seconds */
  of(method: string): number {
    return this.#seconds.get(method) ?? this.#settings.initial;
  }

  /**
   * After a time-out: doubles the method's timeout. Returns the seconds to wait before the failure is reported, random,
   * so that a thousand agents do not come back to a struggling server at once.
   */
  grow(method: string): number {
    const { initial, maximum, random = Math.random } = this.#settings;
    const current = this.of(method);
    this.#seconds.set(method, Math.min(current * 2, Math.max(maximum, initial)));
    return random() * Math.min(current, initial);
  }
}

/**
 * The last ids seen, to drop a message that the broker or a sender delivered twice. oslo remembers 16
 * (`oslo_messaging/_drivers/amqp.py`, _MsgIdCache); more does no harm and covers a burst after a reconnect.
 */
export class SeenIds {
  readonly #capacity: number;
  readonly #ids = new Set<string>();

  constructor(capacity = 1000) {
    this.#capacity = capacity;
  }

  /** Whether this id is new; it is known afterwards. A message without an id is always new. */
  add(id: string | null): boolean {
    if (id === null) return true;
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#capacity) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}

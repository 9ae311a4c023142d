import type { RpcLog } from './connection.ts';

/**
 * What happens to the broker happens to every connection with it: it is said once. The same again (the other
 * connections, the next attempts of a long outage) goes to the debug log until all connections are there again.
 */
export class ConnectionNews {
  readonly #log: RpcLog;
  readonly #told = new Set<string>();

  constructor(log: RpcLog) {
    this.#log = log;
  }

  /** @param topic what counts as the same; `text` may differ in words */
  warn(topic: string, text: string): void {
    const level = this.#told.has(topic) ? 'debug' : 'warn';
    this.#told.add(topic);
    this.#log[level](text);
  }

  /** All connections are there. */
  complete(broker: string | null): void {
    const again = this.#told.size > 0 ? ' again' : '';
    this.#told.clear();
    this.#log.info(`connected to the message broker ${broker}${again}`);
  }
}

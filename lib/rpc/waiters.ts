import type { Reply } from './envelope.ts';
import { MessagingTimeout, ReplyLost, remoteError } from './failures.ts';

/** A call in flight. */
export interface Waiter {
  /** resolves with the result; rejects with RemoteError, MessagingTimeout or what `fail` was given */
  readonly answer: Promise<unknown>;
  /** aborts with the same reason when the call is over before it could be sent */
  readonly signal: AbortSignal;
  /** the broker has the request */
  sent: boolean;
  /** why no answer may come, for the message of a time-out */
  hint: string | null;
  fail(error: Error): void;
}

export interface Awaited {
  readonly method: string;
  readonly msgId: string;
  /** the whole time of the call */
  readonly seconds: number;
  /** at most this long without a sign of life; null: the server sends none */
  readonly monitor: number | null;
}

interface Entry extends Waiter {
  readonly method: string;
  alive(): void;
  resolve(value: unknown): void;
  result: unknown;
}

/** Late and second answers are named in the log if their call is among the last so many. */
const REMEMBERED = 200;

/** Calls that wait for answers, by `_msg_id`. */
export class Waiters {
  readonly #entries = new Map<string, Entry>();
  /** calls that are over: `_msg_id` → what one more answer is */
  readonly #gone = new Map<string, string>();

  get size(): number {
    return this.#entries.size;
  }

  open({ method, msgId, seconds, monitor }: Awaited): Waiter {
    const controller = new AbortController();
    let resolve: (value: unknown) => void = () => undefined;
    let reject: (error: Error) => void = () => undefined;
    const answer = new Promise<unknown>((onResult, onError) => {
      resolve = onResult;
      reject = onError;
    });
    answer.catch(() => undefined);
    const fail = (error: Error): void => {
      if (!this.#entries.has(msgId)) return;
      this.#close(msgId, timers);
      this.#remember(msgId, `a late answer to ${method}`);
      controller.abort(error);
      reject(error);
    };
    const late = (time: number, what: string) => (): void =>
      fail(
        new MessagingTimeout(`${method}: ${what} within ${time} s${entry.hint ? ` (${entry.hint})` : ''}`),
      );
    const timers = [setTimeout(late(seconds, 'no answer'), seconds * 1000)];
    const watch = (): void => {
      if (monitor === null) return;
      clearTimeout(timers[1]);
      timers[1] = setTimeout(late(monitor, 'no sign of life from the server'), monitor * 1000);
    };
    watch();
    const entry: Entry = {
      ...{
        answer,
        signal: controller.signal,
        sent: false,
        hint: null,
        method,
        result: null,
        fail,
        alive: watch,
      },
      resolve: (value) => {
        this.#close(msgId, timers);
        this.#remember(msgId, `a second answer to ${method}`);
        resolve(value);
      },
    };
    this.#entries.set(msgId, entry);
    return entry;
  }

  /** Takes an answer. Gives what to log if nobody waits for it. */
  settle({ msgId, result, failure, ending }: Reply): string | null {
    const entry = this.#entries.get(msgId);
    if (!entry) {
      const answer = this.#gone.get(msgId) ?? `an answer to nobody (${msgId.slice(0, 40)})`;
      return `${answer} was dropped`;
    }
    if (failure !== null) {
      entry.fail(remoteError(failure, entry.method));
      return null;
    }
    if (result !== null) entry.result = result;
    if (ending) entry.resolve(entry.result);
    else entry.alive();
    return null;
  }

  /** The answer to a call can't be read: its caller need not wait for its time-out. */
  spoil(msgId: unknown, problem: string): void {
    const entry = typeof msgId === 'string' ? this.#entries.get(msgId) : undefined;
    entry?.fail(new ReplyLost(`${entry.method}: the answer is not understood: ${problem}`));
  }

  /** Fails the calls whose request the broker had already taken. Gives their number. */
  failSent(error: (method: string) => Error): number {
    const sent = [...this.#entries.values()].filter((entry) => entry.sent);
    for (const entry of sent) entry.fail(error(entry.method));
    return sent.length;
  }

  failAll(error: (method: string) => Error): void {
    for (const entry of [...this.#entries.values()]) entry.fail(error(entry.method));
  }

  #close(msgId: string, timers: readonly NodeJS.Timeout[]): void {
    for (const timer of timers) clearTimeout(timer);
    this.#entries.delete(msgId);
  }

  #remember(msgId: string, answer: string): void {
    this.#gone.set(msgId, answer);
    if (this.#gone.size <= REMEMBERED) return;
    for (const oldest of this.#gone.keys()) {
      this.#gone.delete(oldest);
      break;
    }
  }
}

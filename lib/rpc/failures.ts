import {
  anyObject,
  anything,
  fields,
  isObject,
  list,
  orIgnored,
  type Reader,
  text,
} from '../model/reader.ts';

/** The server raised: `className` is the Python class, the one thing to tell failures apart by. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly className: string;
  readonly module: string;
  /** the server's words, without the class */
  readonly remoteMessage: string;
  readonly traceback: readonly string[];
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;

  constructor(failure: Failure, method?: string) {
    super(`${method ? `${method}: ` : ''}${failure.class}: ${failure.message}`);
    this.className = failure.class;
    this.module = failure.module;
    this.remoteMessage = failure.message;
    this.traceback = failure.tb;
    this.args = failure.args;
    this.kwargs = failure.kwargs;
  }
}

/** No answer within the time of the call. Whether the server did the work is unknown. */
export class MessagingTimeout extends Error {
  override readonly name = 'MessagingTimeout';
}

/**
 * The broker lost the queue of the answers, or the answer came damaged, or this side is closing: no answer to this
 * call will arrive any more.
 */
export class ReplyLost extends Error {
  override readonly name = 'ReplyLost';
}

/** Nobody serves this method in this version. Also what our own dispatcher answers. */
export class DispatchError extends Error {
  override readonly name = 'DispatchError';
  readonly className: 'UnsupportedVersion' | 'NoSuchMethod';

  constructor(className: 'UnsupportedVersion' | 'NoSuchMethod', message: string) {
    super(message);
    this.className = className;
  }
}

/** What a message says is wrong; one sentence that names the argument and its value. */
export class ArgumentError extends TypeError {
  override readonly name = 'ArgumentError';
}

const textOf: Reader<string> = (value) => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));
const failureOf: Reader<Failure> = fields({
  class: orIgnored(text, 'Exception'),
  module: orIgnored(text, ''),
  message: textOf,
  tb: orIgnored(list(textOf), []),
  args: orIgnored(list(anything), []),
  kwargs: orIgnored(anyObject, {}),
});

/** A failure on the wire (`oslo_messaging/_drivers/common.py`, serialize_remote_exception). */
export interface Failure {
  readonly class: string;
  readonly module: string;
  readonly message: string;
  readonly tb: readonly string[];
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/** The error that the words of a reply's `failure` stand for; words that are no failure become the message. */
export function remoteError(words: string, method?: string): RemoteError {
  let value: unknown;
  try {
    value = JSON.parse(words);
  } catch {
    value = undefined;
  }
  const unknown: Failure = { class: 'Exception', module: '', message: words, tb: [], args: [], kwargs: {} };
  return new RemoteError(isObject(value) ? failureOf(value) : unknown, method);
}

/** What we answer when a handler of ours failed: a shape that every Python peer can raise. */
export function failureText(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const failure: Failure =
    error instanceof DispatchError
      ? {
          class: error.className,
          module: 'oslo_messaging.rpc.dispatcher',
          message,
          tb: [],
          args: [message],
          kwargs: {},
        }
      : { class: 'Exception', module: 'builtins', message, tb: [], args: [message], kwargs: {} };
  return JSON.stringify(failure);
}

/** Whether the server raised one of these classes. */
export const isRemote = (error: unknown, ...classNames: readonly string[]): error is RemoteError =>
  error instanceof RemoteError && classNames.includes(error.className);

/** Nothing came of the attempt, and nothing may be concluded from it: keep what is there, try again later. */
export const isTransient = (error: unknown): boolean =>
  error instanceof MessagingTimeout ||
  error instanceof ReplyLost ||
  isRemote(error, 'DBConnectionError', 'DBDeadlock', 'RemoteError', 'RetryRequest', 'DBError');

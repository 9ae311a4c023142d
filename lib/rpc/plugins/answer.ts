import { anyObject, anything, list, orNull, type Reader, readAs, text } from '../../model/reader.ts';
import { shown } from '../shown.ts';

/** A server's answer that is not what the method promises. Nothing may be concluded from it. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError';
}

/** @throws AnswerError naming the method and what came instead */
export function checked<T>(method: string, reader: Reader<T>, answer: unknown): T {
  return readAs(reader, answer, (place, { message }) => {
    const wrong = place === '' ? message : `${place}: ${message}; it is ${shown(answer)}`;
    return new AnswerError(`${method}: the server's answer is not understood: ${wrong}`);
  });
}

/** Payloads of routers, networks, ports: lib/model validates each, so that one bad one does not spoil the rest. */
export const payloads = list(anything);
export const ids = list(text);
/** One payload, or null: there is none. */
export const payloadOrNull = orNull(anyObject);

import { z } from 'zod';
import { shown } from '../shown.ts';

/** A server's answer that is not what the method promises. Nothing may be concluded from it. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError';
}

/** @throws AnswerError naming the method and what came instead */
export function checked<T extends z.ZodType>(method: string, schema: T, answer: unknown): z.output<T> {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const where = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  throw new AnswerError(
    `${method}: the server's answer is not understood: ${where}${issue.message}; it is ${shown(answer)}`,
  );
}

/** Payloads of routers, networks, ports: lib/model validates each, so that one bad one does not spoil the rest. */
export const payloads = z.array(z.unknown());
export const ids = z.array(z.string());
/** One payload, or null: there is none. */
export const payloadOrNull = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? null);

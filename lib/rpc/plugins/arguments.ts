import { z } from 'zod';
import type { Handler } from '../dispatch.ts';

/** Arguments of a notification. @throws TypeError naming the wrong one, which the log shows */
export function validated<T extends z.ZodType>(schema: T, args: unknown): z.output<T> {
  const result = schema.safeParse(args);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new TypeError(`argument ${issue.path.join('.') || 'payload'}: ${issue.message}`);
}

/** A handler with validated arguments and no result. */
export const taking =
  <T extends z.ZodType>(schema: T, handle: (args: z.output<T>) => void): Handler =>
  (args) => {
    handle(validated(schema, args));
    return null;
  };

/** Of `agent_updated`, which every agent hears. */
export const agentUpdate = z.object({ payload: z.object({ admin_state_up: z.boolean() }) });

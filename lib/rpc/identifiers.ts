import { randomUUID } from 'node:crypto';

/** 32 hex digits: `_unique_id`, `_msg_id`, the end of a queue's name. */
export const hexId = (): string => randomUUID().replaceAll('-', '');

/** 'req-<uuid>' */
export const requestId = (): string => `req-${randomUUID()}`;

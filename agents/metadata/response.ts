/** What an instance may see of the service's answer, and our own error pages: contract/metadata.md §6. */
import { STATUS_CODES } from 'node:http';
import type { ForwardResponse } from './forwarder.ts';

/** Errors of the service that are passed on as they are; whatever is neither these nor 200 becomes 500. */
const PASSED = new Set([400, 403, 404, 409, 500, 502, 503, 504]);

/** The status an instance sees for the service's `status`. */
export const mappedStatus = (status: number): number => (status === 200 || PASSED.has(status) ? status : 500);

const REASONS: Readonly<Record<number, string>> = {
  400: 'The metadata service did not understand the request.',
  403: 'The metadata service refused the request.',
  404: 'There is no such metadata, or no instance is known at this address.',
  409: 'The metadata can not be changed that way.',
  500: 'The metadata request could not be answered because of an internal error.',
  502: 'The metadata service gave an invalid answer.',
  503: 'The metadata service can not be reached.',
  504: 'The metadata service did not answer in time.',
};

/** A short HTML page. `reason` is our own text, never the instance's. */
export function errorPage(status: number, reason = REASONS[status] ?? ''): Buffer {
  const title = `${status} ${STATUS_CODES[status] ?? 'Error'}`;
  return Buffer.from(
    `<html><head><title>${title}</title></head><body><h1>${title}</h1><p>${reason}</p></body></html>\n`,
  );
}

/** Connection-level headers (RFC 9110 §7.6.1), which end at each hop. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Headers for the instance: the service's, less those of the connection to it. */
export function endToEndHeaders({ headers }: ForwardResponse): (readonly [string, string])[] {
  const dropped = new Set(HOP_BY_HOP);
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const token of value.split(',')) dropped.add(token.trim().toLowerCase());
  }
  return headers.filter(([name]) => !dropped.has(name.toLowerCase()));
}

import { unzipSync } from 'node:zlib';
import { EnvelopeError } from './envelope.ts';

const GZIP = 'application/x-gzip';
/** A small body that unpacks to gigabytes must not end the agent. */
const MAXIMUM = 256 * 1024 * 1024;

/**
 * The body as it was before `kombu_compression`. What kombu calls gzip is zlib's format; both are read.
 * Throws EnvelopeError.
 */
export function decompressed(body: Buffer, headers: Readonly<Record<string, unknown>> | undefined): Buffer {
  const compression = headers?.compression;
  if (compression === undefined || compression === null || compression === '') return body;
  if (compression !== GZIP) {
    throw new EnvelopeError(
      `compression ${JSON.stringify(compression)} is not understood: set kombu_compression to gzip or none on the server`,
    );
  }
  try {
    return unzipSync(body, { maxOutputLength: MAXIMUM });
  } catch (error) {
    throw new EnvelopeError(
      `the compressed body is damaged (${error instanceof Error ? error.message : error})`,
    );
  }
}

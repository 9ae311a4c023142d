import type { Readable } from 'node:stream';

/** The four headers that go to the metadata service, and no others of the client (contract §5). */
export interface ForwardHeaders {
  readonly 'X-Forwarded-For': string;
  readonly 'X-Instance-ID': string;
  readonly 'X-Tenant-ID': string;
  readonly 'X-Instance-ID-Signature': string;
}

export interface ForwardRequest {
  readonly method: string;
  /** path and query exactly as the instance sent them; begins with '/' */
  readonly target: string;
  readonly headers: ForwardHeaders;
  /** whole; of length 0 if there is none */
  readonly body: Buffer;
}

export interface ForwardResponse {
  readonly status: number;
  /** in order, duplicates kept */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** bytes as the service sent them (nothing decompressed); must be read to its end or destroyed */
  readonly body: Readable;
}

/** The way to the metadata service: Nova over HTTP, or the built-in service in this process. */
export interface Forwarder {
  /** @throws UnreachableError when no answer began; the signal's reason once that is aborted */
  forward(request: ForwardRequest, signal: AbortSignal): Promise<ForwardResponse>;
  close(): void;
}

export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

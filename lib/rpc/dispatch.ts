import type { RequestContext } from './context.ts';
import type { Request } from './envelope.ts';
import { DispatchError } from './failures.ts';

/** Does the work of a method; its result goes back if the sender asked for one. */
export type Handler = (args: Readonly<Record<string, unknown>>, context: RequestContext) => unknown;

export interface Endpoint {
  /** 'X.Y': understands every X.y up to Y */
  readonly version: string;
  /** Neutron's are all null */
  readonly namespace?: string | null;
  readonly methods: Readonly<Record<string, Handler>>;
}

/**
 * The first endpoint with the namespace, a compatible version and the method
 * (`oslo_messaging/rpc/dispatcher.py`). Throws DispatchError.
 */
export function handlerFor(
  endpoints: readonly Endpoint[],
  { method, version, namespace }: Pick<Request, 'method' | 'version' | 'namespace'>,
): Handler {
  if (method.startsWith('_')) throw noSuchMethod(method);
  const compatible = endpoints.filter(
    (endpoint) => (endpoint.namespace ?? null) === namespace && understands(endpoint.version, version),
  );
  if (compatible.length === 0) {
    throw new DispatchError(
      'UnsupportedVersion',
      `Endpoint does not support RPC version ${version}. Attempted method: ${method}`,
    );
  }
  for (const { methods } of compatible) {
    // Only what was offered: not what every object has, such as `constructor`.
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (handler) return handler;
  }
  throw noSuchMethod(method);
}

const noSuchMethod = (method: string): DispatchError =>
  new DispatchError('NoSuchMethod', `Endpoint does not support RPC method ${method}`);

function understands(own: string, asked: string): boolean {
  const [ownMajor, ownMinor = 0] = own.split('.').map(Number);
  const [major, minor = 0] = asked.split('.').map(Number);
  return ownMajor === major && minor <= ownMinor;
}

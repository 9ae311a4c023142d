/** From a connection's namespace and peer address to the instance: contract/metadata.md §4. */
import type { MetadataIdentity, MetadataPlugin } from '../../lib/model/source.ts';
import type { Peer } from './peer.ts';

export interface InstanceIdentity {
  readonly instanceId: string;
  readonly projectId: string;
}

/** The only port with that address; `ports` tells none from several when there is no such instance. */
export type LookupResult =
  | { readonly found: true; readonly instance: InstanceIdentity }
  | { readonly found: false; readonly ports: number };

export type Lookup = (identity: MetadataIdentity, peer: Peer, signal: AbortSignal) => Promise<LookupResult>;

/**
 * Asks the plugin anew for each request: a remembered answer would give a new instance with a reused
 * address the identity of the old one. A port of no device is as good as none.
 * @throws whatever the plugin throws; the signal's reason when that comes first
 */
export const createLookup =
  (plugin: MetadataPlugin): Lookup =>
  async (identity, peer, signal) => {
    const ports = await beforeAbort(plugin.portOf(identity, peer.address), signal);
    const [port] = ports;
    if (ports.length !== 1 || !port) return { found: false, ports: ports.length };
    if (!port.device_id) return { found: false, ports: 0 };
    return { found: true, instance: { instanceId: port.device_id, projectId: port.project_id } };
  };

function beforeAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * The built-in metadata service: what cloud-init reads of Nova, for a host without Nova. It believes a
 * request exactly as Nova does (nova/api/metadata/handler.py): by the agent's signature.
 */
import { Readable } from 'node:stream';
import type { Forwarder, ForwardHeaders } from '../forwarder.ts';
import { signatureMatches } from '../signature.ts';
import { type Directory, EC2_VERSIONS, ec2Tree, type Node } from './ec2.ts';
import type { Instance, Instances } from './instance.ts';
import { OPENSTACK_VERSIONS, openstackTree } from './openstack.ts';

export interface ServiceRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Partial<ForwardHeaders>;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export type MetadataService = (request: ServiceRequest) => Promise<ServiceAnswer>;

const text = (status: number, body: string): ServiceAnswer => ({
  status,
  contentType: 'text/plain; charset=UTF-8',
  body: Buffer.from(body),
});

/** @param secret metadata_proxy_shared_secret, the same as the agent's */
export function createMetadataService(settings: { secret: string; instances: Instances }): MetadataService {
  return async ({ method, target, headers }) => {
    const instanceId = headers['X-Instance-ID'];
    const tenantId = headers['X-Tenant-ID'];
    if (!instanceId) return text(400, 'X-Instance-ID header is missing from request.');
    if (!tenantId) return text(400, 'X-Tenant-ID header is missing from request.');
    if (!signatureMatches(settings.secret, instanceId, headers['X-Instance-ID-Signature'] ?? '')) {
      return text(403, 'Invalid proxy request signature.');
    }
    const instance = await settings.instances(instanceId);
    if (!instance || instance.project_id !== tenantId) return text(404, 'No such instance.');
    if (method !== 'GET' && method !== 'HEAD') return text(404, 'Nothing can be written here.');
    return answerFor(instance, target);
  };
}

function answerFor(instance: Instance, target: string): ServiceAnswer {
  const node = find(tree(instance), target);
  if (node === undefined) return text(404, 'No such metadata.');
  if (node instanceof Uint8Array) return { status: 200, contentType: 'application/octet-stream', body: node };
  if (typeof node === 'string') {
    const answer = text(200, node);
    return /\.json\/*(\?|$)/.test(target) ? { ...answer, contentType: 'application/json' } : answer;
  }
  return text(200, listing(node));
}

/** Everything there is; `/` shows the EC2 versions only, as Nova does. */
function tree(instance: Instance): Directory {
  const ec2 = ec2Tree(instance);
  const openstack = openstackTree(instance);
  const versions = (names: readonly string[], below: Directory): Record<string, Node> =>
    Object.fromEntries(names.map((name) => [name, below]));
  return {
    listing: EC2_VERSIONS.join('\n'),
    entries: {
      ...versions(EC2_VERSIONS, ec2),
      openstack: {
        listing: OPENSTACK_VERSIONS.join('\n'),
        entries: versions(OPENSTACK_VERSIONS, openstack),
      },
    },
  };
}

/** Slashes too many, and one at the end, mean nothing; the query neither. */
function find(root: Directory, target: string): Node | undefined {
  let node: Node = root;
  for (const name of target.split('?', 1)[0]!.split('/').filter(Boolean)) {
    if (typeof node === 'string' || node instanceof Uint8Array) return undefined;
    if (!Object.hasOwn(node.entries, name)) return undefined;
    node = node.entries[name]!;
  }
  return node;
}

const listing = (directory: Directory): string =>
  directory.listing ??
  Object.entries(directory.entries)
    .map(([name, node]) => (typeof node === 'string' || node instanceof Uint8Array ? name : `${name}/`))
    .sort()
    .join('\n');

/** The service without a socket in between: for an agent in the same process. */
export const createLocalForwarder = (service: MetadataService): Forwarder => ({
  async forward({ method, target, headers }) {
    const { status, contentType, body } = await service({ method, target, headers });
    return {
      status,
      headers: [
        ['Content-Type', contentType],
        ['Content-Length', String(body.length)],
      ],
      body: Readable.from(method === 'HEAD' || body.length === 0 ? [] : [body]),
    };
  },
  close() {},
});

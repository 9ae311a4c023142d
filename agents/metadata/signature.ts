import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * X-Instance-ID-Signature: lower-case hex HMAC-SHA256 of the instance id under
 * `metadata_proxy_shared_secret`. An empty secret signs too (neutron/common/utils.py, sign_instance_id).
 */
export const signInstanceId = (secret: string, instanceId: string): string =>
  createHmac('sha256', secret).update(instanceId).digest('hex');

/** Compared in constant time; false for a signature of another length. */
export function signatureMatches(secret: string, instanceId: string, signature: string): boolean {
  const expected = Buffer.from(signInstanceId(secret, instanceId));
  const given = Buffer.from(signature);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

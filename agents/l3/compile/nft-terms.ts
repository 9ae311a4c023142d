import { parseIp } from '../../../lib/model/ip.ts';

/**
 * The border where names and addresses become ruleset text. They were validated when the payload came in; here
 * they are checked once more, because a quote that slipped through would be a rule of somebody else's making.
 */

/** A device name, quoted; a trailing `*` matches every name that begins so. Throws RangeError. */
export function deviceTerm(name: string): string {
  if (!/^[A-Za-z0-9_.-]{1,15}\*?$/.test(name))
    throw new RangeError(`device name ${JSON.stringify(name)} can't stand in a ruleset`);
  return `"${name}"`;
}

/** An address in canonical form. Throws TypeError. */
export const addressTerm = (ip: string): string => parseIp(ip).text;

/** A number as hexadecimal. Throws RangeError unless it fits 32 bits. */
export function markTerm(value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw new RangeError(`mark ${value} must be an integer of 32 bits`);
  return `0x${value.toString(16)}`;
}

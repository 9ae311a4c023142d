/** Addresses from text without the C library, whose call costs more than all the rest of a rule. */

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;
const GROUPS = 8;

function ipv4Bytes(text: string): Buffer {
  const [a, b, c, d] = text.split('.');
  const bytes = Buffer.allocUnsafe(4);
  bytes[0] = Number(a);
  bytes[1] = Number(b);
  bytes[2] = Number(c);
  bytes[3] = Number(d);
  return bytes;
}

const groupsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));

function ipv6Bytes(text: string): Buffer | undefined {
  const [before = '', after, more] = text.split('::');
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  const given = head.length + tail.length;
  if (more !== undefined || (after === undefined ? given !== GROUPS : given >= GROUPS)) return undefined;
  if (!head.every((group) => GROUP.test(group)) || !tail.every((group) => GROUP.test(group)))
    return undefined;
  const bytes = Buffer.alloc(GROUPS * 2);
  for (const [i, group] of head.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
  const from = (GROUPS - tail.length) * 2;
  for (const [i, group] of tail.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), from + i * 2);
  return bytes;
}

/**
 * 4 or 16 bytes; undefined if it is no address, or one that is spelled with more freedom than we spell any (IPv4
 * inside IPv6, zones, leading zeros).
 */
export const addressBytes = (text: string): Buffer | undefined =>
  IPV4.test(text) ? ipv4Bytes(text) : text.includes(':') ? ipv6Bytes(text) : undefined;

/**
 * Addresses from text as the words of 4 bytes that netlink is made of (network order in the memory of a little
 * endian host), without the C library, whose call costs more than all the rest of a rule.
 */

const GROUP = /^[0-9a-fA-F]{1,4}$/;
const GROUPS = 8;
const DOT = 0x2e;
const ZERO = 0x30;

function ipv4Words(text: string): number[] | undefined {
  let word = 0;
  let shift = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || shift === 24) return undefined;
      word |= value << shift;
      shift += 8;
      digits = 0;
      value = 0;
    } else {
      // No leading zero: some read such a number as octal.
      if (code < ZERO || code > ZERO + 9 || (digits > 0 && value === 0)) return undefined;
      value = value * 10 + code - ZERO;
      digits += 1;
      if (value > 255) return undefined;
    }
  }
  return shift === 24 && digits > 0 ? [word | (value << 24)] : undefined;
}

const groupsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));

function ipv6Words(text: string): number[] | undefined {
  const [before = '', after, more] = text.split('::');
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  const given = head.length + tail.length;
  if (more !== undefined || (after === undefined ? given !== GROUPS : given >= GROUPS)) return undefined;
  const words = [0, 0, 0, 0];
  for (let i = 0; i < given; i++) {
    const group = i < head.length ? head[i]! : tail[i - head.length]!;
    if (!GROUP.test(group)) return undefined;
    const value = Number.parseInt(group, 16);
    const at = i < head.length ? i : GROUPS - given + i;
    words[at >> 1]! |= (((value & 0xff) << 8) | (value >> 8)) << (at & 1 ? 16 : 0);
  }
  return words;
}

/**
 * 1 or 4 words; undefined if it is no address, or one that is spelled with more freedom than we spell any (IPv4
 * inside IPv6, zones, leading zeros).
 */
export const addressWords = (text: string): readonly number[] | undefined =>
  text.includes(':') ? ipv6Words(text) : ipv4Words(text);

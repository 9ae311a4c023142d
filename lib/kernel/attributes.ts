/** Netlink attributes where they lie: no copy, no view, for tables that are read whole. Source: netlink(7), struct nlattr. */

export const NLA_TYPE_MASK = 0x3fff;

export const align = (length: number): number => (length + 3) & ~3;

export const u16 = (data: Buffer, at: number): number => data[at]! | (data[at + 1]! << 8);

export const u32 = (data: Buffer, at: number): number =>
  (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)) >>> 0;

/** Where the attribute of a type begins (with its header); -1: there is none. */
export function attributeAt(data: Buffer, from: number, to: number, type: number): number {
  for (let at = from; at + 4 <= to; ) {
    const length = u16(data, at);
    if (length < 4) return -1;
    if ((u16(data, at + 2) & NLA_TYPE_MASK) === type) return at;
    at += align(length);
  }
  return -1;
}

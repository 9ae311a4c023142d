import { describe, expect, it } from 'vitest';
import { addressTerm, deviceTerm, markTerm } from '../../../../agents/l3/compile/nft-terms.ts';

describe('terms of a ruleset', () => {
  it('quote device names and patterns', () => {
    expect(deviceTerm('qg-1a0eeb7f-10')).toBe('"qg-1a0eeb7f-10"');
    expect(deviceTerm('qr-*')).toBe('"qr-*"');
  });

  it.each(['', 'a"b', 'a b', 'a;b', 'a\nb', 'qr-*x', 'a/b', 'sixteencharacter'])(
    'refuse the device name %o',
    (name) => {
      expect(() => deviceTerm(name)).toThrow(RangeError);
    },
  );

  it('refuse what is no address or mark', () => {
    expect(addressTerm('2001:DB8::0')).toBe('2001:db8::');
    expect(() => addressTerm('1.2.3.4; drop')).toThrow(TypeError);
    expect(markTerm(0xffff0000)).toBe('0xffff0000');
    expect(() => markTerm(-1)).toThrow(RangeError);
  });
});

import { isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  cidrContains,
  cidrLast,
  cidrSize,
  cidrsOverlap,
  eui64,
  ipFamily,
  ipFromValue,
  isCidr,
  isIp,
  isMac,
  linkLocal,
  netmask,
  parseCidr,
  parseIp,
} from '../../../lib/model/ip.ts';

describe('addresses', () => {
  it('IPv4 text is parsed to its 32-bit value', () => {
    expect(parseIp('10.0.0.1')).toEqual({ family: 4, value: 0x0a000001n, text: '10.0.0.1' });
    expect(parseIp('255.255.255.255').value).toBe(0xffffffffn);
    expect(ipFromValue(4, 0xc0a80001n)).toBe('192.168.0.1');
    expect(ipFromValue(4, 0xfffffffen)).toBe('255.255.255.254');
  });

  it.each([
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['fe80::a9fe:a9fe', 'fe80::a9fe:a9fe'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
  ])('IPv6 %s has the canonical text %s', (given, canonical) => {
    expect(parseIp(given).text).toBe(canonical);
    expect(parseIp(canonical).value).toBe(parseIp(given).value);
  });

  it.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '10.0.0.00',
    '10.0.0.1.',
    '.10.0.0.1',
    '1..2.3',
    '10.0.0.1/24',
    ' 10.0.0.1',
    '10.0.0.1\n',
    '10.0.0.300',
    'fe80::1%eth0',
    '[::1]',
    '::1/64',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'host',
    '0x0a000001',
    '167772161',
  ])('%j is refused', (text) => {
    expect(isIp(text)).toBe(false);
    expect(() => parseIp(text)).toThrow(TypeError);
  });

  it('agrees with inet_pton about texts of random mutations', () => {
    let seed = 1;
    const random = (n: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % n;
    };
    const bases = ['10.0.0.1', '255.255.255.255', '2001:db8::1', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8', '::'];
    for (let i = 0; i < 20_000; i += 1) {
      const text = [...bases[random(bases.length)]!];
      for (let edits = random(4); edits >= 0; edits -= 1) {
        text.splice(random(text.length + 1), random(2), '0123456789abcdef:::...'[random(22)]!);
      }
      const mutated = text.join('');
      expect(isIp(mutated), mutated).toBe(isIP(mutated) !== 0);
    }
  });

  it('what is no text is no address', () => {
    for (const value of [undefined, null, 7, {}, ['10.0.0.1']]) expect(isIp(value)).toBe(false);
    expect(() => ipFromValue(4, 1n << 32n)).toThrow('outside the IPv4');
    expect(ipFamily('::1')).toBe(6);
  });

  it('the same text gives the same object, and memory of texts is bounded', () => {
    const first = parseIp('10.9.9.9');
    expect(parseIp('10.9.9.9')).toBe(first);
    for (let i = 0; i < 50_000; i += 1) parseIp(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(parseIp('10.9.9.9')).toEqual(first);
    expect(parseIp('10.9.9.9')).not.toBe(first);
  });
});

describe('CIDRs', () => {
  it('host bits are cleared', () => {
    expect(parseCidr('10.0.3.7/22')).toEqual({
      family: 4,
      network: 0x0a000000n,
      prefix: 22,
      text: '10.0.0.0/22',
    });
    expect(parseCidr('2001:db8::5/64').text).toBe('2001:db8::/64');
    expect(parseCidr('1.2.3.4/0').text).toBe('0.0.0.0/0');
  });

  it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '::/129', '/24', '1/2/3'])(
    '%j is refused',
    (text) => {
      expect(isCidr(text)).toBe(false);
      expect(() => parseCidr(text)).toThrow('is not a CIDR');
    },
  );

  it('containment looks at family and prefix', () => {
    expect(cidrContains('10.0.0.0/24', '10.0.0.255')).toBe(true);
    expect(cidrContains('10.0.0.0/24', '10.0.1.0')).toBe(false);
    expect(cidrContains('0.0.0.0/0', '255.1.2.3')).toBe(true);
    expect(cidrContains('0.0.0.0/0', '::1')).toBe(false);
    expect(cidrContains(parseCidr('2001:db8::/64'), '2001:db8::ffff')).toBe(true);
    expect(cidrContains('10.0.0.7/32', '10.0.0.7')).toBe(true);
  });

  it('overlap is containment of either in the other', () => {
    expect(cidrsOverlap('10.0.0.0/8', '10.9.0.0/16')).toBe(true);
    expect(cidrsOverlap('10.9.0.0/16', '10.0.0.0/8')).toBe(true);
    expect(cidrsOverlap('10.0.0.0/24', '10.0.1.0/24')).toBe(false);
    expect(cidrsOverlap('0.0.0.0/0', '::/0')).toBe(false);
  });

  it('sizes, last addresses and netmasks', () => {
    expect(cidrSize('10.0.0.0/24')).toBe(256n);
    expect(cidrSize('::/64')).toBe(1n << 64n);
    expect(cidrLast('10.0.0.0/24')).toBe('10.0.0.255');
    expect(cidrLast('2001:db8::/64')).toBe('2001:db8::ffff:ffff:ffff:ffff');
    expect([0, 8, 24, 25, 32].map(netmask)).toEqual([
      '0.0.0.0',
      '255.0.0.0',
      '255.255.255.0',
      '255.255.255.128',
      '255.255.255.255',
    ]);
    expect(() => netmask(33)).toThrow(TypeError);
  });
});

describe('addresses from a MAC', () => {
  it('EUI-64 flips the universal bit and puts ff:fe in the middle', () => {
    expect(eui64('2001:db8:1::/64', 'fa:16:3e:12:34:56')).toBe('2001:db8:1:0:f816:3eff:fe12:3456');
    expect(linkLocal('FA:16:3E:00:00:01')).toBe('fe80::f816:3eff:fe00:1');
  });

  it('nonsense is refused', () => {
    expect(() => eui64('10.0.0.0/24', 'fa:16:3e:12:34:56')).toThrow('IPv6 prefix');
    expect(() => eui64('2001:db8::/80', 'fa:16:3e:12:34:56')).toThrow('IPv6 prefix');
    expect(() => linkLocal('fa-16-3e-12-34-56')).toThrow('MAC');
    expect(isMac('fa:16:3e:12:34:5')).toBe(false);
  });
});

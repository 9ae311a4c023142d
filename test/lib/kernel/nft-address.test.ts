import { expect, test } from 'vitest';
import { ipBytes } from '../../../lib/kernel/ip-bytes.ts';
import { addressWords } from '../../../lib/kernel/nft-address.ts';

test.each([
  '0.0.0.0',
  '10.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '1::',
  'fe80::a9fe:a9fe',
  '2001:db8:0:1:2:3:4:5',
  '2001:DB8::1',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
])('%s has the bytes the C library gives it', (text) => {
  const bytes = ipBytes(text);
  expect(addressWords(text)).toEqual(
    Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(i * 4)),
  );
});

test.each([
  '',
  '10.0.0',
  '10.0.0.1.',
  '10.0.0.256',
  '10.0.0.01',
  '10.0.0.1.1',
  '10.0.0.0/8',
  ':',
  ':1',
  '1:',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4::5:6:7:8',
  '12345::',
  'g::',
  'fe80::1%eth0',
  '::ffff:10.0.0.1',
  '::/0',
])('%j is no address', (text) => {
  expect(addressWords(text)).toBeUndefined();
});

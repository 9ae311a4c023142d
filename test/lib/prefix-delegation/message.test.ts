import { expect, test } from 'vitest';
import { decodeAnswer, encodeRequest, FOREVER, subnetDuid } from '../../../lib/prefix-delegation/message.ts';

const SUBNET = '0b1c2d3e-4f50-4617-8899-aabbccddeeff';
const CLIENT = subnetDuid(8888, SUBNET);
const SERVER = '000200002 2b80a0b'.replace(' ', '');

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex');

test('a client is its subnet: DUID-EN of the enterprise number and the id', () => {
  expect(CLIENT).toBe('0002' + '000022b8' + '0b1c2d3e4f5046178899aabbccddeeff');
});

test('a Solicit says who asks, for how long, and for one prefix of 64 bits', () => {
  const message = encodeRequest({
    type: 'solicit',
    transaction: 0xabcdef,
    client: CLIENT,
    elapsed: 1_230,
    prefix: '::/64',
  });
  expect(message).toEqual(
    hex(`01 abcdef
      0001 0016 ${CLIENT}
      0006 0002 0052
      0008 0002 007b
      0019 0029 00000001 00000000 00000000
        001a 0019 00000000 00000000 40 00000000000000000000000000000000`),
  );
});

test('a Release names the server and the prefix, and the time it took is cut to what fits', () => {
  const message = encodeRequest({
    type: 'release',
    transaction: 1,
    client: CLIENT,
    server: SERVER,
    elapsed: 10 ** 9,
    prefix: '2001:db8:f000::/56',
  });
  expect(message).toEqual(
    hex(`08 000001
      0001 0016 ${CLIENT}
      0002 0008 ${SERVER}
      0008 0002 ffff
      0019 0029 00000001 00000000 00000000
        001a 0019 00000000 00000000 38 20010db8f00000000000000000000000`),
  );
});

/** A Reply with one prefix; `inner` are the options of the association after it. */
const reply = (inner = '', outer = ''): Buffer => {
  const association = `00000001 0000000f 0000001e
    001a 0019 00000028 0000003c 40 20010db8f00000010000000000000000 ${inner}`;
  const length = (association.replace(/\s+/g, '').length / 2).toString(16).padStart(4, '0');
  return hex(`07 000001 0001 0016 ${CLIENT} 0002 0008 ${SERVER} ${outer} 0019 ${length} ${association}`);
};

test('a reply is read: lifetimes, times, preference, the longest wait', () => {
  expect(decodeAnswer(reply('', '0007 0001 ff 0052 0004 00000e10'))).toEqual({
    type: 'reply',
    transaction: 1,
    client: CLIENT,
    server: SERVER,
    preference: 255,
    status: 0,
    solMaxRt: 3600,
    association: {
      status: 0,
      t1: 15,
      t2: 30,
      prefixes: [{ prefix: '2001:db8:f000:1::/64', preferred: 40, valid: 60 }],
    },
  });
});

test('a status of the association counts, with its text; so does one of the message', () => {
  const text = Buffer.from('none left').toString('hex');
  expect(decodeAnswer(reply(`000d 000b 0006 ${text}`))?.association?.status).toBe(6);
  expect(decodeAnswer(reply('', '000d 0002 0001'))?.status).toBe(1);
});

test('a prefix that would be preferred for longer than it is valid is passed over', () => {
  const wrong = '001a 0019 0000003d 0000003c 40 20010db8f00000020000000000000000';
  const forever = `001a 0019 ${'f'.repeat(16)} 40 20010db8f00000030000000000000000`;
  expect(decodeAnswer(reply(wrong + forever))?.association?.prefixes).toEqual([
    { prefix: '2001:db8:f000:1::/64', preferred: 40, valid: 60 },
    { prefix: '2001:db8:f000:3::/64', preferred: FOREVER, valid: FOREVER },
  ]);
});

test('another association is not ours', () => {
  const other = Buffer.from(reply().toString('hex').replace('00290000000100', '00290000000200'), 'hex');
  expect(decodeAnswer(other)).toMatchObject({ type: 'reply' });
  expect(decodeAnswer(other)?.association).toBeUndefined();
});

test('what is no answer, cut off or lies about its lengths is nothing, wherever it is cut', () => {
  const whole = reply('', '0007 0001 ff');
  expect(decodeAnswer(whole)).toBeDefined();
  for (let length = 0; length < whole.length; length++) {
    const seen = decodeAnswer(whole.subarray(0, length));
    // Between two options the rest may be missing; nothing is made of half a prefix.
    expect(seen?.association).toBeUndefined();
  }
  const solicit = Buffer.from(whole);
  solicit[0] = 1;
  expect(decodeAnswer(solicit)).toBeUndefined();
  expect(decodeAnswer(hex(`07 000001 0002 0008 ${SERVER}`))).toBeUndefined();
  const long = Buffer.from(whole.toString('hex').replace('4020010db8', '8120010db8'), 'hex');
  expect(decodeAnswer(long)).toBeUndefined();
});

import { describe, expect, test } from 'vitest';
import {
  boolean,
  float,
  host,
  integer,
  list,
  type OptionType,
  oneOf,
  port,
  string,
} from '../../../lib/config/option.ts';
import { parseValue } from '../../../lib/config/value.ts';

const multi: OptionType = { kind: 'multi' };

// Expectations of good values were compared with oslo.config 9.0.0.
describe('good values', () => {
  test.each<[string, OptionType, string, unknown]>([
    ['text as it is', string(), ' a b ', ' a b '],
    ['empty text', string(), '', ''],
    ['a choice', oneOf('legacy', 'dvr'), 'dvr', 'dvr'],
    ['a choice without regard to case', string({ choices: ['Days'], ignoreCase: true }), 'days', 'days'],
    ['true', boolean, 'TRUE', true],
    ['1', boolean, '1', true],
    ['on', boolean, 'On', true],
    ['yes', boolean, 'yes', true],
    ['off', boolean, 'off', false],
    ['no', boolean, 'No', false],
    ['0', boolean, '0', false],
    ['an integer', integer(), ' 5 ', 5],
    ['a sign', integer(), '+5', 5],
    ['a negative integer', integer(-1), '-1', -1],
    ['leading zeros', integer(), '010', 10],
    ['underscores', integer(), '1_000', 1000],
    ['an empty integer: not set', integer(1), '', null],
    ['a float', float(), '1e3', 1000],
    ['a float without digits after the point', float(), '2.', 2],
    ['a float without digits before the point', float(), '.5', 0.5],
    ['a port', port, '65535', 65535],
    ['a list', list(), 'a, b ,c', ['a', 'b', 'c']],
    ['an empty list', list(), ' ', []],
    ['commas at the end of a list', list(), 'a,,', ['a']],
    ['an empty item', list(), 'a,,b', ['a', '', 'b']],
    ['a list over several lines', list(), 'a,\nb', ['a', 'b']],
    ['a list of integers', list(integer(4, 6)), '4,6', [4, 6]],
    ['one of several', multi, 'a,b', ['a,b']],
    ['an IPv4 address', host, '192.0.2.1', '192.0.2.1'],
    ['an IPv6 address', host, '2001:db8::1', '2001:db8::1'],
    ['a host name', host, 'net-1.example.org', 'net-1.example.org'],
    ['a point at the end of a host name goes', host, 'net-1.example.org.', 'net-1.example.org'],
  ])('%s', (_title, type, text, value) => {
    expect(parseValue(type, text)).toEqual({ value });
  });
});

describe('bad values say what is allowed', () => {
  test.each<[string, OptionType, string, string]>([
    ['another choice', oneOf('legacy', 'dvr'), 'Legacy', 'one of legacy, dvr'],
    ['too long', string({ maxLength: 3 }), 'abcd', 'at most 3 characters long'],
    ['an empty boolean', boolean, '', 'true, false, yes, no, on, off, 1 or 0'],
    ['y is no boolean for oslo.config', boolean, 'y', 'true, false, yes, no, on, off, 1 or 0'],
    ['hexadecimal', integer(), '0x10', 'a whole number'],
    ['a fraction', integer(), '7.0', 'a whole number'],
    ['too small', integer(1), '0', 'a whole number of at least 1'],
    ['too large', integer(undefined, 4), '5', 'a whole number of at most 4'],
    ['port 0', port, '0', 'a whole number from 1 to 65535'],
    ['a port that does not exist', port, '70000', 'a whole number from 1 to 65535'],
    ['more than a number can hold', integer(), '9'.repeat(20), 'a whole number'],
    ['infinity', float(0), 'inf', 'a number of at least 0'],
    ['nan', float(), 'nan', 'a number'],
    [
      'an item of a list',
      list(integer(4, 6)),
      '4,7',
      'a list whose items are each a whole number from 4 to 6',
    ],
    ['a host with a space', host, 'a b', 'an IP address or a host name'],
    ['a mistyped address', host, '10.0.0.300', 'an IP address or a host name'],
    ['an empty host', host, '', 'an IP address or a host name'],
    ['a host with a hyphen at the end', host, 'net-', 'an IP address or a host name'],
  ])('%s', (_title, type, text, problem) => {
    expect(parseValue(type, text)).toEqual({ problem });
  });
});

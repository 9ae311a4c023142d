import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { isForwarder } from '../../../lib/model/forwarder.ts';

const good = [
  '192.0.2.53',
  'fd00::53',
  '192.0.2.53#5353',
  'fd00::53#5353',
  '192.0.2.53@lo',
  '192.0.2.53#5353@127.0.0.1',
  '192.0.2.53@127.0.0.1#5300',
  '/lab.example/192.0.2.53',
  '/lab.example/other.example/192.0.2.53#5353',
  '/lab.example/',
  '/lab.example/#',
];

test.each(good)('%s is one, to dnsmasq as well', (text) => {
  expect(isForwarder(text)).toBe(true);
  execFileSync('dnsmasq', ['--test', '--conf-file=/dev/null', `--server=${text}`], { stdio: 'pipe' });
});

test.each([
  '',
  '#',
  'nonsense',
  '192.0.2.53 --user=root',
  '192.0.2.53\n--user=root',
  '192.0.2.530',
  '192.0.2.53#x',
  '192.0.2.53@',
  '192.0.2.53@a b',
  '/lab example/192.0.2.53',
  '/lab.example',
])('%j is none', (text) => {
  expect(isForwarder(text)).toBe(false);
});

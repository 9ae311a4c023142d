import { describe, expect, test } from 'vitest';
import { ruleExpressions } from '../../../lib/kernel/nft-rule.ts';

/** Golden bytes; that they are nft's own, and what the kernel makes of them, test/kernel/nft-batch.test.ts proves. */
const hex = (rule: string): string => {
  const bytes = Buffer.from(ruleExpressions(rule)!.slice().buffer).toString('hex');
  return `${rule}\n${bytes.replace(/.{64}/g, '$&\n')}\n`;
};

test('rules become the expressions that nft makes of them', async () => {
  const rules = [
    'accept',
    'meta nfproto ipv4 iifname "qg-0123456789a" meta mark set meta mark & 0xffff0000 | 0x2',
    'iifname "qr-*" ip6 daddr fe80::a9fe:a9fe tcp dport 80 redirect to :9697',
    'snat ip to ip saddr map @fip_snat fully-random',
    'ip daddr != 10.0.0.77/23 ct status & dnat == dnat drop',
  ];
  await expect(rules.map(hex).join('\n')).toMatchFileSnapshot('golden/nft-rules.txt');
});

test('the same rule gives the same bytes, whatever came before', () => {
  const rule = 'iifname "a" ip saddr 10.0.0.1 tcp dport 80 meta mark set 1 accept';
  const first = ruleExpressions(rule)!.slice();
  ruleExpressions(
    'iifname "abcdefghijklmno" ip6 saddr fd00::ff tcp dport 65535 meta mark set 0xffffffff drop',
  );
  ruleExpressions('ip saddr 255.255.255.255 nonsense');
  expect(ruleExpressions(rule)).toEqual(first);
});

test('a very long rule is understood too', () => {
  const rule = `${'iifname != "eth0" '.repeat(200)}accept`;
  const one = ruleExpressions('iifname != "eth0" accept')!.length - ruleExpressions('accept')!.length;
  const end = ruleExpressions('accept')!.length;
  expect(ruleExpressions(rule)).toHaveLength(200 * one + end);
});

describe('not understood, never guessed, is', () => {
  test.each([
    '',
    ' accept',
    'accept ',
    'accept  drop',
    'accept drop',
    'snat ip to 10.0.0.1 accept',
    'masquerade counter',
    'redirect to :80 drop',
    'accept comment "x"',
    'accept; drop',
    'Accept',
  ])('what is no plain rule: %j', (rule) => expect(ruleExpressions(rule)).toBeUndefined());

  test.each([
    'iifname eth0 accept',
    'iifname "" accept',
    'iifname "*" accept',
    'iifname "a b" accept',
    'iifname "a*b" accept',
    'iifname "abcdefghijklmnop" accept',
    'iifname "abcdefghijklmno*" accept',
    'iifname "eth0',
    'iifname > "eth0" accept',
    'iifname',
  ])('a device that is none: %j', (rule) => expect(ruleExpressions(rule)).toBeUndefined());

  test.each([
    'ip saddr 10.0.0 accept',
    'ip saddr 10.0.0.256 accept',
    'ip saddr 10.0.0.01 accept',
    'ip saddr 10.0.0.1. accept',
    'ip saddr 10.0.0.1.1 accept',
    'ip saddr 10.0.0.0/33 accept',
    'ip saddr 10.0.0.0/08 accept',
    'ip saddr 10.0.0.0/8/8 accept',
    'ip saddr 10.0.0.0/ accept',
    'ip saddr fd00::1 accept',
    'ip6 saddr 10.0.0.1 accept',
    'ip6 saddr fd00::1::2 accept',
    'ip6 saddr fd00::/129 accept',
    'ip saddr != @four accept',
    'ip saddr @ accept',
    'ip saddr @1 accept',
    'ip saddr',
    'ip protocol icmp accept',
    'ip saddr 10.0.0.1-10.0.0.2 accept',
  ])('an address that is none: %j', (rule) => expect(ruleExpressions(rule)).toBeUndefined());

  test.each([
    'tcp dport 0 accept',
    'tcp dport 65536 accept',
    'tcp dport 080 accept',
    'tcp dport http accept',
    'tcp dport 80-90 accept',
    'tcp flags syn accept',
    'udp sport 1 udp dport 2 accept',
    'redirect to :80',
    'redirect',
    'tcp dport 80 redirect to 80',
    'tcp dport 80 redirect to :80 sometimes',
    'meta l4proto icmp accept',
  ])('a port or protocol that is none: %j', (rule) => expect(ruleExpressions(rule)).toBeUndefined());

  test.each([
    'ip saddr 10.0.0.1 ip6 saddr fd00::1 accept',
    'meta nfproto ipv6 ip saddr 10.0.0.1 accept',
    'meta nfproto != ipv6 ip saddr 10.0.0.1 accept',
    'ip saddr 10.0.0.1 meta nfproto ipv4 accept',
    'meta nfproto ipv6 snat ip to 10.0.0.1',
    'tcp dport 80 udp dport 80 accept',
    'meta l4proto != tcp udp dport 80 accept',
    'tcp dport 80 meta l4proto tcp accept',
    'snat ip to fd00::1',
    'snat ip6 to ip saddr map @m',
    'snat to 10.0.0.1',
    'snat ip to 10.0.0.1:80',
    'dnat ip to ip daddr map m',
    'dnat ip to ip daddr',
  ])('what contradicts itself or is said in another way: %j', (rule) =>
    expect(ruleExpressions(rule)).toBeUndefined(),
  );

  test.each([
    'meta mark 4294967296 accept',
    'meta mark 0x100000000 accept',
    'meta mark 010 accept',
    'meta mark -1 accept',
    'meta mark & accept',
    'meta mark | 1 == 1 accept',
    'meta mark set meta mark ^ 1',
    'meta mark set meta mark | 1 & 2',
    'meta mark set',
    'ct status dnat accept',
    'ct status & 0x20 == 0 accept',
    'ct state established accept',
    'jump 1st',
    'jump',
    'limit rate 1/second accept',
  ])('a mark, state or statement beyond what is used: %j', (rule) =>
    expect(ruleExpressions(rule)).toBeUndefined(),
  );
});

import { describe, expect, it } from 'vitest';
import { parsePeer } from '../../../agents/metadata/peer.ts';

describe('the peer of a metadata connection', () => {
  it('is looked up by its IPv4 address', () => {
    expect(parsePeer('10.0.0.5')).toEqual({ forwardedFor: '10.0.0.5', address: '10.0.0.5' });
  });
  it('with a mapped address is looked up as IPv4, but forwarded as it came', () => {
    expect(parsePeer('::ffff:10.0.0.5')).toEqual({ forwardedFor: '::ffff:10.0.0.5', address: '10.0.0.5' });
  });
  it('loses its zone', () => {
    expect(parsePeer('fe80::f816:3eff:fe12:3456%qr-1234')).toMatchObject({
      forwardedFor: 'fe80::f816:3eff:fe12:3456',
      address: 'fe80::f816:3eff:fe12:3456',
    });
  });
  it.each([
    ['fe80::f816:3eff:fe12:3456', 'fa:16:3e:12:34:56'],
    ['fe80::200:ff:fe00:1', '00:00:00:00:00:01'],
  ])('%s was made from the MAC %s', (address, mac) => {
    expect(parsePeer(address).mac).toBe(mac);
  });
  it.each(['fe80::1234:5678:9abc:def0', 'fd00::f816:3eff:fe12:3456', '10.0.0.1'])(
    '%s tells no MAC',
    (address) => {
      expect(parsePeer(address).mac).toBeUndefined();
    },
  );
  it('with an address in another spelling is looked up by the canonical one', () => {
    expect(parsePeer('FD00:0:0::1').address).toBe('fd00::1');
  });
  it('must be an address', () => {
    expect(() => parsePeer('10.0.0.1, 10.0.0.2')).toThrow(TypeError);
    expect(() => parsePeer('')).toThrow(TypeError);
  });
});

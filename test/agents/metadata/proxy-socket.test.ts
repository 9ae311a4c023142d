import { describe, expect, it } from 'vitest';
import { senderOf, socketMode } from '../../../agents/metadata/proxy-socket.ts';

const ID = '0f0e0d0c-1111-4222-8333-444455556666';

describe('requests of Neutron’s proxies', () => {
  it('say their router or network and the address they come from', () => {
    expect(senderOf({ 'x-neutron-router-id': ID, 'x-forwarded-for': '10.0.0.5' })).toMatchObject({
      identity: { router: ID },
      peer: { address: '10.0.0.5' },
    });
    expect(senderOf({ 'x-neutron-network-id': ID, 'x-forwarded-for': '::ffff:10.0.0.5' })).toMatchObject({
      identity: { network: ID },
      peer: { forwardedFor: '::ffff:10.0.0.5', address: '10.0.0.5' },
    });
  });

  it.each([
    ['two identities', { 'x-neutron-router-id': ID, 'x-neutron-network-id': ID }, 400],
    ['none', {}, 500],
    ['an identity that is no id', { 'x-neutron-router-id': '../x' }, 500],
    [
      'two addresses, one of them the instance’s',
      { 'x-neutron-router-id': ID, 'x-forwarded-for': '10.0.0.9, 10.0.0.5' },
      500,
    ],
  ])('are refused with %s', (_what, headers, status) => {
    expect(() => senderOf({ 'x-forwarded-for': '10.0.0.5', ...headers })).toThrow(
      expect.objectContaining({ status }),
    );
  });
});

describe('the mode of the socket', () => {
  const own = { user: ['neutron', '110'], group: ['112'] };
  const options = (mode: string, user = '', group = '') => ({
    metadata_proxy_socket_mode: mode,
    metadata_proxy_user: user,
    metadata_proxy_group: group,
  });
  it.each([
    [options('user'), 0o644],
    [options('group'), 0o664],
    [options('all'), 0o666],
    [options('deduce'), 0o644],
    [options('deduce', 'root'), 0o644],
    [options('deduce', '110'), 0o644],
    [options('deduce', 'nobody'), 0o664],
    [options('deduce', 'nobody', '112'), 0o664],
    [options('deduce', 'nobody', 'nogroup'), 0o666],
  ])('of %j is %o', (given, mode) => {
    expect(socketMode(given, own)).toBe(mode);
  });
});

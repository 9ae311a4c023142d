import { describe, expect, it } from 'vitest';
import { l3Options } from '../../../agents/l3/options.ts';

describe('options of the L3 agent', () => {
  it('have Neutron’s defaults', () => {
    expect(l3Options()).toEqual({
      agent_mode: 'legacy',
      metadata_port: 9697,
      namespace_suffix: '',
      wiring: 'own-bridge',
      enable_metadata_proxy: true,
      metadata_access_mark: 1,
      external_ingress_mark: 2,
      use_random_fully: true,
      ipv6_gateway: '',
      handle_internal_only_routers: true,
    });
  });

  it('take marks as text and use the low 16 bits', () => {
    expect(l3Options({ metadata_access_mark: '0x12345' }).metadata_access_mark).toBe(0x2345);
  });

  it.each([
    [
      { ipv6_gateway: '2001:db8::1' },
      'L3 option ipv6_gateway = "2001:db8::1": must be empty or a link-local',
    ],
    [{ metadata_access_mark: 'one' }, 'L3 option metadata_access_mark = "one": must be a number such as 0x1'],
    [{ external_ingress_mark: '0x10000' }, 'must have a bit set in its low 16 bits'],
    [{ metadata_port: 0 }, 'L3 option metadata_port = 0'],
    [{ agent_mode: 'central' }, 'L3 option agent_mode = "central"'],
  ])('are refused with a sentence: %o', (given, message) => {
    expect(() => l3Options(given)).toThrow(message);
  });
});

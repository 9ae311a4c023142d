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
      ra_confs: '/var/lib/neutron/ra',
      external_pids: '/var/lib/neutron/external/pids',
      pd_confs: '/var/lib/neutron/pd',
      vendor_pen: 8888,
      radvd_user: '',
      min_rtr_adv_interval: 30,
      max_rtr_adv_interval: 100,
      adv_default_preference: 'medium',
      adv_valid_lifetime: 86_400,
      adv_preferred_lifetime: 14_400,
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
    [{ vendor_pen: '4294967296' }, 'L3 option vendor_pen = "4294967296": must fit into 32 bits'],
    [{ metadata_port: 0 }, 'L3 option metadata_port = 0'],
    [{ agent_mode: 'central' }, 'L3 option agent_mode = "central"'],
    [{ ra_confs: 'ra' }, 'L3 option ra_confs = "ra": must be an absolute path'],
    [{ radvd_user: 'a b' }, 'L3 option radvd_user = "a b": must be the name of a user'],
    [
      { max_rtr_adv_interval: 20, min_rtr_adv_interval: 16 },
      'L3 option min_rtr_adv_interval = 16: must be at most',
    ],
    [{ adv_default_lifetime: 50 }, 'L3 option adv_default_lifetime = 50: must be 0 or at least'],
    [{ adv_valid_lifetime: 600 }, 'L3 option adv_preferred_lifetime = undefined: must be at most'],
  ])('are refused with a sentence: %o', (given, message) => {
    expect(() => l3Options(given)).toThrow(message);
  });
});

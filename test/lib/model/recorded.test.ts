import { describe, expect, it } from 'vitest';
import { dhcpDeviceId } from '../../../agents/dhcp/compile/identity.ts';
import { compileNetwork } from '../../../agents/dhcp/compile/network.ts';
import { dhcpOptions } from '../../../agents/dhcp/options.ts';
import { compileRouter, UnsupportedRouterError } from '../../../agents/l3/compile/router.ts';
import { l3Options } from '../../../agents/l3/options.ts';
import { parseNetwork } from '../../../lib/model/network.ts';
import { parseRouter } from '../../../lib/model/router.ts';
import { recordedFiles, recordedPayloads, withDhcpPort } from '../../fixtures/recorded.ts';

const HOST = { name: 'net-1', ipv6: true, hostTags: true, inotify: true };

describe('payloads of a real neutron-server', () => {
  it.each(recordedFiles('routers'))(
    'routers of %s are accepted, and compile or are refused by kind',
    (file) => {
      for (const payload of recordedPayloads(file)) {
        const router = parseRouter(payload);
        expect(router).toMatchObject(payload);
        expect(Array.isArray(router._interfaces)).toBe(true);
        const compile = () => compileRouter({ router, host: HOST, options: l3Options() });
        if (!router.ha && !router.distributed) expect(compile().flat().length).toBeGreaterThan(5);
        else expect(compile).toThrow(UnsupportedRouterError);
      }
    },
  );

  it.each(recordedFiles('networks'))('networks of %s are accepted and compile', (file) => {
    for (const payload of recordedPayloads(file)) {
      expect(parseNetwork(payload)).toMatchObject(payload);
      const served = withDhcpPort(payload, dhcpDeviceId(HOST.name, String(payload.id)));
      const options = dhcpOptions({ dhcp_confs: '/dhcp' });
      const { service, warnings } = compileNetwork({ network: parseNetwork(served), host: HOST, options });
      const serves = (payload.subnets as { enable_dhcp: boolean }[]).some(({ enable_dhcp }) => enable_dhcp);
      expect(service !== undefined).toBe(serves);
      // The server makes 'host-fd00-0-0-2--' of fd00:0:0:2::.
      expect(warnings.filter((line) => !line.includes('--.lab.example." is no host name'))).toEqual([]);
    }
  });
});

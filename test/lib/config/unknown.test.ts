import { expect, test } from 'vitest';
import { parseIni } from '../../../lib/config/parser.ts';
import { unknownOptions, unknownWarning } from '../../../lib/config/unknown.ts';

const warning = (text: string) => unknownWarning(unknownOptions([parseIni(text, 'f.conf')]));

test('options of any agent, of the server, of the L2 agent and of libraries are known', () => {
  const text = `
[DEFAULT]
agent_mode = dvr
dhcp_lease_duration = 5
nova_metadata_host = h
core_plugin = ml2
[database]
connection = x
[privsep_link]
thread_pool_size = 32
[agent]
tunnel_types = vxlan
[ovs]
bridge_mappings = a:b
[keystone_authtoken]
whatever = x
[oslo_messaging_rabbit]
rabbit_quroum_max_memory_bytes = 5
kombu_ssl_keyfile = x
`;
  expect(warning(text)).toBeUndefined();
});

test('unknown ones are named in one line, with their places and what may have been meant', () => {
  const text = `[DEFAULT]
agent_mod = dvr
report_interval = 5
availability_zome = a
[agent]
reprot_interval = 5
xyzzy = 1
`;
  expect(warning(text)).toBe(
    'unknown options are ignored: [DEFAULT] agent_mod (f.conf:2; did you mean agent_mode?), ' +
      '[DEFAULT] report_interval (f.conf:3; it belongs in [AGENT]), ' +
      '[DEFAULT] availability_zome (f.conf:4; did you mean [AGENT] availability_zone?), ' +
      '[agent] reprot_interval (f.conf:6; did you mean report_interval?), ' +
      '[agent] xyzzy (f.conf:7)',
  );
});

test('one that Neutron has removed is named with what became of it', () => {
  expect(warning('[DEFAULT]\nuse_namespaces = False')).toContain('removed in Neutron 8: there is always');
});

test('an option name written with hyphens is recognised', () => {
  expect(warning('[DEFAULT]\nlog-dir = x')).toContain('did you mean log_dir?');
});

test('an unknown section is named once', () => {
  expect(warning('[default]\nhost = a\nmode = b')).toBe(
    'unknown options are ignored: section [default] (f.conf:2; write [DEFAULT], in capitals and without spaces)',
  );
  expect(warning('[oslo_mesaging_rabbit]\nssl = 1')).toContain('did you mean [oslo_messaging_rabbit]?');
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ConfigArgument } from '../../../lib/config/arguments.ts';
import { loadConfig } from '../../../lib/config/load.ts';
import type { AgentName } from '../../../lib/config/options/table.ts';
import { ConfigError } from '../../../lib/config/problem.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vdt-config-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function load(agent: AgentName, files: Readonly<Record<string, string>>) {
  const given = Object.entries(files).map(([name, text]): ConfigArgument => {
    const path = join(root, name);
    writeFileSync(path, text);
    return { kind: 'file', path };
  });
  return loadConfig({ agent, given, environment: {}, facts: { hostname: 'node-1', cpus: 4 } });
}

function failure(agent: AgentName, files: Readonly<Record<string, string>>): string[] {
  try {
    load(agent, files);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${root}/`, '').split('\n');
    throw error;
  }
  return [];
}

/** Shaped like the files of Debian's packages: one file for all programs, sections in small letters. */
const NEUTRON_CONF = `[DEFAULT]

#
# From neutron
#

# Where to store state files.
#state_path = /var/lib/neutron
auth_strategy = keystone
core_plugin = ml2
service_plugins = router,metering,qos
interface_driver = openvswitch
transport_url = rabbit://openstack:pa$$word@10.0.0.2:5672,openstack:pa$$word@10.0.0.3:5672/neutron
host = net-7

[agent]
root_helper = sudo neutron-rootwrap /etc/neutron/rootwrap.conf
availability_zone = az-2

[database]
connection = sqlite:///var/lib/neutron/neutrondb

[oslo_concurrency]
lock_path = /var/lock/neutron

[oslo_messaging_rabbit]
rabbit_quorum_queue = true
`;

test('an L3 agent starts with the files of a Debian node', () => {
  const l3 = '[DEFAULT]\novs_use_veth = False\ninterface_driver = linuxbridge\n\n[ovs]\n\n[network_log]\n';
  const { values, files, warnings, withoutEffect } = load('l3', {
    'neutron.conf': NEUTRON_CONF,
    'l3_agent.ini': l3,
  });
  expect(values.DEFAULT).toMatchObject({
    interface_driver: 'linuxbridge',
    host: 'net-7',
    transport_url: 'rabbit://openstack:pa$word@10.0.0.2:5672,openstack:pa$word@10.0.0.3:5672/neutron',
  });
  expect(values.AGENT).toMatchObject({ availability_zone: 'az-2', report_interval: 30 });
  expect(values.oslo_messaging_rabbit).toMatchObject({ rabbit_quorum_queue: true });
  expect(files).toEqual([join(root, 'neutron.conf'), join(root, 'l3_agent.ini')]);
  expect(warnings).toEqual([]);
  expect(withoutEffect).toMatch(/^options without effect here: \[AGENT\] root_helper \(.+\)$/);
});

test('a metadata agent starts with them too, and its secret stays out of warnings', () => {
  const text = '[DEFAULT]\nmetadata_proxy_shared_secret = hunter2\nnova_metadata_hots = nova\n[cache]\n';
  const { values, warnings } = load('metadata', { 'neutron.conf': NEUTRON_CONF, 'metadata_agent.ini': text });
  expect(values.DEFAULT?.metadata_proxy_shared_secret).toBe('hunter2');
  expect(warnings).toEqual([
    `unknown options are ignored: [DEFAULT] nova_metadata_hots (${root}/metadata_agent.ini:3; did you mean nova_metadata_host?)`,
  ]);
});

test('all mistakes of all files are thrown together', () => {
  expect(
    failure('dhcp', {
      'neutron.conf': '[DEFAULT]\nhost\nrpc_response_timeout = soon\n',
      'dhcp_agent.ini': '[DEFAULT]\nenable_isolated_metadata = ja\n[agent] # mine\n',
    }),
  ).toEqual([
    'neutron.conf:2: there is no = or : in this line; write option = value',
    'dhcp_agent.ini:3: section "[agent] # mine" must end with ]; a comment needs a line of its own',
    'neutron.conf:3: [DEFAULT] rpc_response_timeout = "soon" must be a whole number of at least 1',
    'dhcp_agent.ini:2: [DEFAULT] enable_isolated_metadata = "ja" must be true, false, yes, no, on, off, 1 or 0',
  ]);
});

test('values that do not go together are named', () => {
  expect(failure('dhcp', { 'dhcp_agent.ini': '[DEFAULT]\nresync_throttle = 9\n' })).toEqual([
    'dhcp_agent.ini:2: [DEFAULT] resync_throttle = 9 must not be more than [DEFAULT] resync_interval = 5: ' +
      'a resync that is due could never run',
  ]);
  expect(failure('l3', { 'l3_agent.ini': '[DEFAULT]\nmax_rtr_adv_interval = 10\n' })[0]).toContain(
    'l3_agent.ini:2: [DEFAULT] min_rtr_adv_interval = 30 must not be more than',
  );
});

test("another agent's bad value in a shared file does not keep this one from starting", () => {
  expect(failure('l3', { 'neutron.conf': '[DEFAULT]\ndhcp_lease_duration = x\n' })).toEqual([]);
});

test('no message shows a password', () => {
  const text = '[DEFAULT]\ntransport_url = http://u:hunter2@h/\n';
  expect(failure('l3', { 'neutron.conf': text })[0]).toContain('"http://u:***@h/" must be a URL rabbit://');
});

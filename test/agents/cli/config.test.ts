import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { config } from '../../../agents/cli/verbs/config.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vdt-config-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Runs the verb; returns its exit code and what it printed, paths shortened. */
function run(...argv: string[]): { code: unknown; printed: string } {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  config().parse(argv, { from: 'user' });
  const printed = write.mock.calls.map(([chunk]) => String(chunk)).join('');
  write.mockRestore();
  return { code: process.exitCode, printed: printed.replaceAll(`${folder}/`, '') };
}

const NEUTRON = `[DEFAULT]
transport_url = rabbit://neutron:hunter2@10.0.0.2/
use_syslog = true
[agent]
report_interval = 15
`;

test('prints what is set and where, with secrets masked', () => {
  const main = file('neutron.conf', NEUTRON);
  const own = file('metadata_agent.ini', '[DEFAULT]\nmetadata_proxy_shared_secret = hunter2\n');
  const { code, printed } = run('--agent', 'metadata', '--config-file', main, '--config-file', own);
  expect(code).toBe(0);
  expect(printed).not.toContain('hunter2');
  const lines = printed.split('\n').map((line) => line.replace(/ {2,}/g, ' | '));
  expect(lines.slice(0, 5)).toEqual([
    'metadata agent: neutron.conf, metadata_agent.ini',
    'OPTION | VALUE | FROM',
    '[DEFAULT] transport_url | rabbit://neutron:***@10.0.0.2/ | neutron.conf:2',
    '[AGENT] report_interval | 15 | neutron.conf:5',
    '[DEFAULT] metadata_proxy_shared_secret | *** | metadata_agent.ini:2',
  ]);
  expect(lines[5]).toMatch(/^\d+ options at their defaults/);
  expect(lines[6]).toMatch(/^options without effect here: \[DEFAULT\] use_syslog \(/);
});

test('--all adds defaults and says why an option has no effect', () => {
  const { printed } = run('--agent', 'l3', '--all', '--config-file', file('neutron.conf', NEUTRON));
  const lines = printed.split('\n').map((line) => line.replace(/ {2,}/g, ' | '));
  expect(lines).toContain('[DEFAULT] agent_mode | legacy | default');
  expect(lines).toContain('[DEFAULT] ra_confs | /var/lib/neutron/ra | default');
  expect(lines).toContain('[OVS] ssl_key_file | (not set) | default');
  expect(printed).toMatch(/\[DEFAULT\] use_syslog +true +neutron\.conf:3, without effect: the log goes to/);
});

test('files and directories are read in the order of the command line, all three agents by default', () => {
  vi.stubEnv('OS_DEFAULT__HOST', 'from-env');
  file('z.conf', '[DEFAULT]\nstate_path = /z\n');
  const own = file('own.ini', '[DEFAULT]\nstate_path = /own\n');
  const { printed } = run('--config-dir', folder, '--config-file', own, '--json');
  const { agents } = JSON.parse(printed);
  expect(Object.keys(agents)).toEqual(['l3', 'dhcp', 'metadata']);
  expect(agents.dhcp).toMatchObject({ files: ['z.conf', 'own.ini'], problems: [], warnings: [] });
  expect(agents.dhcp.options).toMatchObject([
    { group: 'DEFAULT', name: 'host', value: 'from-env', from: 'environment OS_DEFAULT__HOST' },
    { group: 'DEFAULT', name: 'state_path', value: '/own', from: 'own.ini:2', honoured: true },
  ]);
});

test('mistakes are exit code 78, each with its place; JSON masks secrets as well', () => {
  const bad = file('bad.conf', `${NEUTRON}nonsense\n[DEFAULT]\nagent_mode = dvrr\nagent_mod = dvr\n`);
  const { code, printed } = run('--agent', 'l3', '--config-file', bad);
  expect(code).toBe(78);
  expect(printed).toContain('error: bad.conf:6: there is no = or : in this line');
  expect(printed).toContain('error: bad.conf:8: [DEFAULT] agent_mode = "dvrr" must be one of legacy, dvr,');
  expect(printed).toContain('warning: unknown options are ignored: [DEFAULT] agent_mod (bad.conf:9;');
  const json = run('--agent', 'l3', '--json', '--config-file', bad);
  expect(json.code).toBe(78);
  expect(json.printed).not.toContain('hunter2');
  expect(JSON.parse(json.printed).agents.l3).toMatchObject({
    problems: [{ place: 'bad.conf:6' }, { place: 'bad.conf:8', group: 'DEFAULT', option: 'agent_mode' }],
    without_effect: [{ name: 'use_syslog', from: 'bad.conf:3' }],
  });
});

test('a file that is named must be there', () => {
  const { code, printed } = run('--agent', 'l3', '--config-file', join(folder, 'no.conf'));
  expect(code).toBe(78);
  expect(printed).toContain('error: no.conf: there is no such configuration file');
});

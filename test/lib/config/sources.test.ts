import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultArguments, readSources } from '../../../lib/config/sources.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vdt-config-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(name: string, text = '[DEFAULT]\n'): string {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const relative = (paths: readonly string[]): string[] => paths.map((path) => path.slice(root.length + 1));

describe('files that are named', () => {
  test('are read in the order of the command line, a directory sorted and only its *.conf', () => {
    const given = [
      { kind: 'file', path: put('main.conf') },
      { kind: 'directory', path: join(root, 'd') },
      { kind: 'file', path: put('own.ini') },
    ] as const;
    for (const name of ['d/b.conf', 'd/a.conf', 'd/Z.conf', 'd/.hidden.conf', 'd/c.ini']) put(name);
    const { files, problems } = readSources('l3', given);
    expect(relative(files)).toEqual(['main.conf', 'd/Z.conf', 'd/a.conf', 'd/b.conf', 'own.ini']);
    expect(problems).toEqual([]);
  });

  test('must be there', () => {
    const { problems } = readSources('l3', [
      { kind: 'file', path: join(root, 'no.conf') },
      { kind: 'directory', path: join(root, 'no.d') },
    ]);
    expect(problems.map(({ message }) => message)).toEqual([
      'there is no such configuration file; correct the path or create it',
      'there is no such configuration directory; correct the path or create it',
    ]);
  });

  test('mistakes of all files are reported together', () => {
    const given = [put('a.conf', 'x\n'), put('b.conf', '[\n')].map(
      (path) => ({ kind: 'file', path }) as const,
    );
    expect(readSources('l3', given).problems.map(({ place }) => place)).toEqual([
      `${root}/a.conf:1`,
      `${root}/b.conf:1`,
    ]);
  });
});

describe('without any, the places of the distributions are read', () => {
  const paths = (agent: 'l3' | 'dhcp' | 'metadata') =>
    defaultArguments(agent, root).map((argument) => (argument.kind === 'value' ? '' : argument.path));

  test('Debian and Ubuntu: neutron.conf, agent.conf.d of the L3 agent, the file of the agent', () => {
    put('etc/neutron/neutron.conf');
    put('etc/neutron/agent.conf.d/x.conf');
    for (const agent of ['l3', 'dhcp', 'metadata']) put(`etc/neutron/${agent}_agent.ini`);
    expect(relative(paths('l3'))).toEqual([
      'etc/neutron/neutron.conf',
      'etc/neutron/agent.conf.d',
      'etc/neutron/l3_agent.ini',
    ]);
    expect(relative(paths('dhcp'))).toEqual(['etc/neutron/neutron.conf', 'etc/neutron/dhcp_agent.ini']);
  });

  test('RDO: its own defaults first, conf.d last, and l3_agent.ini before neutron.conf', () => {
    put('usr/share/neutron/neutron-dist.conf');
    put('etc/neutron/neutron.conf');
    put('etc/neutron/conf.d/common/x.conf');
    put('etc/neutron/conf.d/neutron-l3-agent/x.conf');
    for (const agent of ['l3', 'metadata']) put(`etc/neutron/${agent}_agent.ini`);
    expect(relative(paths('l3'))).toEqual([
      'usr/share/neutron/neutron-dist.conf',
      'etc/neutron/l3_agent.ini',
      'etc/neutron/neutron.conf',
      'etc/neutron/conf.d/common',
      'etc/neutron/conf.d/neutron-l3-agent',
    ]);
    expect(relative(paths('metadata')).slice(1, 3)).toEqual([
      'etc/neutron/neutron.conf',
      'etc/neutron/metadata_agent.ini',
    ]);
  });

  test('what is not there is left out', () => {
    expect(paths('dhcp')).toEqual([]);
  });
});

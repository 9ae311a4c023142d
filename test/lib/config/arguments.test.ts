import { expect, test } from 'vitest';
import { parseConfigArguments } from '../../../lib/config/arguments.ts';
import { optionsOf } from '../../../lib/config/options/table.ts';

const parse = (...argv: string[]) => parseConfigArguments(argv, optionsOf('l3'));

test("takes the arguments of a distribution's service file, in their order", () => {
  const { config, rest, problems } = parse(
    '--config-file=/etc/neutron/neutron.conf',
    '--config-dir=/etc/neutron/agent.conf.d',
    '--config-file',
    '/etc/neutron/l3_agent.ini',
    '--log-file=/var/log/neutron/l3.log',
  );
  expect(config).toEqual([
    { kind: 'file', path: '/etc/neutron/neutron.conf' },
    { kind: 'directory', path: '/etc/neutron/agent.conf.d' },
    { kind: 'file', path: '/etc/neutron/l3_agent.ini' },
    {
      kind: 'value',
      flag: '--log-file',
      group: 'DEFAULT',
      name: 'log_file',
      text: '/var/log/neutron/l3.log',
    },
  ]);
  expect(rest).toEqual([]);
  expect(problems).toEqual([]);
});

test('a boolean has a flag and its inverse, neither with a value', () => {
  expect(parse('--debug', '--nouse-syslog').config).toMatchObject([
    { name: 'debug', text: 'true', flag: '--debug' },
    { name: 'use_syslog', text: 'false', flag: '--nouse-syslog' },
  ]);
});

test('leaves everything else alone, and all after --', () => {
  expect(parse('up', '--json', '--debug', '--', '--debug').rest).toEqual(['up', '--json', '--', '--debug']);
});

test('a flag without its path or value is a problem', () => {
  expect(parse('--config-file').problems).toEqual([{ place: '--config-file', message: 'needs a path' }]);
  expect(parse('--log-file').problems[0]?.message).toBe('needs a value for [DEFAULT] log_file');
});

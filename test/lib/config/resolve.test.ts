import { describe, expect, test } from 'vitest';
import { boolean, declaring, integer, list, oneOf, string } from '../../../lib/config/option.ts';
import { rabbitOptions } from '../../../lib/config/options/messaging.ts';
import { parseIni } from '../../../lib/config/parser.ts';
import { originText, problemText } from '../../../lib/config/problem.ts';
import { isWithoutEffect, type Resolution, resolveOptions } from '../../../lib/config/resolve.ts';
import type { Layer } from '../../../lib/config/sources.ts';

const option = declaring('DEFAULT', 'test');
const agent = declaring('AGENT', 'test');
const options = [
  option('host', string(), ({ hostname }) => hostname, ''),
  option('state_path', string(), '/var/lib/neutron', ''),
  option('ra_confs', string(), '$state_path/ra', ''),
  option('mode', oneOf('legacy', 'dvr'), 'legacy', ''),
  option('interval', integer(1), 40, ''),
  option('secret', string(), '', '', { secret: true }),
  option('threads', integer(1), 4, '', { unused: 'no threads' }),
  option('transport_url', string(), 'rabbit://', '', { credentials: true }),
  option('names', { kind: 'multi' }, [], '', { formerly: [{ name: 'old_names' }] }),
  option('auth_ca_cert', string(), null, ''),
  agent('enabled', boolean, true, ''),
  agent('list', list(), [], ''),
  agent('bridge', string(), 'br-int', '', {
    formerly: [{ name: 'old_bridge' }, { group: 'DEFAULT', name: 'bridge' }],
  }),
  ...rabbitOptions,
];

interface Given {
  readonly environment?: Record<string, string>;
  readonly flags?: Record<string, string>;
}

function resolve(
  texts: string | readonly string[],
  { environment = {}, flags = {} }: Given = {},
): Resolution {
  const files = [texts].flat().map((text, index): Layer => {
    const ini = parseIni(text, `${'abc'[index]}.conf`);
    expect(ini.problems).toEqual([]);
    return { kind: 'file', ini };
  });
  const values = Object.entries(flags).map(
    ([name, text]): Layer => ({ kind: 'value', flag: `--${name}`, group: 'DEFAULT', name, text }),
  );
  const facts = { hostname: 'node-1', cpus: 2 };
  return resolveOptions({ options, layers: [...files, ...values], environment, facts });
}

/** `value from` of one option */
function of(resolution: Resolution, name: string): string {
  const found = resolution.effective.find((each) => each.option.name === name);
  return found ? `${JSON.stringify(found.value)} ${originText(found.origin)}` : 'none';
}
const problems = (resolution: Resolution): string[] => resolution.problems.map(problemText);

describe('where values come from', () => {
  test('defaults, some of them from this host', () => {
    const resolution = resolve([]);
    expect(resolution.values.DEFAULT).toMatchObject({ host: 'node-1', mode: 'legacy', auth_ca_cert: null });
    expect(of(resolution, 'ra_confs')).toBe('"/var/lib/neutron/ra" default');
  });

  test('of a repeated option the last counts, of files the later', () => {
    const first = '[DEFAULT]\nmode = dvr\ninterval = 1\ninterval = 2\n';
    const resolution = resolve([first, '[DEFAULT]\nmode = legacy\n']);
    expect(of(resolution, 'interval')).toBe('2 a.conf:4');
    expect(of(resolution, 'mode')).toBe('"legacy" b.conf:2');
  });

  test('of options that may be given several times all count, in the order of files and lines', () => {
    const resolution = resolve(['[DEFAULT]\nnames = 1\nold_names = 0\nnames = 2', '[DEFAULT]\nnames = 3']);
    expect(resolution.values.DEFAULT?.names).toEqual(['0', '1', '2', '3']);
  });

  test('the environment wins over files, a flag over both', () => {
    const environment = { OS_DEFAULT__MODE: 'dvr', OS_AGENT__LIST: 'x,y', OS_DEFAULT__HOST: 'env' };
    const resolution = resolve('[DEFAULT]\nmode = legacy\n[agent]\nlist = z', {
      environment,
      flags: { host: 'flag' },
    });
    expect(of(resolution, 'mode')).toBe('"dvr" environment OS_DEFAULT__MODE');
    expect(of(resolution, 'list')).toBe('["x","y"] environment OS_AGENT__LIST');
    expect(of(resolution, 'host')).toBe('"flag" --host');
  });

  test('a file after a flag wins over it', () => {
    const ini = parseIni('[DEFAULT]\nmode = legacy', 'f.conf');
    const flag = { kind: 'value', flag: '--mode', group: 'DEFAULT', name: 'mode', text: 'dvr' } as const;
    const facts = { hostname: 'h', cpus: 1 };
    const layers: Layer[] = [flag, { kind: 'file', ini }];
    expect(of(resolveOptions({ options, layers, environment: {}, facts }), 'mode')).toBe('"legacy" f.conf:2');
  });

  test('the query of transport_url wins over its section', () => {
    const text = '[DEFAULT]\ntransport_url = rabbit://h/?ssl=1&rabbit_qos_prefetch_count=7\n';
    const resolution = resolve(
      `${text}[oslo_messaging_rabbit]\nssl = false\nheartbeat_timeout_threshold = 5`,
    );
    expect(of(resolution, 'ssl')).toBe('true transport_url of a.conf:2');
    expect(of(resolution, 'rabbit_qos_prefetch_count')).toBe('7 transport_url of a.conf:2');
    expect(of(resolution, 'heartbeat_timeout_threshold')).toBe('5 a.conf:5');
  });
});

describe('names', () => {
  test('of sections are the same in any case, except DEFAULT', () => {
    const resolution = resolve('[aGent]\nbridge = b\n[default]\nmode = dvr');
    expect(of(resolution, 'bridge')).toBe('"b" a.conf:2');
    expect(of(resolution, 'mode')).toBe('"legacy" default');
  });

  test('of options are case-sensitive', () => {
    expect(of(resolve('[DEFAULT]\nMODE = dvr'), 'mode')).toBe('"legacy" default');
  });

  test('old ones count and are named in one warning; in one file the new one wins', () => {
    const resolution = resolve('[AGENT]\nold_bridge = b\n[DEFAULT]\nold_names = n');
    expect(of(resolution, 'bridge')).toBe('"b" a.conf:2');
    expect(resolution.warnings).toEqual([
      'options under old names: [DEFAULT] old_names (a.conf:4; now [DEFAULT] names), ' +
        '[AGENT] old_bridge (a.conf:2; now [AGENT] bridge)',
    ]);
    const both = resolve('[AGENT]\nbridge = new\nold_bridge = old');
    expect(of(both, 'bridge')).toBe('"new" a.conf:2');
    expect(both.warnings).toEqual([]);
  });

  test('a later file wins even under an old name', () => {
    expect(of(resolve(['[AGENT]\nbridge = new', '[DEFAULT]\nbridge = old']), 'bridge')).toBe(
      '"old" b.conf:2',
    );
  });
});

describe('references', () => {
  test('look in the group of the option, then in DEFAULT', () => {
    const resolution = resolve('[AGENT]\nbridge = $host-$enabled-$list\nlist = a,b');
    expect(of(resolution, 'bridge')).toBe('"node-1-True-a,b" a.conf:2');
  });

  test('name another group with a point', () => {
    expect(of(resolve(`[DEFAULT]\nhost = $${'{agent.bridge}'}.x`), 'host')).toBe('"br-int.x" a.conf:2');
  });

  test('reach through defaults', () => {
    expect(of(resolve('[DEFAULT]\nstate_path = /s/$host'), 'ra_confs')).toBe('"/s/node-1/ra" default');
  });

  test('an unset option is empty text', () => {
    expect(of(resolve('[DEFAULT]\nhost = a$auth_ca_cert'), 'host')).toBe('"a" a.conf:2');
  });

  test('to nothing are a problem', () => {
    expect(problems(resolve('[DEFAULT]\nhost = $nothing'))).toEqual([
      'a.conf:2: [DEFAULT] host refers to an option $nothing that is not known; write $$ for a dollar sign',
    ]);
  });

  test('to nothing do not show half a password', () => {
    const resolution = resolve('[DEFAULT]\ntransport_url = rabbit://u:pa$sword@h/\nsecret = x$hunter');
    expect(problems(resolution)).toHaveLength(2);
    expect(problems(resolution).join()).not.toMatch(/sword|hunter/);
  });

  test('in a circle are a problem, once', () => {
    const resolution = resolve('[DEFAULT]\nstate_path = $host\nhost = $state_path');
    expect(problems(resolution)).toEqual(['a.conf:2: [DEFAULT] state_path refers to itself by $host']);
  });

  test('to an option whose default leads back are no circle', () => {
    const resolution = resolve('[DEFAULT]\nstate_path = $ra_confs/x\nra_confs = /r');
    expect(problems(resolution)).toEqual([]);
    expect(of(resolution, 'state_path')).toBe('"/r/x" a.conf:2');
  });
});

describe('bad values', () => {
  test('are all named, with place, option, value and what is allowed', () => {
    const resolution = resolve('[DEFAULT]\nmode = dvrr\ninterval = 0\n[agent]\nenabled = maybe', {
      environment: { OS_DEFAULT__MODE: 'x' },
    });
    expect(problems(resolution)).toEqual([
      'environment OS_DEFAULT__MODE: [DEFAULT] mode = "x" must be one of legacy, dvr',
      'a.conf:3: [DEFAULT] interval = "0" must be a whole number of at least 1',
      'a.conf:5: [AGENT] enabled = "maybe" must be true, false, yes, no, on, off, 1 or 0',
    ]);
    expect(resolution.values.DEFAULT).not.toHaveProperty('mode');
  });

  test('of an option without effect are a warning', () => {
    const resolution = resolve('[DEFAULT]\nthreads = many');
    expect(problems(resolution)).toEqual([]);
    expect(resolution.warnings).toEqual([
      'a.conf:2: [DEFAULT] threads = "many" must be a whole number of at least 1',
    ]);
    expect(of(resolution, 'threads')).toBe('4 default');
  });

  test('an empty number leaves the default, with a warning', () => {
    const resolution = resolve('[DEFAULT]\ninterval =');
    expect(of(resolution, 'interval')).toBe('40 default');
    expect(resolution.warnings).toEqual(['[DEFAULT] interval is empty in a.conf:2: the default 40 counts']);
  });
});

test('an option without effect is noticed when it is set to something else than the default', () => {
  const noticed = (text: string) =>
    resolve(text)
      .effective.filter(isWithoutEffect)
      .map((each) => each.option.name);
  expect(noticed('[DEFAULT]\nthreads = 8')).toEqual(['threads']);
  expect(noticed('[DEFAULT]\nthreads = 4')).toEqual([]);
  expect(noticed('')).toEqual([]);
});

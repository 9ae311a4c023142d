import { describe, expect, it } from 'vitest';
import { daemon } from '../../../lib/namespace/rows.ts';
import { daemonPolicy, withOwnUser } from '../../../lib/neutron/daemon-policy.ts';
import { createLog } from '../../../lib/telemetry/log.ts';

const row = daemon({ ns: 'ns', service: 'dnsmasq', id: 'n1', argv: ['dnsmasq', 'n1'], pidFile: '/pid' });
const log = createLog({ program: 'test', level: 'silent' });

describe('what the end of a daemon means', () => {
  const decide = (AGENT: Readonly<Record<string, string | number>>) => {
    let exits = 0;
    const decision = daemonPolicy({ AGENT }, log, () => {
      exits += 1;
    }).onDaemonEnd?.(row);
    return { decision, exits };
  };
  it.each([
    [{}, 'respawn', 0],
    [{ check_child_processes_interval: 60, check_child_processes_action: 'respawn' }, 'respawn', 0],
    [{ check_child_processes_interval: 60, check_child_processes_action: 'exit' }, 'leave', 1],
    [{ check_child_processes_interval: 0, check_child_processes_action: 'exit' }, 'leave', 0],
  ])('with %o: %s', (options, decision, exits) => {
    expect(decide(options)).toEqual({ decision, exits });
  });

  it('is not asked of kill scripts that are not configured', () => {
    expect(daemonPolicy({ AGENT: { kill_scripts_path: '' } }, log)).not.toHaveProperty('killScripts');
    expect(daemonPolicy({ AGENT: { kill_scripts_path: '/k' } }, log)).toHaveProperty('killScripts', '/k');
  });
});

it('radvd has a user of its own only where root starts it', () => {
  const options = { radvd_user: 'radvd', other: 1 };
  expect(withOwnUser(options, log, 0)).toBe(options);
  expect(withOwnUser(options, log, 110)).toEqual({ radvd_user: '', other: 1 });
});

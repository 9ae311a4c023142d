/** Features that Neutron has removed: `viaduct config`, as an operator runs it on old files, says so of each. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../e2e/build.ts';
import { run } from '../e2e/shell.ts';

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'vdt-removed-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Document {
  readonly warnings: readonly string[];
  readonly without_effect: readonly { name: string; reason: string }[];
  readonly problems: readonly { place: string; message: string }[];
}

/** What is said of one option of [DEFAULT]. */
async function told(agent: string, line: string): Promise<Document & { code: number }> {
  const file = join(folder, 'old.conf');
  fs.writeFileSync(file, `[DEFAULT]\n${line}\n`);
  const argv = program('cli', 'config', '--json', '--agent', agent, '--config-file', file);
  const { code, stdout } = await run(argv);
  const { agents } = JSON.parse(stdout) as { agents: Record<string, Document> };
  return { code, ...agents[agent]! };
}

describe('an option that is gone is named with what became of it, and nothing else changes', () => {
  test.each([
    ['[Q3] a bridge of external networks', 'external_network_bridge = br-ex', 'bridge_mappings'],
    ['[Q4] no namespaces', 'use_namespaces = False', 'there is always a namespace'],
    ['[Q5] one external network per agent', 'gateway_external_network_id = x', 'all external networks'],
    ['[Q8] announcements of HA routers', 'send_arp_for_ha = 3', 'always announced'],
    ['[Q9] namespaces that stay', 'router_delete_namespaces = False', 'goes with its router'],
  ])('%s', async (_title, line, reason) => {
    const { code, warnings, problems } = await told('l3', line);
    expect([code, problems]).toEqual([0, []]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`[DEFAULT] ${line.split(' ')[0]}`);
    expect(warnings[0]).toContain(reason);
  });

  test('[Q8] options of HA that do nothing any more are listed as without effect', async () => {
    const lines = 'ha_keepalived_state_change_server_threads = 3\nkeepalived_use_no_track = False';
    const { code, without_effect } = await told('l3', lines);
    expect(code).toBe(0);
    expect(without_effect.map(({ name }) => name).sort()).toEqual(
      lines.split('\n').map((line) => line.split(' ')[0]!),
    );
    for (const { reason } of without_effect) expect(reason).not.toBe('');
  });

  test('[Q11] another DHCP server than dnsmasq is refused', async () => {
    const { code, problems } = await told('dhcp', 'dhcp_driver = neutron.agent.windows.dhcp.Dhcp');
    expect(code).toBe(78);
    expect(problems[0]?.message).toContain('neutron.agent.linux.dhcp.Dnsmasq');
  });
});

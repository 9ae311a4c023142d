import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { deleteNamespace, namespaceExists } from '../../lib/kernel/netns.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import { writeFacts } from '../../lib/standalone/deployment.ts';
import { program } from '../e2e/build.ts';

const fixture = (name: string): string =>
  fs.readFileSync(new URL(`../fixtures/iptables/${name}`, import.meta.url), 'utf8');
/** A router of Neutron 21.0, and what its agent had made of it in iptables. */
const PAYLOAD = JSON.parse(fixture('router.json'));
const ID = String(PAYLOAD.id);
const NS = `qrouter-${ID}`;
const NETWORK = '00000000-0000-4000-8000-0000000dd0f1';
const FILES = ['addn_hosts', 'host', 'interface', 'leases', 'opts', 'pid'];

const inRouter = (...argv: string[]): string =>
  execFileSync('ip', ['netns', 'exec', NS, ...argv], { encoding: 'utf8', stdio: 'pipe' });
const rulesOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/\[\d+:\d+\]/, '[0:0]'))
    .sort();
const devices = (): string[] =>
  inRouter('ip', '-o', 'link')
    .split('\n')
    .map((line) => line.split('@')[0]!);
const tables = (): string => inRouter('nft', 'list', 'tables');

describe('viaduct release', () => {
  let state: string;
  let directory: string;
  let config: string;

  const viaduct = (...args: string[]): { code: number | null; out: string; err: string } => {
    const [node, ...argv] = program('cli', 'release', ...args);
    const { status, stdout, stderr } = spawnSync(node!, argv, { encoding: 'utf8' });
    return { code: status, out: stdout, err: stderr };
  };
  /** Seals beside them only save a restart some reading. */
  const onRecord = (): string[] =>
    fs
      .readdirSync(join(directory, 'records'))
      .filter((name) => name.endsWith('.json'))
      .sort();
  const router = parseRouter(PAYLOAD);
  const options = l3Options({ wiring: 'linuxbridge' });
  const groups = compileRouter({ router, host: { name: 'net-1' }, options });
  const taps = groups.flat().flatMap((row) => (row.kind === 'link' && row.ns === '' ? row.name : []));

  beforeEach(async () => {
    state = fs.mkdtempSync(join(tmpdir(), 'vdt-release-'));
    directory = join(state, 'viaduct');
    config = join(state, 'neutron.conf');
    const secret = 'transport_url = rabbit://guest:guest@127.0.0.1/';
    fs.writeFileSync(config, `[DEFAULT]\nstate_path = ${state}\ninterface_driver = linuxbridge\n${secret}\n`);
    const dhcp = { dhcp_confs: join(state, 'dhcp'), wiring: 'linuxbridge' };
    writeFacts(directory, {
      name: 'viaduct',
      host: 'net-1',
      topology: 'neutron-server',
      options: { l3: options, dhcp },
    });
    const records = new Records(join(directory, 'records'));
    const reconciler = new Reconciler({ announce: false, records });
    reconciler.setDesired(ID, groups, { kind: 'router', payload: PAYLOAD });
    expect((await reconciler.reconcile(ID)).failures).toEqual([]);
    await reconciler.close();
    const network = { id: NETWORK, name: 'n', subnets: [], ports: [], admin_state_up: true };
    records.save(NETWORK, { kind: 'network', payload: network });
    fs.mkdirSync(join(state, 'dhcp', NETWORK, 'added/names/opts'), { recursive: true });
    for (const name of FILES) fs.writeFileSync(join(state, 'dhcp', NETWORK, name), '');
  });
  afterEach(() => {
    if (namespaceExists(NS)) deleteNamespace(NS);
    for (const name of taps) spawnSync('ip', ['link', 'del', name]);
    fs.rmSync(state, { recursive: true });
  });

  test('shows with --dry-run what it would do, and changes nothing', () => {
    const before = [tables(), devices().join()];
    const { code, out } = viaduct('--dry-run', '--config-file', config);
    expect(out.split('\n').slice(0, 3)).toEqual([
      'router r1',
      '  + iptables rules of neutron-l3-agent',
      '  + ip6tables rules of neutron-l3-agent',
    ]);
    expect(out).toContain('- nftables table inet viaduct');
    expect(code).toBe(2);
    expect([tables(), devices().join()]).toEqual(before);
    expect(onRecord()).toEqual([`${NETWORK}.json`, `${ID}.json`]);
  });

  test('leaves what Neutron’s agents had left: their rules, devices, files; nothing of ours', () => {
    const before = devices();
    const { code, out, err } = viaduct('--config-file', config);
    expect([code, out.trim()]).toEqual([
      0,
      "given back: 1 router, 1 network. Neutron's agents can be started now: " +
        'neutron-l3-agent, neutron-dhcp-agent, neutron-metadata-agent',
    ]);
    expect(err).toContain('giving back router r1');
    expect(tables()).not.toContain('viaduct');
    expect(rulesOf(inRouter('iptables-save'))).toEqual(rulesOf(fixture('zed.txt')));
    expect(rulesOf(inRouter('ip6tables-save'))).toEqual(rulesOf(fixture('zed6.txt')));
    expect(devices()).toEqual(before);
    expect(fs.readdirSync(join(state, 'dhcp', NETWORK)).sort()).toEqual(FILES);
    expect(fs.existsSync(directory)).toBe(false);
    expect(viaduct('--config-file', config)).toMatchObject({
      code: 0,
      out: expect.stringContaining('nothing to give back'),
    });
  });

  test('gives back one agent’s work alone; the others go on', () => {
    const result = viaduct('--agent', 'dhcp', '--json', '--config-file', config);
    expect(JSON.parse(result.out)).toEqual({
      agents: ['dhcp'],
      given: [{ agent: 'dhcp', kind: 'network', id: NETWORK, name: 'n', steps: 0, problems: [] }],
    });
    expect(tables()).toContain('viaduct');
    expect(onRecord()).toEqual([`${ID}.json`]);
  });

  test('keeps our ruleset and the record if Neutron’s rules can’t be written, and says so', () => {
    // A table that is in the way: iptables can't use one with such a chain.
    inRouter('nft', 'add', 'table', 'ip', 'nat');
    inRouter('nft', 'add', 'chain', 'ip', 'nat', 'PREROUTING', '{ type filter hook input priority 7; }');
    const { code, out } = viaduct('--config-file', config);
    expect(code).toBe(1);
    expect(out).toMatch(/not given back: router r1: .*iptables-restore/);
    expect(tables()).toContain('viaduct');
    expect(onRecord()).toEqual([`${ID}.json`]);
    inRouter('nft', 'delete', 'table', 'ip', 'nat');
    expect(viaduct('--config-file', config).code).toBe(0);
    expect(rulesOf(inRouter('iptables-save'))).toEqual(rulesOf(fixture('zed.txt')));
  });

  test('a configuration with mistakes is named, exit 78, and nothing is done', () => {
    fs.appendFileSync(config, 'metadata_port = many\n');
    const { code, err } = viaduct('--config-file', config);
    expect([code, err]).toEqual([78, expect.stringContaining('metadata_port')]);
    expect(tables()).toContain('viaduct');
  });
});

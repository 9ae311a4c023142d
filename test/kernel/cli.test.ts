import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { parseTopology } from '../../lib/standalone/topology.ts';

/** The program as it is installed: compiled by deploy/bootstrap, which `npm test` calls first. */
const MAIN = join(import.meta.dirname, '../../dist/agents/cli/main.js');

const topology = (more = ''): string => `
name: vdt-cli
networks:
  - {name: vdt-cli-ext, external: true, subnets: [{cidr: 203.0.113.0/24}]}
  - {name: vdt-cli-net, subnets: [{cidr: 10.0.0.0/24, name: vdt-cli-sub}]}
routers:
  - {name: vdt-cli-r1, external_gateway_info: {network: vdt-cli-ext}, interfaces: [vdt-cli-sub]}
instances:
  - {name: vdt-cli-a, network: vdt-cli-net, fixed_ips: [{ip_address: 10.0.0.5}], configure: static}
${more}
floating_ips:
  - {floating_network: vdt-cli-ext, instance: vdt-cli-a, floating_ip_address: 203.0.113.50}
`;
const SECOND = '  - {name: vdt-cli-b, network: vdt-cli-net}';

let folder: string;
let file: string;
let root: string;

/** Every device and namespace this file may make; whatever else is on the host is somebody else's. */
const ours = ((): ReadonlySet<string> => {
  const { networks, ports, routers, instances } = parseTopology(topology(SECOND), {
    file: 'net.yaml',
    host: hostname(),
  });
  return new Set([
    ...networks.flatMap(({ id }) => [`brq${id.slice(0, 11)}`, `qdhcp-${id}`]),
    ...ports.map(({ id }) => `tap${id.slice(0, 11)}`),
    ...routers.map(({ id }) => `qrouter-${id}`),
    ...instances.map(({ namespace }) => namespace),
    'vdt-cli-phy',
  ]);
})();

const host = () => ({
  links: fs.readdirSync('/sys/class/net').filter((name) => ours.has(name)),
  namespaces: listNamespaces().filter((name) => ours.has(name)),
});
const nothing = { links: [], namespaces: [] };

/** Daemons of the deployment: their arguments name files in its state directory. */
const daemons = (): string[] =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => /^\S*(dnsmasq|dhclient) /.test(line) && line.includes(root));

/** Runs the command; `out` is standard output, `err` standard error. */
function viaduct(verb: string, ...rest: string[]): { code: number | null; out: string; err: string } {
  const done = spawnSync(process.execPath, [MAIN, verb, '--state-dir', root, ...rest], { encoding: 'utf8' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

/** A process that stays; ends with the test whatever happens. */
const started: ChildProcess[] = [];
function stay(...args: string[]): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, ...args, '--state-dir', root], { stdio: 'ignore' });
  started.push(child);
  return { child, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

async function until(what: string, met: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!met()) {
    if (Date.now() > deadline) throw new Error(`not so after 15 s: ${what}; ${viaduct('ls').out}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const routerNamespace = (): string => {
  const { owners } = JSON.parse(viaduct('ls', '--json', 'routers').out).deployments[0];
  return owners[0].namespace as string;
};
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const running = (): string => viaduct('ls').out.split('\n')[0]!;

beforeAll(() => {
  expect(fs.existsSync(MAIN), 'run "sh deploy/bootstrap test" first').toBe(true);
  folder = fs.mkdtempSync(join(tmpdir(), 'vdt-cli-'));
  // dnsmasq does not run as root, and reads what is added while it runs.
  fs.chmodSync(folder, 0o755);
  file = join(folder, 'net.yaml');
  root = join(folder, 'state');
  fs.writeFileSync(file, topology());
  expect(host(), 'left by an earlier run').toEqual(nothing);
});

afterAll(() => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
  viaduct('down', '--all');
  fs.rmSync(folder, { recursive: true, force: true });
});

describe('the life of a deployment', () => {
  test('a plan lists what is missing, changes nothing and is exit code 2', () => {
    const { code, out } = viaduct('plan', file);
    expect(out).toContain('router vdt-cli-r1');
    expect(out).toContain('+ address 203.0.113.50/32');
    expect(code).toBe(2);
    expect(host()).toEqual(nothing);
    expect(fs.existsSync(root)).toBe(false);
  });

  test('up --once builds it and ends', () => {
    const { code, err } = viaduct('up', '--once', file);
    expect(err).toContain('settled');
    expect(code).toBe(0);
  });

  test('then a plan is empty, and so is a difference', () => {
    expect(viaduct('plan', file)).toMatchObject({ code: 0 });
    expect(viaduct('diff', '--exit-code')).toMatchObject({ code: 0, out: 'no difference\n' });
  });

  test('ls tells that all is as it should be and that nobody repairs it', () => {
    const { out } = viaduct('ls');
    expect(running()).toContain('nobody runs it');
    expect(out).toMatch(/router +vdt-cli-r1 +qrouter-\S+ +converged/);
    expect(out).toMatch(/instance +vdt-cli-a +\S+ +converged/);
  });
});

describe('looking without an agent', () => {
  test('show finds a thing by name, floating IP, fixed IP and MAC', () => {
    const port = JSON.parse(viaduct('show', '--json', '10.0.0.5').out).thing;
    expect(port).toMatchObject({ kind: 'port', device: 'eth0', holderName: 'vdt-cli-a' });
    expect(JSON.parse(viaduct('show', '--json', port.mac).out).thing.id).toBe(port.id);
    expect(JSON.parse(viaduct('show', '--json', 'vdt-cli-a').out).thing.kind).toBe('instance');
    const floating = viaduct('show', '203.0.113.50').out;
    expect(floating).toContain('✓ address 203.0.113.50/32');
    expect(floating).toContain('fip_dnat element 203.0.113.50 → 10.0.0.5');
  });

  test('what is not there is an error that says so', () => {
    expect(viaduct('show', '192.0.2.1')).toMatchObject({ code: 1, out: '' });
  });

  test('exec runs inside the namespace, passes the terminal and the exit code on', () => {
    expect(viaduct('exec', 'vdt-cli-a', '--', 'ping', '-c1', '-W2', '10.0.0.1').out).toContain(
      ' 0% packet loss',
    );
    expect(viaduct('exec', 'vdt-cli-a', '--', 'sh', '-c', 'exit 7').code).toBe(7);
    expect(viaduct('exec', 'vdt-cli-r1', '--', 'no-such-command').code).toBe(127);
  });

  test('a route deleted by hand is named by diff, and up --once puts it back', () => {
    const ns = routerNamespace();
    ip('-n', ns, 'route', 'del', 'default');
    const { code, out } = viaduct('diff', '--exit-code');
    expect(out).toContain('- missing: route default via 203.0.113.1');
    expect(code).toBe(2);
    expect(viaduct('ls').out).toMatch(/router +vdt-cli-r1 +qrouter-\S+ +drifted/);
    expect(viaduct('up', '--once', file).code).toBe(0);
    expect(ip('-n', ns, 'route', 'show', 'default')).toContain('203.0.113.1');
  });

  test('a rule flushed by hand is named by its text', () => {
    const ns = routerNamespace();
    ip('netns', 'exec', ns, 'nft', 'flush', 'chain', 'inet', 'viaduct', 'nat_postrouting');
    expect(viaduct('diff', 'vdt-cli-r1').out).toMatch(/- chain nat_postrouting: .*snat ip to 203\.0\.113\./);
    expect(viaduct('up', '--once', file).code).toBe(0);
    expect(viaduct('diff', '--exit-code').code).toBe(0);
  });

  test('one damaged record hides no other', () => {
    const records = join(root, 'vdt-cli/records');
    const name = fs.readdirSync(records).find((one) => routerNamespace().includes(one.slice(0, 36)))!;
    const text = fs.readFileSync(join(records, name), 'utf8');
    fs.writeFileSync(join(records, name), text.slice(0, 50));
    expect(viaduct('ls').out).toMatch(/instance +vdt-cli-a +\S+ +converged/);
    expect(viaduct('ls').out).toContain('is damaged');
    expect(viaduct('diff', '--exit-code').code).toBe(2);
    expect(viaduct('up', '--once', file).code).toBe(1);
    fs.writeFileSync(join(records, name), text);
    expect(viaduct('diff', '--exit-code').code).toBe(0);
  });
});

describe('while it runs', () => {
  test('edits of the file are followed, a bad one changes nothing, a second up is refused', async () => {
    const { ended } = stay('up', file);
    await until('it runs and has converged', () => running().endsWith('converged'));
    fs.writeFileSync(file, topology(SECOND));
    await until('the new instance is there', () =>
      /instance +vdt-cli-b +\S+ +converged/.test(viaduct('ls').out),
    );
    fs.writeFileSync(file, topology('  - {name: vdt-cli-c, network: nowhere}'));
    const second = viaduct('up', file);
    expect(second.code).toBe(65);
    fs.writeFileSync(file, topology(SECOND));
    const third = viaduct('up', file);
    expect(third.code).toBe(1);
    expect(third.err).toMatch(/already run by process \d+/);
    expect(viaduct('exec', 'vdt-cli-b', '--', 'true').code).toBe(0);
    // dhclient's children bear its name until they become the script that puts the lease on the device.
    await until('one dnsmasq and one dhclient run', () => daemons().length === 2);
    const address = (): string => viaduct('exec', 'vdt-cli-b', '--', 'ip', '-br', '-4', 'addr').out;
    await until('the new instance has its lease', () => address().includes('10.0.0.'));
    expect(viaduct('events', 'vdt-cli-b', '--since', '1m').out).toContain('create namespace');

    expect(viaduct('down', file).code).toBe(0);
    expect(await ended).toBe(0);
    expect(host()).toEqual(nothing);
    expect(daemons()).toEqual([]);
    expect(fs.existsSync(root)).toBe(false);
  });

  test('down of what is not there says so and is no failure', () => {
    const { code, out } = viaduct('down', file);
    expect(out).toContain('is not up');
    expect(code).toBe(0);
    expect(viaduct('ls').out).toBe('nothing is built on this host\n');
  });

  test('killed at any moment of a build, down leaves nothing of it', async () => {
    fs.writeFileSync(file, topology(SECOND));
    for (const delay of [0, 25, 50, 100, 150, 200]) {
      const { child, ended } = stay('up', file);
      await until('the build began', () => fs.existsSync(join(root, 'vdt-cli')));
      await new Promise((resolve) => setTimeout(resolve, delay));
      child.kill('SIGKILL');
      await ended;
      expect(viaduct('down', file).code).toBe(0);
      expect(host()).toEqual(nothing);
      expect(daemons()).toEqual([]);
      expect(fs.existsSync(root)).toBe(false);
    }
  });

  test('a file with errors is exit code 65 with every mistake, and nothing is built', () => {
    fs.writeFileSync(file, topology('  - {name: vdt-cli-c, network: nowhere, colour: red}'));
    const { code, err } = viaduct('up', '--once', file);
    expect(err).toContain('2 problems, nothing was changed');
    expect(code).toBe(65);
    expect(host()).toEqual(nothing);
    expect(fs.existsSync(root)).toBe(false);
  });
});

describe('a physical interface', () => {
  test('joins the bridge of its network and stays when all else goes', () => {
    ip('link', 'add', 'vdt-cli-phy', 'type', 'veth', 'peer', 'name', 'vdt-cli-far');
    try {
      fs.writeFileSync(
        file,
        topology().replace('external: true', 'external: true, physical_interface: vdt-cli-phy'),
      );
      expect(viaduct('up', '--once', file).code).toBe(0);
      expect(ip('link', 'show', 'vdt-cli-phy')).toMatch(/master brq/);
      expect(viaduct('down', file).code).toBe(0);
      expect(ip('link', 'show', 'vdt-cli-phy')).not.toMatch(/master/);
    } finally {
      ip('link', 'del', 'vdt-cli-phy');
    }
    expect(host()).toEqual(nothing);
  });
});

import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program } from './build.ts';
import { inPrivateHost, quoted } from './private-host.ts';
import { TOPOLOGY } from './whole-topology.ts';

let directory: string;
beforeAll(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'e2e-vdt-down-'));
  fs.chmodSync(directory, 0o755);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

test('down leaves namespaces, devices, processes and the state directory as they were', async () => {
  const at = (name: string) => join(directory, name);
  fs.writeFileSync(at('net.yaml'), TOPOLOGY);
  const state = at('state');
  const up = quoted(program('cli', 'up', at('net.yaml'), '--state-dir', state));
  const down = quoted(program('cli', 'down', at('net.yaml'), '--state-dir', state));
  const script = `
look() {
  { echo "== ip netns"; ip netns
    echo "== ip link"; ip -br link | cut -d' ' -f1
    echo "== processes"; ps -eo args | grep -v -e '^ps ' -e '^grep '  -e '^sort' -e '^sh ' -e '^cut' | sort
    echo "== state"; find '${state}' 2>/dev/null || true
    echo "== /run"; find /run; } > "$1"
}
look '${at('before')}'
${up} > '${at('log')}' 2>&1 &
up=$!
settled=no
for try in $(seq 300); do
  if grep -qs '"converged":true' '${state}'/*/run/fabric.json; then settled=yes; break; fi
  sleep 0.1
done
[ $settled = yes ] || { cat '${at('log')}'; exit 1; }
sleep 1
look '${at('during')}'
${down} >> '${at('log')}' 2>&1 || { cat '${at('log')}'; exit 1; }
wait $up || true
look '${at('after')}'
`;
  const { code, stdout, stderr } = await inPrivateHost(script);
  expect([code, stdout, stderr]).toEqual([0, '', '']);
  const read = (name: string) => fs.readFileSync(at(name), 'utf8');
  expect(read('during')).toContain('qrouter-');
  expect(read('during')).toContain('dnsmasq');
  expect(read('after')).toBe(read('before'));
});

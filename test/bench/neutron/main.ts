/**
 * Both sides one after the other against the same neutron-server, in a machine of its own (test/bench/main.ts starts
 * it). Arguments: how many routers and networks; --json.
 */
import { renderTable } from '../../../agents/cli/table.ts';
import { output } from '../../e2e/shell.ts';
import { Cloud } from '../../neutron/cloud/cloud.ts';
import { NeutronAgents } from '../../neutron/cloud/neutron-agents.ts';
import { ViaductAgents } from '../../neutron/cloud/viaduct-agents.ts';
import { MEASURE_HEADS, measureRow, measuresOf, NOTES } from './measures.ts';
import { measure } from './sides.ts';
import { CLOUD, ONLY_NEUTRON, prepare } from './work.ts';

const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

const WIDE = { width: Number.POSITIVE_INFINITY, color: false };
const n = Number(process.argv[2]);
progress('starting broker, database and neutron-server');
const cloud = await Cloud.start(CLOUD);
try {
  const viaduct = new ViaductAgents(cloud.node);
  const work = await prepare(cloud, viaduct, n, progress).catch((error: Error) => {
    throw new Error(`${error.message}\n${viaduct.tail()}`);
  });
  const side = (name: string) => (line: string) => progress(`${name}: ${line}`);
  const ours = await measure(viaduct, work, side('viaduct'));
  const theirs = await measure(new NeutronAgents(cloud.node, ONLY_NEUTRON), work, side('neutron'));
  for (const note of NOTES) progress(note);
  const found = measuresOf(n, ours, theirs);
  const lines = process.argv.includes('--json')
    ? found.map((measure) => JSON.stringify(measure))
    : renderTable(WIDE, MEASURE_HEADS, found.map(measureRow));
  process.stdout.write(`${lines.join('\n')}\n`);
} finally {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud.stop();
}

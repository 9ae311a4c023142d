import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseTopology, type Topology } from '../../lib/standalone/topology.ts';
import { CommandFailure } from './exit-codes.ts';

/**
 * Reads and validates a topology file. Throws TopologyError with every mistake in it, CommandFailure when
 * it cannot be read at all.
 */
export function readTopologyFile(file: string): Topology {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      { ENOENT: 'there is no such file', EACCES: 'not permitted to read it', EISDIR: 'it is a directory' }[
        code ?? ''
      ] ?? message;
    throw new CommandFailure(`cannot read the topology file ${file}: ${reason}`);
  }
  return parseTopology(text, { file, host: hostname() });
}

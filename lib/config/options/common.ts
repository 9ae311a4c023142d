import { declaring, host, string } from '../option.ts';

const option = declaring('DEFAULT', 'neutron/conf/common.py');

/** A part of namespace names: nothing that means something in a path or an argument. */
const suffix = (text: string): string | undefined =>
  /^[A-Za-z0-9_.-]{0,64}$/.test(text) ? undefined : 'at most 64 letters, digits, _, . or -';

/** Who this agent is and where it keeps its files. */
export const commonOptions = [
  option(
    'host',
    host,
    ({ hostname }) => hostname,
    'name of this node in reports, queues and port bindings; every agent on it has the same',
  ),
  option('state_path', string(), '/var/lib/neutron', 'directory of the files that agents keep', {
    flag: '--state_path',
  }),
  option(
    'namespace_suffix',
    string({ check: suffix }),
    '',
    'end of the name of every namespace, so that agents of several pretended hosts can share one kernel',
    { source: 'viaduct' },
  ),
];

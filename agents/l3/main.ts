#!/usr/bin/env -S node --max-semi-space-size=4
import { runAgentProgram } from '../../lib/program/program.ts';
import { createL3NeutronPart } from './neutron.ts';
import { createL3Part } from './standalone.ts';

await runAgentProgram({
  program: 'viaduct-l3-agent',
  does: 'Builds router namespaces: forwarding, SNAT, floating IPs.',
  role: 'l3',
  standalone: createL3Part,
  neutron: createL3NeutronPart,
});

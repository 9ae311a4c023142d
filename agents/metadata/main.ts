#!/usr/bin/env -S node --max-semi-space-size=4
import { runAgentProgram } from '../../lib/program/program.ts';
import { createMetadataNeutronPart } from './neutron.ts';
import { createMetadataPart } from './standalone.ts';

await runAgentProgram({
  program: 'viaduct-metadata-agent',
  does: 'Answers 169.254.169.254 in router and DHCP namespaces and forwards to the metadata service.',
  role: 'metadata',
  standalone: createMetadataPart,
  neutron: createMetadataNeutronPart,
});

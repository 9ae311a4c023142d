#!/usr/bin/env -S node --max-semi-space-size=4
import { runAgentProgram } from '../../lib/program/program.ts';
import { createDhcpNeutronPart } from './neutron.ts';
import { createDhcpPart } from './standalone.ts';

await runAgentProgram({
  program: 'viaduct-dhcp-agent',
  does: 'Serves networks by dnsmasq: addresses, options, names.',
  role: 'dhcp',
  standalone: createDhcpPart,
  neutron: createDhcpNeutronPart,
});

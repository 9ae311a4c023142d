#!/usr/bin/env -S node --max-semi-space-size=4
import { runAgentProgram } from '../../lib/standalone/program.ts';
import { createDhcpPart } from './standalone.ts';

await runAgentProgram({
  program: 'viaduct-dhcp-agent',
  does: 'Serves networks by dnsmasq: addresses, options, names.',
  role: 'dhcp',
  create: createDhcpPart,
});

import type { OptionDeclaration } from '../option.ts';
import { pluggingOptions, scheduledAgentOptions, stateReportOptions } from './agent.ts';
import { announcementOptions, isolatedAnnouncementOptions } from './announcement.ts';
import { commonOptions } from './common.ts';
import { dhcpOptions, isolatedMetadataOptions } from './dhcp.ts';
import { haOptions, l3Options, metadataPortOptions } from './l3.ts';
import { loggingOptions } from './logging.ts';
import { messagingOptions, rabbitOptions } from './messaging.ts';
import {
  cacheOptions,
  metadataAgentOptions,
  metadataProxyOptions,
  metadataSocketOptions,
} from './metadata.ts';
import { ovsOptions } from './ovs.ts';

export const agentNames = ['l3', 'dhcp', 'metadata'] as const;
export type AgentName = (typeof agentNames)[number];

const everyAgent: readonly OptionDeclaration[] = [
  ...commonOptions,
  ...loggingOptions,
  ...messagingOptions,
  ...rabbitOptions,
  ...stateReportOptions,
  ...metadataSocketOptions,
  ...metadataPortOptions,
  ...metadataProxyOptions,
];

const tables: Readonly<Record<AgentName, readonly OptionDeclaration[]>> = {
  l3: [
    ...everyAgent,
    ...scheduledAgentOptions,
    ...pluggingOptions,
    ...l3Options,
    ...announcementOptions,
    ...haOptions,
    ...ovsOptions,
  ],
  dhcp: [
    ...everyAgent,
    ...scheduledAgentOptions,
    ...pluggingOptions,
    ...dhcpOptions,
    ...isolatedMetadataOptions,
    ...announcementOptions,
    ...isolatedAnnouncementOptions,
    ...ovsOptions,
  ],
  metadata: [...everyAgent, ...isolatedMetadataOptions, ...metadataAgentOptions, ...cacheOptions],
};

/** The options of an agent; every one is honoured or says why not. */
export const optionsOf = (agent: AgentName): readonly OptionDeclaration[] => tables[agent];

/** The options of all three agents, each once. */
export const allOptions: readonly OptionDeclaration[] = [...new Set(agentNames.flatMap(optionsOf))];

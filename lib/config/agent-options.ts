/**
 * Plain records named as Neutron's options, for the schemas of the agents. What is not set is left out, so
 * that the schema's default counts.
 */
import type { OptionDeclaration, OptionValue } from './option.ts';
import { pluggingOptions, scheduledAgentOptions, stateReportOptions } from './options/agent.ts';
import { announcementOptions, isolatedAnnouncementOptions } from './options/announcement.ts';
import { commonOptions } from './options/common.ts';
import { dhcpOptions, isolatedMetadataOptions } from './options/dhcp.ts';
import { haOptions, l3Options, metadataPortOptions } from './options/l3.ts';
import { messagingOptions, rabbitOptions } from './options/messaging.ts';
import { metadataAgentOptions, metadataProxyOptions, metadataSocketOptions } from './options/metadata.ts';
import { ovsOptions } from './options/ovs.ts';
import type { ConfigValues } from './resolve.ts';

export type OptionRecord = Readonly<Record<string, Exclude<OptionValue, null>>>;

const identity = [...commonOptions, ...stateReportOptions];
const network = [...scheduledAgentOptions, ...pluggingOptions, ...metadataPortOptions];
const metadataProxy = [...metadataSocketOptions, ...metadataProxyOptions];

/** For `l3Options` of agents/l3/options.ts: [DEFAULT] and [AGENT] in one record. */
export const toL3Options = (values: ConfigValues): OptionRecord =>
  pick(values, [
    ...identity,
    ...network,
    ...metadataProxy,
    ...l3Options,
    ...announcementOptions,
    ...haOptions,
  ]);

/** For the options of the DHCP agent: [DEFAULT] and [AGENT] in one record. */
export const toDhcpOptions = (values: ConfigValues): OptionRecord =>
  pick(values, [
    ...identity,
    ...network,
    ...metadataProxy,
    ...dhcpOptions,
    ...isolatedMetadataOptions,
    ...announcementOptions,
    ...isolatedAnnouncementOptions,
  ]);

/** For `parseMetadataOptions` of agents/metadata/options.ts; of any agent's values. */
export const toMetadataOptions = (values: ConfigValues): OptionRecord =>
  pick(values, [
    ...identity,
    ...metadataPortOptions,
    ...metadataProxy,
    ...isolatedMetadataOptions,
    ...metadataAgentOptions,
  ]);

/** For lib/rpc: broker, timeouts and [oslo_messaging_rabbit] in one record; holds the broker's password. */
export const toMessagingOptions = (values: ConfigValues): OptionRecord =>
  pick(values, [...messagingOptions, ...rabbitOptions]);

/** For the Open vSwitch wiring: [OVS]. */
export const toOvsOptions = (values: ConfigValues): OptionRecord => pick(values, ovsOptions);

function pick(values: ConfigValues, options: readonly OptionDeclaration[]): OptionRecord {
  const record: Record<string, Exclude<OptionValue, null>> = {};
  for (const { group, name } of options) {
    const value = values[group]?.[name];
    if (value !== undefined && value !== null) record[name] = value;
  }
  return record;
}

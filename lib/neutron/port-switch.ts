/** The Open vSwitch of this node, as the options say: [OVS] ovsdb_connection and what belongs to it. */
import fs from 'node:fs';
import { toOvsOptions } from '../config/agent-options.ts';
import type { ConfigValues } from '../config/resolve.ts';
import { fields, number, optional, text } from '../model/reader.ts';
import type { PortSwitch } from '../namespace/port-switch.ts';
import type { Logger } from '../telemetry/log.ts';
import { OpenVswitch } from '../wiring/openvswitch.ts';
import { type OpenVswitchOptions, ovsdbRemotes, type Wiring, wiringOf } from '../wiring/wiring.ts';

/** @throws TypeError naming option and value */
export const neutronWiring = (values: ConfigValues): Wiring =>
  wiringOf(String(values.DEFAULT?.interface_driver), {
    ...(toOvsOptions(values) as Partial<OpenVswitchOptions>),
    ovs_use_veth: values.DEFAULT?.ovs_use_veth === true,
  });

const connection = fields({
  ovsdb_connection: text,
  ovsdb_timeout: number,
  ssl_key_file: optional(text),
  ssl_cert_file: optional(text),
  ssl_ca_cert_file: optional(text),
});

/** How to reach the switch, to be remembered; paths and no keys. undefined: ports are wired another way. */
export const switchConnection = (values: ConfigValues): unknown =>
  neutronWiring(values).startsWith('openvswitch') ? connection(toOvsOptions(values)) : undefined;

/**
 * The switch of a remembered connection; undefined if nothing is remembered. It connects by itself, now or later.
 * @throws Error when a certificate can't be read, or what is remembered is nonsense
 */
export function openPortSwitch(
  remembered: unknown,
  onState: (message: string) => void,
): PortSwitch | undefined {
  if (remembered === undefined) return undefined;
  const { ovsdb_connection, ovsdb_timeout, ssl_key_file, ssl_cert_file, ssl_ca_cert_file } =
    connection(remembered);
  const tls =
    ssl_key_file && ssl_cert_file && ssl_ca_cert_file
      ? {
          key: fs.readFileSync(ssl_key_file),
          cert: fs.readFileSync(ssl_cert_file),
          ca: fs.readFileSync(ssl_ca_cert_file),
        }
      : undefined;
  return new OpenVswitch({
    remotes: ovsdbRemotes(ovsdb_connection),
    timeoutMs: ovsdb_timeout * 1000,
    ...(tls ? { tls } : {}),
    onState,
  });
}

/** The switch that the options name; see openPortSwitch. */
export const neutronPortSwitch = (values: ConfigValues, log: Logger): PortSwitch | undefined =>
  openPortSwitch(switchConnection(values), (message) => log.warn(message));

/** The Open vSwitch of this node, as the options say: [OVS] ovsdb_connection and what belongs to it. */
import fs from 'node:fs';
import { toOvsOptions } from '../config/agent-options.ts';
import type { ConfigValues } from '../config/resolve.ts';
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

/**
 * undefined: ports are wired another way. It connects by itself, now or later.
 * @throws Error when a certificate can't be read
 */
export function neutronPortSwitch(values: ConfigValues, log: Logger): PortSwitch | undefined {
  if (!neutronWiring(values).startsWith('openvswitch')) return undefined;
  const { ovsdb_connection, ovsdb_timeout, ssl_key_file, ssl_cert_file, ssl_ca_cert_file } =
    toOvsOptions(values);
  const read = (path: unknown): Buffer => fs.readFileSync(String(path));
  const tls =
    ssl_key_file && ssl_cert_file && ssl_ca_cert_file
      ? { key: read(ssl_key_file), cert: read(ssl_cert_file), ca: read(ssl_ca_cert_file) }
      : undefined;
  return new OpenVswitch({
    remotes: ovsdbRemotes(String(ovsdb_connection)),
    timeoutMs: Number(ovsdb_timeout) * 1000,
    ...(tls ? { tls } : {}),
    onState: (message) => log.warn(message),
  });
}

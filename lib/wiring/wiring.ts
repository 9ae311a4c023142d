import type { RowGroup } from '../namespace/rows.ts';
import { type Plug, plugBridge } from './bridge.ts';

/**
 * How ports meet the L2 fabric. 'own-bridge': a bridge of ours for each network (standalone). 'linuxbridge': Neutron's
 * Linux bridge agent finds the tap by its name and puts it into its own bridge.
 */
export const WIRINGS = ['own-bridge', 'linuxbridge'] as const;
export type Wiring = (typeof WIRINGS)[number];

/** Rows that bring a port into its namespace, up to the place where the L2 fabric takes over. */
export const plugPort = (plug: Plug, wiring: Wiring): RowGroup =>
  plugBridge(plug, { bridge: wiring === 'own-bridge' });

/**
 * What tenants may write into dnsmasq's files. dnsmasq cuts its files into lines of 1024 bytes, so a longer value
 * would go on as a line of its own; a quote, a control character or ` #` would end a line early.
 */

import { quoted } from '../../../lib/model/quoted.ts';

export type Warn = (message: string) => void;

/** Bytes of a line, newline included, that dnsmasq reads as one (MAXDNAME less its end mark). */
const LONGEST_LINE = 1_000;

export const shown = (text: string): string => quoted(text.length > 60 ? `${text.slice(0, 60)}…` : text);

const LABEL = /^[a-z0-9][a-z0-9_-]{0,62}$/i;

/**
 * Labels of at most 63 letters, digits, hyphens and underscores, neither of the latter first: what is a name to dnsmasq.
 * Neutron's own names may end with hyphens, for an address may end with colons. A dot at the end is allowed.
 */
export function isHostName(text: string): boolean {
  if (text.length > 254) return false;
  return text
    .replace(/\.$/, '')
    .split('.')
    .every((label) => LABEL.test(label));
}

/** What in a host line would be an address, a lease time or a keyword to dnsmasq, and not a name. */
const NO_NAME = /((^|\.)\d+|^(ignore|infinite|\d+[smhdw]))\.?$/i;

/** A host name that can stand in a host line. */
export const isFqdn = (text: string): boolean => isHostName(text) && !NO_NAME.test(text);

/** One word that ends neither a field nor the line; with colons it must be hexadecimal, or dnsmasq refuses the line. */
export const isClientId = (text: string): boolean =>
  /^[!$-+\-.-9;-Z^-~]{1,255}$/.test(text) || /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){1,254}$/i.test(text);

/** A name or number, perhaps with a tag before it: 'bootfile-name', '67', 'tag:ipxe,67'. */
export const isOptionName = (text: string): boolean =>
  /^(tag:!?[A-Za-z0-9_.-]{1,100},)?[A-Za-z0-9-]{1,100}$/.test(text);

/** Printable ASCII without quotes, and no start of a comment. */
export const isOptionValue = (text: string): boolean => /^[ !$-~#]*$/.test(text) && !/(^|\s)#/.test(text);

export const fitsLine = (line: string): boolean => Buffer.byteLength(line) < LONGEST_LINE;

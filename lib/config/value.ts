import { isIp } from '../model/ip.ts';
import type { OptionType, OptionValue } from './option.ts';

type Parsed<T> = { readonly value: T } | { readonly problem: string };
type Scalar = string | number | boolean | null;

const TRUE = new Set(['true', '1', 'on', 'yes']);
const FALSE = new Set(['false', '0', 'off', 'no']);

/**
 * A value from its text, by oslo.config's rules (`oslo_config/types.py`). An empty number is null: not set.
 * The problem says what is allowed and completes "… must be".
 */
export function parseValue(type: OptionType, text: string): Parsed<OptionValue> {
  if (type.kind === 'multi') return { value: [text] };
  if (type.kind !== 'list') return parseScalar(type, text);
  const values: Scalar[] = [];
  const trimmed = text.trim().replace(/,+$/, '');
  if (trimmed === '') return { value: [] };
  for (const part of trimmed.split(',')) {
    const parsed = parseScalar(type.item ?? { kind: 'string' }, part.trim());
    if ('problem' in parsed) return { problem: `a list whose items are each ${parsed.problem}` };
    values.push(parsed.value);
  }
  return { value: values };
}

function parseScalar(type: OptionType, text: string): Parsed<Scalar> {
  switch (type.kind) {
    case 'string':
      return parseString(type, text);
    case 'boolean': {
      const word = text.toLowerCase();
      if (TRUE.has(word)) return { value: true };
      if (FALSE.has(word)) return { value: false };
      return { problem: 'true, false, yes, no, on, off, 1 or 0' };
    }
    case 'integer':
    case 'float':
      return parseNumber(type, text);
    case 'host': {
      const value = text.replace(/\.$/, '');
      return isIp(text) || isHostName(value) ? { value } : { problem: 'an IP address or a host name' };
    }
    default:
      return { value: text };
  }
}

function parseString(type: Extract<OptionType, { kind: 'string' }>, text: string): Parsed<string> {
  const { choices, ignoreCase = false, maxLength, check } = type;
  const fold = (word: string): string => (ignoreCase ? word.toLowerCase() : word);
  if (choices && !choices.some((choice) => fold(choice) === fold(text))) {
    return { problem: choices.length === 1 ? choices[0]! : `one of ${choices.join(', ')}` };
  }
  if (maxLength !== undefined && text.length > maxLength) {
    return { problem: `at most ${maxLength} characters long` };
  }
  const problem = check?.(text);
  return problem === undefined ? { value: text } : { problem };
}

// Python's int() and float() take underscores between digits and leading zeros, and no 0x.
const INTEGER = /^[+-]?\d+(_\d+)*$/;
const FLOAT = /^[+-]?(\d+(_\d+)*(\.(\d+(_\d+)*)?)?|\.\d+(_\d+)*)(e[+-]?\d+(_\d+)*)?$/i;

function parseNumber(
  { kind, min, max }: Extract<OptionType, { kind: 'integer' | 'float' }>,
  text: string,
): Parsed<number | null> {
  const trimmed = text.trim();
  if (trimmed === '') return { value: null };
  const value = Number(trimmed.replaceAll('_', ''));
  const written = (kind === 'integer' ? INTEGER : FLOAT).test(trimmed);
  const fits = kind === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (!written || !fits || (min !== undefined && value < min) || (max !== undefined && value > max)) {
    return { problem: `${kind === 'integer' ? 'a whole number' : 'a number'}${rangeText(min, max)}` };
  }
  return { value };
}

function rangeText(min: number | undefined, max: number | undefined): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? '' : ` of at most ${max}`;
}

/** RFC 1123 names as `oslo_config/types.py` Hostname: the last part is not a bare number. */
function isHostName(text: string): boolean {
  if (text === '' || text.length > 253) return false;
  const labels = text.split('.');
  return (
    /[a-z-]/i.test(labels.at(-1)!) && labels.every((label) => /^(?!-)[a-z0-9-]{1,63}(?<!-)$/i.test(label))
  );
}

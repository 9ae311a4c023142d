import { expect, test } from 'vitest';
import { substitute } from '../../../lib/config/substitution.ts';

const known: Record<string, string> = { state_path: '/s', host: 'h', 'AGENT.zone': 'z' };
const run = (text: string): string => substitute(text, (name) => known[name] ?? `<${name}>`);

const braced = (name: string): string => `$${`{${name}}`}`;

// Compared with oslo.config 9.0.0.
test.each([
  ['$name', '$state_path/ra', '/s/ra'],
  ['a name in braces', `${braced('state_path')}x`, '/sx'],
  ['$group.name', '$AGENT.zone', 'z'],
  ['a group in braces', `${braced('AGENT.zone')}!`, 'z!'],
  ['a point belongs to the name', '$host.', '<host.>'],
  ['two in one', '$host$state_path', 'h/s'],
  ['$$ is one $', 'a$$b', 'a$b'],
  ['$$ protects a name', '$$host', '$host'],
  ['a backslash protects too', 'a\\$host', 'a$host'],
  ['a $ alone stays', '$ y$', '$ y$'],
  ['a $ before a digit stays', '$1', '$1'],
  ['an open brace stays', '${host', '${host'],
])('%s', (_title, text, expected) => {
  expect(run(text)).toBe(expected);
});

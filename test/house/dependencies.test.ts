import { describe, expect, test } from 'vitest';
import { violations } from './dependencies.ts';
import { packageRoot } from './package-root.ts';
import { readSources } from './sources.ts';

test('imports of the repository follow the rules', () => {
  expect(violations(readSources(packageRoot()))).toEqual([]);
});

describe('the checker catches', () => {
  const check = (tree: Record<string, string>): string[] => violations(new Map(Object.entries(tree)));
  const caught: [string, string, string, string][] = [
    [
      'input in the model',
      'lib/model/ip.ts',
      "import { readFileSync } from 'node:fs';",
      'no input or output',
    ],
    [
      'a socket in a compile function',
      'agents/l3/compile/a.ts',
      "import net from 'node:net';",
      'no input or',
    ],
    [
      'an import that spans lines',
      'lib/namespace/plan.ts',
      "import {\n  spawn,\n} from 'node:child_process';",
      'no input',
    ],
    ['a dynamic import', 'lib/model/a.ts', "  const { x } = await import('node:fs');", 'no input or output'],
    ['a bare side-effect import', 'lib/model/a.ts', "import 'koffi';", 'no input or output'],
    [
      'an agent in lib',
      'lib/wiring/a.ts',
      "import { b } from '../../agents/l3/b.ts';",
      'does not know the agents',
    ],
    [
      'an agent in lib, as a type',
      'lib/rpc/a.ts',
      "import type { B } from '../../agents/l3/b.ts';",
      'does not know',
    ],
    [
      'a router in the kernel layer',
      'lib/kernel/a.ts',
      "import { b } from '../model/b.ts';",
      'knows nothing',
    ],
    [
      'one agent in another',
      'agents/l3/a.ts',
      "import { b } from '../dhcp/b.ts';",
      'do not import each other',
    ],
    ['a test in the product', 'lib/daemon/a.ts', "import { b } from '../../test/b.ts';", 'tests or tools'],
    [
      'the test runner in the product',
      'agents/l3/a.ts',
      "import { expect } from 'vitest';",
      'tests or tools',
    ],
    [
      'a place outside the clone',
      'test/a.test.ts',
      "read('/work/shared/recorded/x.json');",
      'not in a clone',
    ],
  ];
  test.each(caught)('%s', (_name, path, source, message) => {
    const found = check({ [path]: source });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });

  test('input two files away from pure code', () => {
    const found = check({
      'lib/namespace/rows.ts': "export * from './a.ts';",
      'lib/namespace/a.ts': "import { b } from './b.ts';",
      'lib/namespace/b.ts': "import { readFileSync } from 'node:fs';",
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(
      'lib/namespace/a.ts imports lib/namespace/b.ts imports node:fs, but pure code',
    );
  });

  test('folders of lib that need each other', () => {
    const found = check({
      'lib/daemon/a.ts': "import { b } from '../wiring/b.ts';",
      'lib/wiring/b.ts': "import type { C } from '../telemetry/c.ts';",
      'lib/telemetry/c.ts': "import { a } from '../daemon/a.ts';",
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain('in a circle');
  });
});

test('the checker lets pass what the rules allow', () => {
  const tree = {
    'lib/model/ip.ts': "import { createHash } from 'node:crypto';\nimport cidr from 'ip-cidr';",
    'lib/namespace/plan.ts':
      "import type { Kernel } from '../kernel/netlink.ts';\nimport { link } from './rows.ts';",
    'lib/namespace/apply.ts': "import { open } from '../kernel/netns.ts';\n// import('../../agents/l3/a.ts')",
    'agents/cli/up.ts': "import { start } from '../l3/agent.ts';",
    'test/a.test.ts': "import { start } from '../agents/l3/agent.ts';\nimport { test } from 'vitest';",
  };
  expect(violations(new Map(Object.entries(tree)))).toEqual([]);
});

import { describe, expect, it } from 'vitest';
import { MODES } from './modes.ts';
import { compiled, rendered } from './rendered.ts';

describe('a network of each mode', () => {
  it.each(MODES)('%s becomes these rows and files', async (name, network) => {
    await expect(rendered(compiled(network))).toMatchFileSnapshot(`golden/${name}.txt`);
  });
});

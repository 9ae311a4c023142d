import { describe, expect, it } from 'vitest';
import { bySubject, type PlannedOwner } from '../../../agents/cli/planned.ts';
import { netns } from '../../../lib/namespace/rows.ts';

const owner = (
  kind: 'network' | 'router',
  id: string,
  namespace: string,
  wish: Partial<PlannedOwner> = {},
): PlannedOwner => ({
  subject: { kind, id, name: `${id}-name`, namespace },
  steps: [{ action: 'create', row: netns(namespace || `bridge-of-${id}`), reason: 'missing' }],
  ...wish,
});

describe('a plan by subject', () => {
  it('tells the bridge and the DHCP service of a network under one head, where the first stood', () => {
    const plan = bySubject([
      owner('network', 'a', ''),
      owner('router', 'r', 'qrouter-r'),
      owner('network', 'a', 'qdhcp-a'),
      owner('network', 'b', 'qdhcp-b'),
    ]);
    expect(
      plan.map(({ subject, steps }) => [subject.kind, subject.id, subject.namespace, steps.length]),
    ).toEqual([
      ['network', 'a', 'qdhcp-a', 2],
      ['router', 'r', 'qrouter-r', 1],
      ['network', 'b', 'qdhcp-b', 1],
    ]);
  });

  it('keeps what could not be read of either', () => {
    const [one] = bySubject([
      owner('network', 'a', '', { steps: [], unreadable: 'damaged' }),
      owner('network', 'a', 'qdhcp-a', { unreadable: 'no answer' }),
    ]);
    expect(one).toMatchObject({ unreadable: 'damaged; no answer', steps: [{ action: 'create' }] });
    expect(bySubject([owner('network', 'a', '')])[0]).not.toHaveProperty('unreadable');
  });
});

import { expect, it } from 'vitest';
import { l3Options } from '../../../agents/l3/options.ts';
import { compileRouterRecord } from '../../../agents/l3/standalone.ts';
import { routerPayload } from './compile/payload.ts';

it('a router on record was built: what it has is known also where routers like it are not taken any more', () => {
  const record = { kind: 'router', payload: routerPayload({ gw_port: null }) } as const;
  const rows = (taken: boolean) =>
    compileRouterRecord(record, { name: 'net-1' }, l3Options({ handle_internal_only_routers: taken }));
  expect(rows(false)).toEqual(rows(true));
  expect(rows(false)).not.toEqual([]);
});

it('the record of a network is not the L3 agent’s', () => {
  expect(
    compileRouterRecord({ kind: 'network', payload: {} }, { name: 'net-1' }, l3Options()),
  ).toBeUndefined();
});

import type { Recorded } from './deployment.ts';
import type { OwnerState } from './render/state.ts';

/** What an operator calls a thing. */
export type Subject = Pick<OwnerState, 'kind' | 'id' | 'name' | 'namespace'>;

const KINDS: Readonly<Record<string, OwnerState['kind']>> = {
  router: 'router',
  network: 'network',
  segment: 'network',
  instance: 'instance',
};

/** Which thing a record is about, as far as the record can tell. Pure. */
export function subjectOf({ owner, record, groups }: Recorded): Subject {
  const payload = fieldsOf(record?.payload);
  const [id, name] = [payload.id, payload.name];
  const home = groups.flat().find((row) => row.kind === 'netns');
  return {
    kind: KINDS[record?.kind ?? ''] ?? 'record',
    id: typeof id === 'string' ? id : owner,
    ...(typeof name === 'string' && name !== '' ? { name } : {}),
    namespace: home?.ns ?? '',
  };
}

/** 'router edge', 'network 5f2…' */
export const title = ({ kind, id, name }: Pick<Subject, 'kind' | 'id' | 'name'>): string =>
  `${kind} ${name ?? id}`;

const fieldsOf = (payload: unknown): Readonly<Record<string, unknown>> =>
  typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {};

/** '1 router', '2 routers' */
export const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

import type { OwnerState, RowState } from './render/state.ts';
import type { Thing } from './things.ts';

/**
 * The part of the owners' states that is about a thing: all of a router, network or instance; of a port or
 * floating IP the rows that name it, wherever they are. Pure.
 */
export function concerning(
  states: readonly OwnerState[],
  thing: Thing,
  things: readonly Thing[],
): OwnerState[] {
  if (thing.holder === `${thing.kind} ${thing.id}`)
    return states.filter(({ kind, id }) => thing.holder === `${kind} ${id}`);
  const holders = holdersOf(thing, things);
  const terms = new Set([...thing.identifiers, ...thing.addresses]);
  return states
    .filter(({ kind, id }) => holders.has(`${kind} ${id}`))
    .map((state) => ({ ...state, rows: state.rows.filter((row) => names(row, terms)) }))
    .filter(({ rows, unreadable }) => rows.length > 0 || unreadable !== undefined);
}

/** Tenants may have the same addresses: only the thing's own network and the routers on it are asked. */
function holdersOf(thing: Thing, things: readonly Thing[]): Set<string> {
  const port = thing.portId === undefined ? thing : things.find(({ id }) => id === thing.portId);
  const holders = new Set([thing.holder]);
  if (!port) return holders;
  holders.add(port.holder).add(`network ${port.networkId}`);
  for (const other of things)
    if (other.kind === 'port' && other.networkId === port.networkId && other.holder.startsWith('router '))
      holders.add(other.holder);
  return holders;
}

const names = (row: RowState, terms: ReadonlySet<string>): boolean =>
  JSON.stringify(row.state === 'extra' ? row.actual : row.desired)
    .split(/[^0-9A-Za-z.:_-]+/)
    .some((word) => terms.has(word));

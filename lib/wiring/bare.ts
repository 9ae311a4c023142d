import type { Row, RowGroup } from '../namespace/rows.ts';

/** Needs a device of a port to exist. */
function standsOnDevice(row: Row): boolean {
  switch (row.kind) {
    case 'address':
    case 'neighbour':
    case 'route':
    case 'daemon':
      return true;
    case 'sysctl':
      return /^net\/ipv[46]\/(conf|neigh)\/(?!all\/|default\/|lo\/)/.test(row.name);
    default:
      return false;
  }
}

const bare = new WeakMap<RowGroup, RowGroup>();

/**
 * Groups without what stands on devices that nobody plugs (`interface_driver = null`): namespaces, rulesets and
 * settings remain. The same group gives the same array again.
 */
export const withoutDevices = (groups: readonly RowGroup[]): RowGroup[] =>
  groups.map((group) => {
    const known = bare.get(group);
    if (known) return known;
    const kept = group.filter((row) => !standsOnDevice(row));
    bare.set(group, kept);
    return kept;
  });

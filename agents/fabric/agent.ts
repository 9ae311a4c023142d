/**
 * The L2 fabric of the standalone mode: bridges, physical interfaces and instances. Against Neutron the L2
 * agent and the hypervisor do this.
 */
import { rmSync } from 'node:fs';
import { readTemplate } from '../../lib/daemon/template.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import type { Controller } from '../../lib/standalone/controller.ts';
import type { Instance } from '../../lib/standalone/instance-view.ts';
import type { OwnerRecord, Part, Site } from '../../lib/standalone/site.ts';
import { compileInstance, compileSegment, type InstanceHost, type SegmentSource } from './compile/fabric.ts';

const INSTANCES = 'instance';
const SEGMENTS = 'segment';

/** Owner name of a network's bridge: the network's own id is the DHCP agent's. */
const segmentOwner = (networkId: string): string => `${SEGMENTS}-${networkId}`;

/** Rows of a recorded instance or segment, as they were last asked for; undefined: not this agent's. */
export function compileFabricRecord(record: { kind: string; payload: unknown }, host: InstanceHost) {
  if (record.kind === INSTANCES) return compileInstance(record.payload as Instance, host);
  return record.kind === SEGMENTS ? compileSegment(record.payload as SegmentSource) : undefined;
}

export const instanceHost = (site: Pick<Site, 'directory' | 'packageRoot'>): InstanceHost => ({
  directory: `${site.directory}/instances`,
  leaseScript: `${site.packageRoot}/deploy/instance-lease-script`,
  clientConfiguration: readTemplate(site.packageRoot, 'dhclient.conf'),
});

/** What the topology wants of the fabric, by owner: bridges before the instances plugged into them. */
export function fabricRecords(
  controller: Pick<Controller, 'networks' | 'instances'>,
): Map<string, OwnerRecord> {
  const records = new Map<string, OwnerRecord>();
  for (const { id, name, physical_interface } of controller.networks())
    records.set(segmentOwner(id), { kind: SEGMENTS, payload: { id, name, physical_interface } });
  for (const instance of controller.instances())
    records.set(instance.id, { kind: INSTANCES, payload: instance });
  return records;
}

/** Follows the controller's instances and networks. */
export function createFabric(site: Site): Part {
  const { controller, reconciler, log } = site;
  const host = instanceHost(site);
  site.adopt([INSTANCES, SEGMENTS], (record) => compileFabricRecord(record, host));
  const known = new Set(site.recorded([INSTANCES, SEGMENTS]));
  const problems = new Map<string, string>();
  let running: Promise<unknown> = Promise.resolve();
  let pending = 0;

  async function want(owner: string, record: OwnerRecord): Promise<void> {
    known.add(owner);
    const groups: readonly RowGroup[] = compileFabricRecord(record, host) ?? [];
    reconciler.setDesired(owner, groups, record);
    note(owner, (await reconciler.reconcile(owner)).failures);
  }

  function note(owner: string, failures: readonly { key: string; message: string }[]): void {
    const [first] = failures;
    if (!first) {
      problems.delete(owner);
      return;
    }
    // 'link eth1 in the host', not '|link|eth1'
    const [ns, ...names] = first.key.split('|');
    const problem = `${names.join(' ')} in ${ns || 'the host'}: ${first.message}`;
    problems.set(owner, problem);
    log.warn({ owner }, `not as wanted: ${problem}`);
  }

  async function synchronise(): Promise<void> {
    const wanted = fabricRecords(controller);
    for (const [owner, record] of wanted) await want(owner, record);
    // Instances before bridges: a bridge goes once nothing is plugged into it.
    const gone = [...known].filter((owner) => !wanted.has(owner)).sort();
    for (const owner of gone) {
      reconciler.removeOwner(owner);
      const { failures } = await reconciler.reconcile(owner, 'no longer in the topology');
      note(owner, failures);
      if (failures.length > 0) continue;
      known.delete(owner);
      // Leases are its DHCP clients' own files.
      rmSync(`${host.directory}/${owner}`, { recursive: true, force: true });
    }
  }

  const resync = (): void => {
    pending += 1;
    running = running
      .then(synchronise)
      .catch((error: unknown) => log.error(`fabric: ${String(error)}`))
      .finally(() => {
        pending -= 1;
        site.touch();
      });
  };

  return {
    role: 'fabric',
    start() {
      controller.on('instancesUpdated', resync);
      controller.on('networksUpdated', resync);
      controller.on('networksDeleted', resync);
      resync();
    },
    async stop() {
      for (const name of ['instancesUpdated', 'networksUpdated', 'networksDeleted'] as const)
        controller.off(name, resync);
      await running;
    },
    status() {
      // The reconciler tries again by itself; what agrees by now is no problem any more.
      for (const owner of problems.keys()) if (!reconciler.delta.isDirty(owner)) problems.delete(owner);
      return { settled: pending === 0, problems: Object.fromEntries(problems) };
    },
  };
}

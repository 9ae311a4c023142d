/**
 * Prefixes of a router's subnets that its provider delegates (contract l3.md §18): asked for once the gateway is there,
 * told to the controller, which gives the subnet that prefix, and given back before the gateway goes.
 */
import type { Router } from '../../lib/model/router.ts';
import type { L3Plugin } from '../../lib/model/source.ts';
import { UNDELEGATED } from '../../lib/model/subnet.ts';
import type { PrefixDelegation } from '../../lib/prefix-delegation/delegations.ts';
import { type Logger, messageOf } from '../../lib/process/owner-queue.ts';
import { delegatedSubnets, uplinkOf } from './compile/prefix-delegation.ts';
import type { L3Options } from './options.ts';

export interface DelegatedPrefixesSettings {
  readonly delegation: PrefixDelegation;
  readonly plugin: Pick<L3Plugin, 'updatePrefixes'>;
  readonly options: L3Options;
  readonly logger: Logger;
}

export class DelegatedPrefixes {
  private readonly settings: DelegatedPrefixesSettings;

  constructor(settings: DelegatedPrefixesSettings) {
    this.settings = settings;
  }

  /** What the router (undefined: nothing of it) wants no more is given back, while the device is there to say so. */
  async giveBack(id: string, router?: Router): Promise<void> {
    const { delegation, plugin, options, logger } = this.settings;
    const uplink = router && uplinkOf(router, options);
    const subnets = router && uplink ? delegatedSubnets(router).map(({ subnet }) => subnet) : [];
    const gone = await delegation.keepOnly(id, uplink, subnets);
    if (gone.length === 0) return;
    logger.info({ router: id }, `prefixes given back of subnets ${gone.join(', ')}`);
    try {
      await plugin.updatePrefixes(Object.fromEntries(gone.map((subnet) => [subnet, UNDELEGATED])));
    } catch (error) {
      // Most likely the subnet went, and that is why.
      logger.debug({ router: id }, `the controller takes no prefixes back: ${messageOf(error)}`);
    }
  }

  /** Asks for what the router wants; what the controller does not know yet it is told. @throws what the call throws */
  async follow(router: Router): Promise<void> {
    const { delegation, plugin, options, logger } = this.settings;
    const uplink = uplinkOf(router, options);
    const wanted = uplink ? delegatedSubnets(router) : [];
    if (!uplink || wanted.length === 0) return;
    delegation.want(router.id, uplink, wanted);
    const held = delegation.prefixes(router.id);
    const news = wanted.flatMap(({ subnet, cidr }) => {
      const prefix = held[subnet];
      return prefix === undefined || prefix === cidr ? [] : [[subnet, prefix] as const];
    });
    if (news.length === 0) return;
    await plugin.updatePrefixes(Object.fromEntries(news));
    for (const [subnet, prefix] of news)
      logger.info(
        { router: router.id },
        prefix === UNDELEGATED
          ? `the prefix of subnet ${subnet} ran out`
          : `subnet ${subnet} has prefix ${prefix}`,
      );
  }

  /** The router is built elsewhere from now on. */
  forget(id: string): void {
    this.settings.delegation.forget(id);
  }

  close(): void {
    this.settings.delegation.close();
  }
}

/** An agent that works off listings and events (L3, DHCP) as a part of a standalone process. */
import type { DhcpEvents, L3Events } from '../model/source.ts';
import { isSettled, type OwnerState } from '../process/owner-queue.ts';
import type { Role } from './deployment.ts';
import type { Part, Site } from './site.ts';

/** What such an agent has: the events of the controller go straight into it. */
export interface ListingAgent extends Partial<L3Events & DhcpEvents> {
  start(): void;
  stop(): Promise<void>;
  state(): OwnerState;
}

export function agentPart(site: Site, role: Role, agent: ListingAgent): Part {
  let unfollow: (() => void)[] = [];
  return {
    role,
    start() {
      const touch = (): void => site.touch();
      unfollow = [
        site.controller.follow(agent),
        site.controller.follow({
          routersUpdated: touch,
          routersDeleted: touch,
          networksUpdated: touch,
          networksDeleted: touch,
        }),
      ];
      agent.start();
    },
    async stop() {
      for (const end of unfollow) end();
      await agent.stop();
    },
    status() {
      const state = agent.state();
      return { settled: isSettled(state), problems: state.problems };
    },
  };
}

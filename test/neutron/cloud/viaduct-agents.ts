/** Viaduct's agents as a side of a comparison. */
import { program } from '../../e2e/build.ts';
import { AgentGroup } from './agent-group.ts';
import type { NetworkNode } from './node.ts';

export class ViaductAgents extends AgentGroup {
  constructor(node: NetworkNode) {
    const { directory, statePath } = node;
    super({
      name: 'viaduct-compared',
      directory,
      statePath,
      // Then all routers are built or refused.
      finished: (log) => log.includes('settled after'),
      argv: (role) => program(role, ...node.configFiles(role).flatMap((file) => ['--config-file', file])),
    });
  }
}

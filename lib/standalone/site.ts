/** One process of a standalone deployment: an AgentProcess whose source is the topology file. */
import { join, resolve } from 'node:path';
import { AgentProcess, type Part, type ProcessSettings, takeRoles } from '../process/agent-process.ts';
import type { Role } from '../process/roles.ts';
import type { Logger } from '../telemetry/log.ts';
import { Controller } from './controller.ts';
import { writeFacts } from './deployment.ts';
import { problemText } from './problem.ts';

export type { OwnerRecord, Part, PartStatus } from '../process/agent-process.ts';

export interface SiteSettings {
  readonly file: string;
  /** root of the state directories */
  readonly root: string;
  /** name of this machine */
  readonly host: string;
  readonly roles: readonly Role[];
  readonly packageRoot: string;
  readonly log: Logger;
  /** stay, repair and follow the file; false: build once */
  readonly stay: boolean;
}

export class Site extends AgentProcess {
  readonly controller: Controller;
  private readonly stay: boolean;

  private constructor(controller: Controller, settings: ProcessSettings) {
    super(settings);
    this.controller = controller;
    this.stay = settings.heal;
  }

  /**
   * Read the topology and take the roles. Nothing is changed if the file is wrong.
   * @throws TopologyError, RoleTaken
   */
  static async open(settings: SiteSettings): Promise<Site> {
    const { file, host, root, roles, packageRoot, log, stay } = settings;
    const directoryOf = (name: string): string => join(resolve(root), name);
    const controller = new Controller({ file, host, directory: directoryOf });
    const topology = await controller.open();
    const directory = directoryOf(topology.name);
    const release = await takeRoles(directory, roles);
    return new Site(controller, { directory, packageRoot, log, heal: stay, release });
  }

  async start(parts: readonly Part[], options: Readonly<Record<string, unknown>>): Promise<void> {
    const { name, host } = this.controller.topology;
    writeFacts(this.directory, { name, host, topology: this.controller.file, options });
    this.controller.on('invalid', (problems) => {
      for (const problem of problems)
        this.log.error(`${problemText(problem)} (the last good topology stays)`);
    });
    this.controller.on('loaded', () => this.touch());
    if (this.stay) this.controller.watch();
    await this.startParts(parts);
  }

  /** Stop taking part. What was built stays. */
  override async close(): Promise<void> {
    this.controller.close();
    await super.close();
  }
}

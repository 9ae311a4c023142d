import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { Records } from '../../../lib/namespace/records.ts';
import { NotPermitted } from '../../../lib/process/privilege.ts';
import { DEFAULT_ROOT, RoleTaken } from '../../../lib/standalone/deployment.ts';
import { runSite } from '../../../lib/standalone/run.ts';
import type { Site } from '../../../lib/standalone/site.ts';
import { createLog } from '../../../lib/telemetry/log.ts';
import { BuildDisplay } from '../build-display.ts';
import { CommandFailure, exitCodes } from '../exit-codes.ts';
import { openOutput } from '../output.ts';
import { BUILDERS, createParts, ROLES } from '../parts.ts';
import { requireRoot } from '../privilege.ts';
import { readTopologyFile } from '../topology-file.ts';

const HELP = `
Builds every network, router and instance of the file on this host, then stays: what somebody changes in
the kernel is repaired, edits of the file are followed (a bad edit is reported and changes nothing), and
metadata is served. Run it again at any time, also after a crash: what is right already is left alone.

It ends at Ctrl-C or SIGTERM, and everything it built stays; "viaduct down FILE" removes it.
With --once it ends when everything is built: exit 0, or 1 naming what could not be built. Nobody then
repairs drift or serves metadata. Exit 65 when the file has errors: then nothing was changed.

Examples:
  viaduct up net.yaml
  viaduct up --once net.yaml && viaduct ls
`;

interface Flags {
  readonly stateDir: string;
  readonly once?: boolean;
  readonly debug?: boolean;
}

export function up(): Command {
  return new Command('up')
    .description('build what a topology file says, keep it so, follow edits of the file')
    .argument('<file>', 'topology file (YAML)')
    .option('--once', 'build, wait until all is as wanted, end')
    .option('--debug', 'log more')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (file: string, flags: Flags) => {
      process.exitCode = await run(file, flags);
    });
}

async function run(file: string, flags: Flags): Promise<number> {
  const { name } = readTopologyFile(file);
  requireRoot('up');
  refuseDamage(join(resolve(flags.stateDir), name));
  const once = flags.once === true;
  const roles = once ? BUILDERS : ROLES;
  const display = new BuildDisplay(openOutput(), { file, once });
  const log = createLog({ program: 'viaduct', level: logLevel(display.live, flags.debug) });
  try {
    let names: Map<string, string> | undefined;
    const problems = await runSite({
      file,
      root: resolve(flags.stateDir),
      roles,
      log,
      once,
      parts: (site) => {
        display.begin(site);
        return createParts(site, roles);
      },
      onSettled: (site) => {
        names = namesOf(site);
        display.settled(site, names);
      },
    });
    if (!once) return exitCodes.ok;
    if (!names) throw new CommandFailure(`ended before ${name} was built; run it again to go on`);
    const failed = Object.entries(problems);
    if (failed.length === 0) return exitCodes.ok;
    const list = failed.map(([owner, problem]) => `\n  ${names?.get(owner) ?? owner}: ${problem}`);
    throw new CommandFailure(`${name} is not as wanted:${list.join('')}`);
  } catch (error) {
    if (error instanceof RoleTaken || error instanceof NotPermitted) throw new CommandFailure(error.message);
    throw error;
  } finally {
    display.end();
  }
}

/** What a damaged record is about can't be told, so nothing is built around it. */
function refuseDamage(directory: string): void {
  const { damaged } = new Records(join(directory, 'records')).read();
  for (const reason of damaged.values()) throw new CommandFailure(reason);
}

/** On a terminal the display tells what goes well, and the log only what does not. */
function logLevel(live: boolean, debug: boolean | undefined): string {
  if (debug) return 'debug';
  return live ? 'warn' : 'info';
}

/** 'router edge' for the ids that problems and log lines go by. */
function namesOf(site: Site): Map<string, string> {
  const { networks, routers, instances } = site.controller.topology;
  const names = new Map<string, string>();
  for (const { id, name } of networks) {
    names.set(id, `network ${name || id}`);
    names.set(`segment-${id}`, `bridge of network ${name || id}`);
  }
  for (const { id, name } of routers) names.set(id, `router ${name || id}`);
  for (const { id, name } of instances) names.set(id, `instance ${name || id}`);
  return names;
}

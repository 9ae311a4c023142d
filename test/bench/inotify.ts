/**
 * The kernel grants a user 128 inotify instances, and every dnsmasq that watches directories takes one: a node with
 * more networks than that needs more (deploy/sysctl.d/60-viaduct.conf), and so does a bench of one.
 */
import fs from 'node:fs';

const LIMIT = '/proc/sys/fs/inotify/max_user_instances';
const SETTINGS = new URL('../../../deploy/sysctl.d/60-viaduct.conf', import.meta.url);

/** What the settings say, for as long as the bench runs. Returns how to put it back. */
export function grantInotify(progress: (line: string) => void): () => void {
  const before = fs.readFileSync(LIMIT, 'utf8').trim();
  const wanted = /^fs\.inotify\.max_user_instances *= *(\d+)$/m.exec(fs.readFileSync(SETTINGS, 'utf8'))?.[1];
  if (wanted === undefined || Number(before) >= Number(wanted)) return () => undefined;
  progress(`fs.inotify.max_user_instances is ${wanted} while this runs, then ${before} again`);
  fs.writeFileSync(LIMIT, wanted);
  return () => fs.writeFileSync(LIMIT, before);
}

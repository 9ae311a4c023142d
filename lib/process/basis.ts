/**
 * What stands for all that an owner's rows follow from besides its record: an agent's options, facts of the host, and
 * this program itself, of which another version may compile otherwise.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['agents', 'lib', 'templates', 'dist/agents', 'dist/lib'];

/** Size and time of every file the program is made of, wherever it runs from. */
function program(packageRoot: string): string[] {
  return SOURCES.flatMap((folder) => {
    const path = join(packageRoot, folder);
    if (!fs.existsSync(path)) return [];
    return fs.readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => {
      const { size, mtimeMs } = fs.statSync(join(path, name));
      return `${folder}/${name} ${size} ${mtimeMs}`;
    });
  });
}

/** Equal for equal facts and an unchanged program. */
export const basisOf = (packageRoot: string, facts: unknown): string =>
  createHash('sha1')
    .update(JSON.stringify([facts, program(packageRoot)]))
    .digest('base64');

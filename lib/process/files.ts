/** Small files that other processes read while they are written. */
import fs from 'node:fs';
import { join } from 'node:path';

export function writeAtomically(path: string, content: string, mode = 0o640): void {
  fs.mkdirSync(join(path, '..'), { recursive: true, mode: 0o755 });
  fs.writeFileSync(`${path}.new`, content, { mode });
  fs.renameSync(`${path}.new`, path);
}

/** undefined: there is no such file, or it is not JSON */
export const readJson = <T>(path: string): T | undefined => {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
};

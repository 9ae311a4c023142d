/** The tables of neutron-server: making them takes a minute, reading them from a file of SQL a second. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from './database.ts';
import { NeutronServer } from './server.ts';

/** Tables as the Neutron on this machine makes them: another version has others. @throws Error if there is none */
export function schemaFile(packageRoot: string): string {
  const version = execFileSync('dpkg-query', ['-W', 'neutron-server'], { encoding: 'utf8' }).split('\t')[1]!;
  const name = `neutron-${version.trim().replaceAll(/[^\w.]/g, '-')}.sql`;
  return join(packageRoot, 'node_modules/.cache/viaduct', name);
}

/** Makes the file, with a database for nothing else. */
export async function makeSchema(file: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'vdt-schema-'));
  const database = new Database(directory);
  try {
    await database.start();
    const server = new NeutronServer(directory, { transportUrl: 'fake://', database: database.url });
    await server.prepare();
    await database.dump(file);
  } finally {
    await database.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Run once in a machine of its own before the files that all need them; see main.ts. */
import { packageRoot } from '../../house/package-root.ts';
import { makeSchema, schemaFile } from './schema.ts';

await makeSchema(schemaFile(packageRoot()));

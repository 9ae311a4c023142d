import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** `<name>.pem` and `<name>.key` in the folder: a certificate signed by `ca`, or by itself. */
export async function certificate(
  folder: string,
  name: string,
  subject: string,
  extensions: string,
  ca?: string,
): Promise<void> {
  const openssl = (...args: string[]) => execa('openssl', args, { cwd: folder });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const key = [...curve, '-nodes', '-keyout', `${name}.key`];
  if (!ca) {
    await openssl('req', '-x509', ...key, '-out', `${name}.pem`, '-days', '2', '-subj', subject);
    return;
  }
  writeFileSync(join(folder, `${name}.ext`), extensions);
  await openssl('req', ...key, '-out', `${name}.csr`, '-subj', subject);
  const signing = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-extfile', `${name}.ext`];
  await openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-days', '2', '-out', `${name}.pem`);
}

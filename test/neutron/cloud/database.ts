import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { output, run, until } from '../../e2e/shell.ts';
import { Daemon } from './daemon.ts';

/** A MariaDB of this test's own: no port, a socket in its directory. Durability is nobody's concern here. */
export class Database {
  readonly #socket: string;
  readonly #data: string;
  readonly #daemon: Daemon;

  constructor(directory: string) {
    this.#data = join(directory, 'mariadb');
    this.#socket = join(directory, 'mariadb.sock');
    const argv = [
      'mariadbd',
      '--no-defaults',
      '--user=root',
      `--datadir=${this.#data}`,
      `--socket=${this.#socket}`,
      '--skip-networking',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-doublewrite=0',
      '--innodb-buffer-pool-size=64M',
      '--performance-schema=0',
    ];
    this.#daemon = new Daemon('mariadb', argv, directory);
  }

  /** oslo.db's `connection` */
  get url(): string {
    return `mysql+pymysql://neutron:neutron@localhost/neutron?unix_socket=${this.#socket}&charset=utf8`;
  }

  async start(): Promise<void> {
    mkdirSync(this.#data, { recursive: true });
    await output(
      'mariadb-install-db',
      '--no-defaults',
      '--user=root',
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      `--datadir=${this.#data}`,
      // Clouds in machines of their own have the same process ids, by which temporary tables are named.
      `--tmpdir=${this.#data}`,
    );
    this.#daemon.start();
    await until('MariaDB answers', () => this.#sql('SELECT 1'), 240_000);
    await this.#sql(
      "CREATE DATABASE neutron CHARACTER SET utf8mb3; CREATE USER neutron@localhost IDENTIFIED BY 'neutron'; " +
        'GRANT ALL ON neutron.* TO neutron@localhost',
    );
  }

  #sql(text: string): Promise<string> {
    return output('mariadb', '--no-defaults', `--socket=${this.#socket}`, '-e', text);
  }

  /** Reads tables from a file of SQL. */
  async fill(file: string): Promise<void> {
    const argv = ['mariadb', '--no-defaults', `--socket=${this.#socket}`, 'neutron'];
    const { code, stderr } = await run(argv, { input: readFileSync(file, 'utf8') });
    if (code !== 0) throw new Error(`${file}: ${stderr}`);
  }

  /** Writes them to one, all or nothing. */
  async dump(file: string): Promise<void> {
    const text = await output('mariadb-dump', '--no-defaults', `--socket=${this.#socket}`, 'neutron');
    mkdirSync(dirname(file), { recursive: true });
    const draft = `${file}.${process.pid}-${Date.now()}`;
    writeFileSync(draft, text);
    renameSync(draft, file);
  }

  async stop(): Promise<void> {
    await this.#daemon.stop('SIGKILL');
  }
}

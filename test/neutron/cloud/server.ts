import { join } from 'node:path';
import { run, until } from '../../e2e/shell.ts';
import { Daemon } from './daemon.ts';
import { type Ini, writeIni } from './ini.ts';
import { type FoundProcess, processesOf } from './processes.ts';

const PORT = 9696;
const HOST = '127.0.0.1';

/** Something of the Networking API. */
export interface Resource {
  readonly id: string;
  readonly [key: string]: unknown;
}

/** Refused by the API. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(request: string, status: number, text: string) {
    super(`${request}: ${status} ${text.slice(0, 300)}`);
    this.status = status;
  }
}

/** An unmodified neutron-server of Debian's, without Keystone, and its API. */
export class NeutronServer {
  readonly #directory: string;
  readonly #config: string;
  readonly #daemon: Daemon;

  constructor(directory: string, given: { transportUrl: string; database: string; more?: Ini | undefined }) {
    this.#directory = directory;
    this.#config = writeIni(
      join(directory, 'neutron-server.conf'),
      serverOptions(directory, given),
      given.more ?? {},
    );
    this.#daemon = new Daemon('neutron-server', ['neutron-server', '--config-file', this.#config], directory);
  }

  /** Makes the tables: a minute's work, once. */
  async prepare(): Promise<void> {
    const argv = ['neutron-db-manage', '--config-file', this.#config, 'upgrade', 'heads'];
    const { code, stdout, stderr } = await run(argv, { timeout: 300_000 });
    if (code !== 0) throw new Error(`neutron-db-manage: ${stderr.slice(-2000)}${stdout.slice(-500)}`);
  }

  async start(): Promise<void> {
    this.#daemon.start();
    await until(
      'neutron-server answers',
      async () => {
        if (!this.#daemon.running) throw new Error(`it ended:\n${this.#daemon.tail()}`);
        return await this.list('agents');
      },
      240_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#daemon.tail()}`);
    });
  }

  /** To the server and its workers, which do the work. */
  signal(signal: NodeJS.Signals): void {
    for (const { pid } of this.processes) process.kill(pid, signal);
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    return this.#daemon.stop(signal);
  }

  /** It and its workers. */
  get processes(): FoundProcess[] {
    const { pid } = this.#daemon;
    return pid === undefined ? [] : processesOf(undefined, [pid]);
  }

  get log(): string {
    return join(this.#directory, 'neutron-server.log');
  }

  // --- the API, as admin ---------------------------------------------------------------------------------

  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`http://${HOST}:${PORT}/v2.0/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiError(`${method} ${path}`, response.status, text);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** `collection` as in the path: 'networks', 'security-groups' */
  async list(collection: string, query = ''): Promise<Resource[]> {
    const answer = (await this.request('GET', `${collection}${query}`)) as Record<string, Resource[]>;
    return answer[collection.replaceAll('-', '_')] ?? [];
  }

  async show(collection: string, id: string): Promise<Resource> {
    return only(await this.request('GET', `${collection}/${id}`));
  }

  async create(collection: string, given: Readonly<Record<string, unknown>>): Promise<Resource> {
    const body = { [single(collection)]: { ...projectOf(collection), ...given } };
    return only(await this.request('POST', collection, body));
  }

  /** Several in one request; all or none. */
  async createAll(
    collection: string,
    given: readonly Readonly<Record<string, unknown>>[],
  ): Promise<Resource[]> {
    const name = collection.replaceAll('-', '_');
    const body = { [name]: given.map((one) => ({ ...projectOf(collection), ...one })) };
    const answer = (await this.request('POST', collection, body)) as Record<string, Resource[]>;
    return answer[name]!;
  }

  async update(collection: string, id: string, given: Readonly<Record<string, unknown>>): Promise<Resource> {
    return only(await this.request('PUT', `${collection}/${id}`, { [single(collection)]: given }));
  }

  async remove(collection: string, id: string): Promise<void> {
    await this.request('DELETE', `${collection}/${id}`);
  }
}

const PROJECT = '0123456789abcdef0123456789abcdef';

const single = (collection: string): string => collection.replace(/s$/, '').replaceAll('-', '_');
const projectOf = (collection: string) => (collection === 'agents' ? {} : { project_id: PROJECT });

function only(answer: unknown): Resource {
  return Object.values(answer as Record<string, Resource>)[0]!;
}

function serverOptions(
  directory: string,
  { transportUrl, database }: { transportUrl: string; database: string },
): Ini {
  return {
    DEFAULT: {
      transport_url: transportUrl,
      auth_strategy: 'noauth',
      core_plugin: 'ml2',
      service_plugins: 'router',
      state_path: join(directory, 'server-state'),
      bind_host: HOST,
      bind_port: PORT,
      api_paste_config: '/etc/neutron/api-paste.ini',
      api_workers: 1,
      rpc_workers: 1,
      rpc_state_report_workers: 1,
      notify_nova_on_port_status_changes: false,
      notify_nova_on_port_data_changes: false,
      use_stderr: true,
      dhcp_agents_per_network: 1,
    },
    database: { connection: database, max_pool_size: 5 },
    oslo_concurrency: { lock_path: join(directory, 'server-locks') },
    quotas: Object.fromEntries(
      ['network', 'subnet', 'port', 'router', 'floatingip', 'security_group', 'security_group_rule'].map(
        (name) => [`quota_${name}`, -1],
      ),
    ),
    experimental: { linuxbridge: true },
    ml2: {
      type_drivers: 'flat,local',
      tenant_network_types: 'local',
      mechanism_drivers: 'linuxbridge',
      extension_drivers: 'port_security',
    },
    ml2_type_flat: { flat_networks: '*' },
  };
}

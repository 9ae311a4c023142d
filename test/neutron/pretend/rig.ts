/** A broker, a server that can be let down, and a node whose agents are the compiled programs. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { output, until } from '../../e2e/shell.ts';
import { complaintsOf, type LogLine, logOf } from '../cloud/agent-log.ts';
import { NetworkNode, type NodeAgent, type NodeOptions } from '../cloud/node.ts';
import { requirePrivateMachine } from '../cloud/private.ts';
import { TestBroker } from '../rabbit/broker.ts';
import { PretendServer } from './server.ts';

/** As the payloads of test/bench/networks-under-test.ts name it. */
export const HOST = 'bench';

export class PretendRig {
  readonly directory = fs.mkdtempSync(join(tmpdir(), 'vdt-pretend-'));
  readonly broker: TestBroker;
  readonly server: PretendServer;
  readonly node: NetworkNode;
  readonly #roles: readonly NodeAgent[];

  private constructor(broker: TestBroker, roles: readonly NodeAgent[], options: NodeOptions) {
    fs.chmodSync(this.directory, 0o755);
    this.broker = broker;
    this.#roles = roles;
    this.server = new PretendServer(broker.port);
    this.node = new NetworkNode({
      ...options,
      directory: this.directory,
      transportUrl: broker.url(),
      host: HOST,
      novaPort: 1,
      bridgeMappings: {},
    });
  }

  /** The server answers; the agents are not started. */
  static async open(roles: readonly NodeAgent[], options: NodeOptions = {}): Promise<PretendRig> {
    requirePrivateMachine();
    const rig = new PretendRig(await TestBroker.start(), roles, options);
    await rig.server.start();
    return rig;
  }

  async close(): Promise<void> {
    await this.node.stop();
    await this.server.stop();
    await this.broker.stop();
    for (const ns of listNamespaces()) await output('ip', 'netns', 'del', ns);
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Waits; if it takes too long the error has the logs. */
  async soon<T>(what: string, look: () => T | Promise<T>, timeout = 240_000) {
    return until(what, look, timeout).catch((error: Error) => {
      const logs = this.#roles.map((role) => this.node.agent(role).tail(4_000)).join('\n');
      throw new Error(`${error.message}\n${logs}`);
    });
  }

  settled(): Promise<unknown> {
    return this.soon('the agents have done all they know of', () =>
      this.#roles.every((role) => this.node.status(role)?.converged === true),
    );
  }

  log(role: NodeAgent): LogLine[] {
    return logOf(this.node.agent(role));
  }

  complaints(role: NodeAgent, work: () => Promise<unknown>): Promise<string[]> {
    return complaintsOf(this.node.agent(role), work);
  }
}

import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to the broker that can be cut: sockets in between, on 127.0.0.1. */
export class Relay {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  target: number;
  /** what happens to new connections */
  accepting = true;
  /** how many connections were made */
  count = 0;

  /** @param target port; 0: to be said before the first connection comes */
  static async to(target: number): Promise<Relay> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Relay(server, target);
  }

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    const address = server.address();
    this.port = typeof address === 'object' && address ? address.port : 0;
    server.on('connection', (near) => {
      if (!this.accepting) {
        near.destroy();
        return;
      }
      this.count += 1;
      const far = connect(this.target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.pipe(other);
        one.on('error', () => undefined);
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
    });
  }

  /** Ends every connection that goes through, as a broken network would. */
  cut(): void {
    for (const socket of [...this.#sockets]) socket.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}

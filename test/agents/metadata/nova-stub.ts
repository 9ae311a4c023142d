import { createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly url: string;
  /** flat name, value list as it came over the wire */
  readonly rawHeaders: readonly string[];
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** number of the connection it came on, from 1 */
  readonly connection: number;
}

export interface NovaStub {
  readonly port: number;
  readonly seen: Seen[];
  /** connections accepted so far */
  connections(): number;
  /** answers; default: 200 with the instance id */
  respond: (request: Seen, response: http.ServerResponse) => void;
  closeConnections(): void;
  close(): Promise<void>;
}

/** Refuses a wrong signature with 403 as Nova does. */
export async function startNova(secret: string, server = http.createServer()): Promise<NovaStub> {
  const numbers = new Map<Socket, number>();
  const seen: Seen[] = [];
  const stub: Omit<NovaStub, 'port'> = {
    seen,
    connections: () => numbers.size,
    respond: (request, response) => response.end(String(request.headers['x-instance-id'])),
    closeConnections: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  server.on('connection', (socket: Socket) => numbers.set(socket, numbers.size + 1));
  server.on('request', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request;
      const connection = numbers.get(request.socket) ?? 0;
      const one = { method, url, headers, rawHeaders, body: Buffer.concat(chunks), connection };
      seen.push(one);
      const expected = createHmac('sha256', secret).update(String(headers['x-instance-id'])).digest('hex');
      if (headers['x-instance-id-signature'] !== expected) {
        response.statusCode = 403;
        response.end('Invalid proxy request signature.');
      } else stub.respond(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(stub, { port: (server.address() as AddressInfo).port });
}

/** What the demo does inside namespaces: run a program, ping, ask who is there. Only real packets. */
import http from 'node:http';
import { execa } from 'execa';
import { inNamespace } from '../../../lib/kernel/netns.ts';
import { listenTcp } from '../../../lib/kernel/socket.ts';

/** TCP port on which the demo's listeners tell who they are. */
export const WHO_PORT = 8000;

const PROGRAM_MS = 10_000;

/** Exit code and standard output of a program run in a namespace; undefined code: it was killed. */
export async function runInside(
  ns: string,
  argv: readonly string[],
): Promise<{ code: number | undefined; stdout: string }> {
  const [program, ...args] = argv;
  const { child } = inNamespace(ns, () => ({
    child: execa(program!, args, {
      stdin: 'ignore',
      reject: false,
      timeout: PROGRAM_MS,
      env: { LC_ALL: 'C' },
    }),
  }));
  const { exitCode, stdout } = await child;
  return { code: exitCode, stdout };
}

/** Who answered on a connection, and which address it came from as seen there. */
export interface Answer {
  readonly who: string;
  readonly peer: string;
}

/** Answers in a namespace with `who` and the caller's address until the returned function is called. */
export async function answerAs(ns: string, who: string): Promise<() => Promise<void>> {
  const server = http.createServer((request, response) => {
    const answer: Answer = { who, peer: request.socket.remoteAddress ?? '' };
    response.setHeader('connection', 'close');
    response.end(JSON.stringify(answer));
  });
  const fd = listenTcp({ ns, address: '0.0.0.0', port: WHO_PORT });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

/** The body of a page, as curl in the namespace gets it; undefined if nobody answers in 3 s. */
export async function fetchFrom(ns: string, url: string): Promise<string | undefined> {
  const { code, stdout } = await runInside(ns, ['curl', '-s', '-f', '-m', '3', url]);
  return code === 0 ? stdout : undefined;
}

/** Connects to an address from a namespace; undefined if nobody answers. */
export async function ask(ns: string, address: string): Promise<Answer | undefined> {
  const body = await fetchFrom(ns, `http://${address}:${WHO_PORT}/`);
  return body === undefined ? undefined : (JSON.parse(body) as Answer);
}

/** Replies to three pings. */
export async function ping(ns: string, address: string): Promise<number> {
  const { stdout } = await runInside(ns, ['ping', '-n', '-q', '-c', '3', '-i', '0.1', '-W', '1', address]);
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

/** IPv4 addresses of eth0 with prefix length. */
export async function addresses(ns: string): Promise<string[]> {
  const { stdout } = await runInside(ns, ['ip', '-4', '-o', 'address', 'show', 'dev', 'eth0']);
  return [...stdout.matchAll(/inet (\S+)/g)].map((match) => match[1]!);
}

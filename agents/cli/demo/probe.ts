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
    const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const answer: Answer = { who, peer };
    response.setHeader('connection', 'close');
    response.end(JSON.stringify(answer));
  });
  const fd = listenTcp({ ns, address: '::', port: WHO_PORT });
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
  const { code, stdout } = await runInside(ns, ['curl', '-s', '-g', '-f', '-m', '3', url]);
  return code === 0 ? stdout : undefined;
}

/** Connects to an address from a namespace; undefined if nobody answers. */
export async function ask(ns: string, address: string): Promise<Answer | undefined> {
  const host = address.includes(':') ? `[${address}]` : address;
  const body = await fetchFrom(ns, `http://${host}:${WHO_PORT}/`);
  return body === undefined ? undefined : (JSON.parse(body) as Answer);
}

/** Replies to three pings. */
export async function ping(ns: string, address: string): Promise<number> {
  const { stdout } = await runInside(ns, ['ping', '-n', '-q', '-c', '3', '-i', '0.1', '-W', '1', address]);
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

/** IPv6 addresses of eth0 that it has for a time, by router advertisements or DHCPv6, and may use. */
export async function learnedAddresses(ns: string): Promise<string[]> {
  const { stdout } = await runInside(ns, ['ip', '-6', '-o', 'address', 'show', 'dev', 'eth0', 'dynamic']);
  const usable = stdout.split('\n').filter((line) => !/tentative|deprecated/.test(line));
  return usable.flatMap((line) => /inet6 ([^/]+)\//.exec(line)?.[1] ?? []);
}

/** Whether it has an IPv6 default route. */
export async function hasIpv6Router(ns: string): Promise<boolean> {
  const { stdout } = await runInside(ns, ['ip', '-6', 'route', 'show', 'default']);
  return stdout.trim() !== '';
}

/** IPv4 addresses of eth0 with prefix length. */
export async function addresses(ns: string): Promise<string[]> {
  const { stdout } = await runInside(ns, ['ip', '-4', '-o', 'address', 'show', 'dev', 'eth0']);
  return [...stdout.matchAll(/inet (\S+)/g)].map((match) => match[1]!);
}

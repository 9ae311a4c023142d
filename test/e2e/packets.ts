/** What can be sent and seen inside a namespace: the only evidence these tests accept. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { listenTcp } from '../../lib/kernel/socket.ts';
import { Background, inNs, output, type Ran, run, until } from './shell.ts';

export interface Pinged {
  readonly sent: number;
  readonly received: number;
  /** time to live of the replies: tells how far away who answered is */
  readonly ttls: readonly number[];
}

const readPing = (text: string): Pinged => {
  const total = /(\d+) packets transmitted, (\d+) received/.exec(text);
  return {
    sent: Number(total?.[1] ?? 0),
    received: Number(total?.[2] ?? 0),
    ttls: [...text.matchAll(/ttl=(\d+)/g)].map((match) => Number(match[1])),
  };
};

/** Pings that go on until they are stopped. */
export interface PingStream {
  /** sequence numbers without a reply, up to the last one that got one */
  stop(): Promise<{ sent: number; lost: number[]; ttls: number[] }>;
  /** replies so far */
  readonly replies: number;
}

/** A packet capture. */
export interface Capture {
  readonly lines: readonly string[];
  stop(): Promise<readonly string[]>;
}

/** A namespace seen as a machine of the network. */
export class Machine {
  readonly ns: string;

  constructor(ns: string) {
    this.ns = ns;
  }

  run(...argv: string[]): Promise<Ran> {
    return run(inNs(this.ns, ...argv));
  }

  /** @throws if the command fails */
  sh(command: string): Promise<string> {
    return output(...inNs(this.ns, 'sh', '-c', command));
  }

  async ping(target: string, options: { count?: number; args?: readonly string[] } = {}): Promise<Pinged> {
    const { count = 3, args = [] } = options;
    const { stdout } = await this.run(
      'ping',
      '-n',
      '-i',
      '0.1',
      '-W',
      '1',
      '-c',
      String(count),
      ...args,
      target,
    );
    return readPing(stdout);
  }

  /** Waits until the target answers: right after a change somebody may still have to be found. */
  reaches(target: string, timeout = 15_000): Promise<Pinged> {
    return until(
      `${this.ns} reaches ${target}`,
      async () => {
        const pinged = await this.ping(target, { count: 1 });
        return pinged.received > 0 && pinged;
      },
      timeout,
    );
  }

  /** 100 pings a second. */
  pingStream(target: string): PingStream {
    const background = new Background(inNs(this.ns, 'ping', '-n', '-i', '0.01', target));
    const replies = (): RegExpExecArray[] =>
      background.lines.flatMap((line) => {
        const match = /icmp_seq=(\d+) ttl=(\d+)/.exec(line);
        return match ? [match] : [];
      });
    return {
      get replies() {
        return replies().length;
      },
      async stop() {
        await background.stop();
        const seen = new Map(replies().map((match) => [Number(match[1]), Number(match[2])]));
        const last = Math.max(0, ...seen.keys());
        const lost = Array.from({ length: last }, (_, index) => index + 1).filter((seq) => !seen.has(seq));
        return { sent: last, lost, ttls: [...new Set(seen.values())] };
      },
    };
  }

  /** curl: exit code, status and body. */
  async curl(url: string, ...args: string[]): Promise<{ code: number; status: number; body: string }> {
    const { code, stdout } = await this.run(
      'curl',
      '-s',
      '-g',
      '-m',
      '5',
      '-w',
      '\n%{http_code}',
      ...args,
      url,
    );
    const end = stdout.lastIndexOf('\n');
    return { code, status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
  }

  /** Who answers on a port, and by which address the caller was seen. */
  async asks(address: string, port: number, ...args: string[]): Promise<Answer | undefined> {
    const { code, body } = await this.curl(`http://${address}:${port}/`, ...args);
    return code === 0 ? (JSON.parse(body) as Answer) : undefined;
  }

  /** Captures on a device from now on. */
  async capture(device: string, filter: string, ...args: string[]): Promise<Capture> {
    const background = new Background(
      inNs(this.ns, 'tcpdump', '-n', '-l', '--immediate-mode', '-i', device, ...args, filter),
    );
    await until('tcpdump listens', () => background.lines.some((line) => line.includes('listening on')));
    const packets = (): string[] =>
      background.lines.filter(
        (line) => line !== '' && !/^(tcpdump:|listening|\d+ packets? (captured|received|dropped))/.test(line),
      );
    return {
      get lines() {
        return packets();
      },
      async stop() {
        await background.stop();
        return packets();
      },
    };
  }

  /** Answers on a port of this machine with its name and the caller's address, until stopped. */
  async answer(address: string, port = 0): Promise<Server> {
    return listen(this.ns, address, port, (request, response) => {
      const { remoteAddress = '', remotePort = 0 } = request.socket;
      const answer: Answer = { who: this.ns, peer: remoteAddress, port: remotePort };
      response.setHeader('connection', 'close');
      response.end(JSON.stringify(answer));
    });
  }

  /** Sends a line every 20 ms on a connection for as long as that lives. */
  async trickle(address: string): Promise<Server> {
    return listen(this.ns, address, 0, (_request, response) => {
      const timer = setInterval(() => response.write('still here\n'), 20);
      response.on('close', () => clearInterval(timer));
    });
  }
}

export interface Answer {
  readonly who: string;
  /** source address of the connection as the server saw it */
  readonly peer: string;
  readonly port: number;
}

export interface Server {
  readonly port: number;
  stop(): Promise<void>;
}

async function listen(
  ns: string,
  address: string,
  port: number,
  handler: http.RequestListener,
): Promise<Server> {
  const server = http.createServer(handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: listenTcp({ ns, address, port }) }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

import { describe, expect, test } from 'vitest';
import { rpcOptions } from '../../../lib/rpc/options.ts';
import { brokerName, parseTransportUrl } from '../../../lib/rpc/transport-url.ts';

describe('parseTransportUrl', () => {
  test('several hosts, each with its own credentials, percent-decoded', () => {
    const url = parseTransportUrl(
      'rabbit://neutron:p%40ss%3A%2F@one:5673,other:x@[2001:db8::1]:5671/cloud%2F1',
    );
    expect(url.brokers).toEqual([
      { hostname: 'one', port: 5673, username: 'neutron', password: 'p@ss:/' },
      { hostname: '2001:db8::1', port: 5671, username: 'other', password: 'x' },
    ]);
    expect(url.virtualHost).toBe('cloud/1');
    expect(url.brokers.map(brokerName)).toEqual(['one:5673', '[2001:db8::1]:5671']);
  });

  test('a host without credentials is guest: it does not inherit its neighbour’s', () => {
    const { brokers } = parseTransportUrl('rabbit://u:p@a,b:5673/');
    expect(brokers[1]).toEqual({ hostname: 'b', port: 5673, username: 'guest', password: 'guest' });
  });

  test.each([
    ['rabbit://h', '/'],
    ['rabbit://h/', '/'],
    ['rabbit://h//', '/'],
    ['rabbit://h/%2F', '/'],
    ['rabbit://h/neutron', 'neutron'],
    ['rabbit://h/?ssl=1', '/'],
  ])('%s means virtual host %s', (url, virtualHost) => {
    expect(parseTransportUrl(url).virtualHost).toBe(virtualHost);
  });

  test('nothing but the scheme is the broker on this machine, on port 5672 with TLS too', () => {
    const broker = { hostname: 'localhost', port: 5672, username: 'guest', password: 'guest' };
    expect(parseTransportUrl('rabbit://').brokers).toEqual([broker]);
    expect(parseTransportUrl('rabbit:///?ssl=1').brokers).toEqual([broker]);
  });

  test('kombu and suffixes are aliases', () => {
    expect(parseTransportUrl('kombu+amqp://h').brokers[0]?.hostname).toBe('h');
  });

  test.each([
    ['amqp://h', "scheme 'amqp' is not supported: use rabbit://"],
    ['broker', 'expected rabbit://user:password@host:port/vhost'],
    ['rabbit://u:secret@h:99999', 'port 99999 is not 1 to 65535'],
    ['rabbit://u:secret@h:x', "host 1: 'h:x' is not host, host:port or [IPv6]:port"],
    ['rabbit://u:secret%@h', "the password has a '%' that does not start an escape"],
  ])('%s is refused without showing the password', (url, message) => {
    expect(() => parseTransportUrl(url)).toThrow(message);
    expect(() => parseTransportUrl(url)).not.toThrow(/secret/);
  });
});

describe('rpcOptions', () => {
  test('the query overrides options, in the types they have', () => {
    const { rabbit } = rpcOptions({
      transport_url:
        'rabbit://h/?ssl=yes&rabbit_quorum_queue=1&heartbeat_timeout_threshold=5&ssl_ca_file=/ca',
      ssl: false,
    });
    expect(rabbit).toMatchObject({
      ssl: true,
      rabbit_quorum_queue: true,
      heartbeat_timeout_threshold: 5,
      ssl_ca_file: '/ca',
    });
  });

  test('what is not given has Neutron’s default', () => {
    const options = rpcOptions({ unknown: 1 });
    expect(options).toMatchObject({
      control_exchange: 'neutron',
      rpc_response_timeout: 60,
      rpc_response_max_timeout: 600,
    });
    expect(options.rabbit).toMatchObject({
      rabbit_transient_queues_ttl: 1800,
      heartbeat_timeout_threshold: 60,
    });
  });

  test.each([
    [{ transport_url: 'rabbit://h/?ssl=maybe' }, 'ssl = "maybe": is not true or false'],
    [
      { rabbit_ha_queues: true, rabbit_quorum_queue: true },
      'rabbit_ha_queues and rabbit_quorum_queue exclude each other',
    ],
    [{ rabbit_stream_fanout: true }, 'rabbit_stream_fanout needs rabbit_qos_prefetch_count above 0'],
    [{ rabbit_transient_queues_ttl: -1 }, 'rabbit_transient_queues_ttl = -1'],
  ])('%j is refused', (given, message) => {
    expect(() => rpcOptions(given)).toThrow(message);
  });
});

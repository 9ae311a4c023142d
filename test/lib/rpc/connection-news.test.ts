import { expect, it } from 'vitest';
import { ConnectionNews } from '../../../lib/rpc/connection-news.ts';

function heard() {
  const lines: string[] = [];
  const at = (level: string) => (first: unknown, second?: unknown) => {
    lines.push(`${level}: ${String(second ?? first)}`);
  };
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { lines, news: new ConnectionNews(log) };
}

it('says once what every connection meets, in whatever words', () => {
  const { lines, news } = heard();
  news.warn('lost b', 'lost b: reset');
  news.warn('lost b', 'lost b: closed');
  news.warn('refused', 'cannot reach b: refused');
  expect(lines).toEqual(['warn: lost b: reset', 'debug: lost b: closed', 'warn: cannot reach b: refused']);
});

it('says it again after all connections were there', () => {
  const { lines, news } = heard();
  news.complete('b');
  news.warn('lost b', 'lost b');
  news.complete('b');
  news.warn('lost b', 'lost b');
  expect(lines).toEqual([
    'info: connected to the message broker b',
    'warn: lost b',
    'info: connected to the message broker b again',
    'warn: lost b',
  ]);
});

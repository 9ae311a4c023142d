import { describe, expect, test } from 'vitest';
import { createLog, type LogFormat, networkLog, routerLog } from '../../../lib/telemetry/log.ts';

function record(format: LogFormat, level = 'info') {
  const lines: string[] = [];
  const log = createLog({ program: 'viaduct-l3-agent', format, level, write: (line) => lines.push(line) });
  return { log, lines };
}

describe('lines for people', () => {
  test('have time, pid, level, program, subject and message in the order of oslo.log', () => {
    const { log, lines } = record('line');
    routerLog(log, '4b7c').warn({ ms: 12, steps: 3 }, 'reconciled');
    expect(lines[0]).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ WARNING viaduct-l3-agent \[router 4b7c\] reconciled ms=12 steps=3\n$/,
    );
  });

  test('have a dash when they are about nothing in particular', () => {
    const { log, lines } = record('line');
    log.info('started');
    expect(lines[0]).toContain('INFO viaduct-l3-agent [-] started\n');
  });

  test('show the stack of an error, indented', () => {
    const { log, lines } = record('line');
    log.error({ err: new Error('no such device') }, 'step failed');
    expect(lines[0]).toContain(
      'ERROR viaduct-l3-agent [-] step failed\n    Error: no such device\n        at ',
    );
  });

  test('stay one line when text from outside contains line breaks', () => {
    const { log, lines } = record('line');
    log.info('name is evil\n2026-01-01 INFO faked');
    expect(lines[0]?.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('JSON lines', () => {
  test('carry the level by name and the subject as a field', () => {
    const { log, lines } = record('json');
    networkLog(log, 'n1').info({ ports: 2 }, 'served');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      program: 'viaduct-l3-agent',
      network: 'n1',
      ports: 2,
      msg: 'served',
    });
  });
});

describe('secrets', () => {
  test('are masked by name, at the top and inside', () => {
    const { log, lines } = record('json');
    log.info(
      {
        password: 'hunter2',
        options: { metadata_proxy_shared_secret: 'hunter2', ha: { auth_pass: 'hunter2' } },
      },
      'x',
    );
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('***');
  });

  test('are masked in URLs within messages and errors', () => {
    const { log, lines } = record('line');
    log.info({ err: new Error('amqp://guest:hunter2@broker:5672/ refused') }, 'lost rabbit://u:hunter2@h/');
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('rabbit://u:***@h/');
  });
});

test('levels below the wanted one are left out', () => {
  const { log, lines } = record('json', 'warn');
  log.info('no');
  log.warn('yes');
  expect(lines).toHaveLength(1);
});

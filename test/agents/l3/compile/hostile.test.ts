import { describe, expect, it } from 'vitest';
import { compileRouter } from '../../../../agents/l3/compile/router.ts';
import { l3Options } from '../../../../agents/l3/options.ts';
import { RADVD_TEMPLATE } from '../../../../lib/announcement/radvd.ts';
import { readTemplate } from '../../../../lib/daemon/template.ts';
import { PayloadError } from '../../../../lib/model/payload.ts';
import { parseRouter } from '../../../../lib/model/router.ts';
import type { Row } from '../../../../lib/namespace/rows.ts';
import { findPackageRoot } from '../../../../lib/process/life.ts';
import { leaves, numbers, pick, replaced, spoiled } from '../../../fixtures/hostile-text.ts';
import * as payload from './payload.ts';
import { loadedRuleset } from './rendered.ts';

const CASES = 150;
const BLOCKS = Array.from({ length: 6 }, (_, i) => i * CASES + 1);
const host = { name: 'net-1', radvd: readTemplate(findPackageRoot(), RADVD_TEMPLATE) };

const ipv6Port = (n: number) => ({
  ...payload.portPayload({ ips: [`2001:db8:${n}::1/64`], subnets: [] }),
  subnets: [
    {
      ...payload.subnetPayload({ cidr: `2001:db8:${n}::/64` }),
      ipv6_ra_mode: 'slaac',
      dns_nameservers: [`2001:db8:${n}::53`],
    },
  ],
});
const ROUTER = payload.routerPayload({
  _interfaces: [payload.internalPayload(), ipv6Port(1), ipv6Port(2)],
  _floatingips: [payload.floatingIpPayload('203.0.113.10', '10.0.0.5')],
  routes: [{ destination: '10.9.0.0/16', nexthop: '10.0.0.9' }],
});

const groupsOf = (router: unknown) =>
  compileRouter({ router: parseRouter(router), host, options: l3Options() });
const lineCount = (text: string): number => text.split('\n').length;

const clean = groupsOf(ROUTER);
const MOST = {
  conf: Math.max(...clean.flat().map((row) => (row.kind === 'file' ? lineCount(row.content) : 0))),
  ruleset: lineCount(loadedRuleset(clean)),
};
const DECLARATION =
  /^(?:# Written by Viaduct: router advertisements of router [0-9a-f-]{36} \(radvd\.conf\(5\)\)\.|interface qr-[0-9a-f-]{11}|prefix [0-9a-f:]+\/\d+|route fe80::a9fe:a9fe\/128 \{\};|RDNSS [0-9a-f:. ]+ \{\};|(?:Adv|Min|Max)[A-Za-z]+ [a-z0-9]+;|\{|\};|)$/;

function harmIn(row: Row): string[] {
  if (!/^[A-Za-z0-9._-]*$/.test(row.ns)) return [`namespace ${row.ns}`];
  if (row.kind === 'link') return /^[A-Za-z0-9._-]{1,15}$/.test(row.name) ? [] : [`device ${row.name}`];
  if (row.kind === 'daemon') return row.argv.filter((argument) => !/^[!-~]+$/.test(argument));
  if (row.kind !== 'file') return [];
  const lines = row.content.split('\n').map((line) => line.trim());
  return [...lines.filter((line) => !DECLARATION.test(line)), ...(lines.length > MOST.conf ? lines : [])];
}

describe('text of a router that tries to be configuration', () => {
  it('has none in it to begin with', () => {
    expect(MOST.conf).toBeGreaterThan(20);
    expect(clean.flat().flatMap(harmIn)).toEqual([]);
  });

  it.each(BLOCKS)('is refused in one sentence, or stands for itself (seeds from %d)', (first) => {
    for (let seed = first; seed < first + CASES; seed++) {
      const random = numbers(seed);
      const path = pick(random, leaves(ROUTER));
      let what = '';
      const router = replaced(ROUTER, path, (before) => {
        const value = spoiled(random, before);
        what = `seed ${seed}: ${path.join('.')} = ${JSON.stringify(value).slice(0, 200)}`;
        return value;
      });
      try {
        const groups = groupsOf(router);
        expect(groups.flat().flatMap(harmIn), what).toEqual([]);
        const ruleset = loadedRuleset(groups);
        expect(lineCount(ruleset), what).toBeLessThanOrEqual(MOST.ruleset);
        expect(ruleset, what).toMatch(/^[\n\t -~]*$/);
      } catch (error) {
        if (!(error instanceof PayloadError)) throw new Error(what, { cause: error });
        expect(error.message, what).toMatch(/^router [^\p{Cc}]{1,400}$/u);
      }
    }
  });
});

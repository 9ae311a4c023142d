/**
 * Deleting one policy rule of several with the same priority. The kernel deletes the first rule that has
 * all that a request names, and what a request leaves out matches anything: "from all" would delete
 * "from 10.0.0.0/24" if that stands before it (fib_rules.c, rule_find). So rules in the way are taken out and
 * put back.
 */
import { MessageWriter, type NetlinkSocket, NLM_F_CREATE, NLM_F_EXCL } from './netlink.ts';
import { addRule, deleteRule, type KernelRule, RTM_NEWRULE, readRulePayloads } from './route.ts';

interface Listed {
  readonly rule: KernelRule;
  readonly payload?: Buffer;
}

const markText = ({ fwmark }: KernelRule): string => (fwmark ? `${fwmark.value}/${fwmark.mask}` : '');

const isTarget = (asked: KernelRule, { rule }: Listed): boolean =>
  (asked.table === 0 || asked.table === rule.table) &&
  (['family', 'priority', 'from', 'to', 'iif', 'oif'] as const).every((name) => asked[name] === rule[name]) &&
  markText(asked) === markText(rule);

const isHit = (asked: KernelRule, { rule }: Listed): boolean =>
  asked.family === rule.family &&
  asked.priority === rule.priority &&
  (asked.table === 0 || asked.table === rule.table) &&
  (['from', 'to', 'iif', 'oif'] as const).every(
    (name) => asked[name] === undefined || asked[name] === rule[name],
  ) &&
  (asked.fwmark === undefined || markText(asked) === markText(rule));

/** struct fib_rule_hdr ends with the flags; of those that are read only two may be written. */
const FLAGS_AT = 8;
const WRITABLE_FLAGS = 0x3;

function putBack({ rule, payload }: Listed): Buffer {
  if (!payload) return addRule(rule);
  const writable = Buffer.from(payload);
  writable.writeUInt32LE(writable.readUInt32LE(FLAGS_AT) & WRITABLE_FLAGS, FLAGS_AT);
  return new MessageWriter(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL).fixed(writable).finish();
}

/** The rules of one namespace as they will be while a batch of requests is worked off. */
export class RuleList {
  private readonly socket: NetlinkSocket;
  private rules: Listed[] | undefined;

  constructor(socket: NetlinkSocket) {
    this.socket = socket;
  }

  private get listed(): Listed[] {
    this.rules ??= readRulePayloads(this.socket);
    return this.rules;
  }

  add(rule: KernelRule): Buffer[] {
    this.rules?.push({ rule });
    return [addRule(rule)];
  }

  /** Requests that delete exactly this rule; `table` 0 means whatever its table is. */
  delete(rule: KernelRule): Buffer[] {
    const hits = this.listed.filter((listed) => isHit(rule, listed));
    const at = hits.findIndex((listed) => isTarget(rule, listed));
    if (at < 0) return [];
    const inTheWay = hits.slice(0, at);
    const gone = new Set(hits.slice(0, at + 1));
    this.rules = [...this.listed.filter((listed) => !gone.has(listed)), ...inTheWay];
    return [...inTheWay.map(() => deleteRule(rule)), deleteRule(rule), ...inTheWay.map(putBack)];
  }
}

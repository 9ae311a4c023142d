/**
 * Rulesets: as ready netlink messages, or as text through libnftables, in-process. A libnftables context's netlink socket belongs to the namespace it was
 * made in, so a context lives for one call. Source: libnftables(3).
 */
import koffi from 'koffi';
import { counters } from './counters.ts';
import { withoutSignals } from './libc.ts';
import { NETLINK_NETFILTER, NetlinkSocket, type TransactionRefusal } from './netlink.ts';
import { inNamespace } from './netns.ts';
import { type RuleOf, refusalWords } from './nft-refusal.ts';

const library = koffi.load('libnftables.so.1');
const contextNew = library.func('void *nft_ctx_new(uint32_t flags)');
const contextFree = library.func('void nft_ctx_free(void *ctx)');
const bufferOutput = library.func('int nft_ctx_buffer_output(void *ctx)');
const bufferError = library.func('int nft_ctx_buffer_error(void *ctx)');
const run = library.func('int nft_run_cmd_from_buffer(void *ctx, const char *text)');
const output = library.func('const char *nft_ctx_get_output_buffer(void *ctx)');
const errors = library.func('const char *nft_ctx_get_error_buffer(void *ctx)');

/** A refused ruleset, with nft's own explanation (which points at the line). */
export class NftablesError extends Error {
  constructor(words: string) {
    super(`nft: ${words.trim()}`);
    this.name = 'NftablesError';
  }
}

function runIn(ns: string, text: string): string {
  return inNamespace(ns, () => {
    const context: unknown = contextNew(0);
    try {
      bufferOutput(context);
      bufferError(context);
      // A signal makes it report failure though the kernel may have carried out the transaction.
      if (withoutSignals(() => run(context, text)) !== 0) throw new NftablesError(errors(context) as string);
      return output(context) as string;
    } finally {
      contextFree(context);
    }
  });
}

/** Load commands as one transaction: all of it or nothing. @throws NftablesError */
export function loadRuleset(ns: string, text: string): void {
  counters.writes += 1;
  runIn(ns, text);
}

/**
 * What came back of a transaction.
 * @throws NftablesError that names the chain and rule, or set and element, that the kernel did not like
 */
export function requireAccepted(
  batch: Buffer,
  refusals: readonly TransactionRefusal[],
  ruleOf?: RuleOf,
): void {
  // The first: where one message fails, those that build on it fail too.
  const [first] = refusals;
  if (first) throw new NftablesError(refusalWords(batch, first, ruleOf));
}

/**
 * Carry out a transaction that nft-batch.ts encoded: all of it or nothing. `ruleOf` gives the text of a rule by its
 * comment. @throws NftablesError
 */
export function sendBatch(ns: string, batch: Buffer, ruleOf?: RuleOf): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  requireAccepted(batch, socket.sendTransaction(batch), ruleOf);
}

/** What `nft <command>` prints inside the namespace, for people. */
export const nft = (ns: string, command: string): string => runIn(ns, command);

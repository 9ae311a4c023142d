/**
 * The life of one delegated prefix (RFC 8415 §18.2): asked for, held, renewed, given back. A value and what the time or
 * an answer makes of it; sending and waiting is somebody else's. Pure. Times are milliseconds since 1970, as a prefix is
 * held longer than a process lives.
 */
import { cidrsOverlap, parseCidr } from '../model/ip.ts';
import { type Answer, FOREVER, type RequestType, STATUS } from './message.ts';

/** A host makes itself an address in a prefix of that length (RFC 4862). */
const SLAAC_LENGTH = 64;

export interface Lease {
  /** as delegated: at most 64 bits */
  readonly prefix: string;
  /** DUID of the server, hexadecimal */
  readonly server: string;
  /** when to ask that server to go on, and when anybody; null: never */
  readonly renewAt: number | null;
  readonly rebindAt: number | null;
  readonly validUntil: number | null;
}

/** One question, sent again and again. */
interface Exchange {
  readonly type: RequestType;
  readonly transaction: number;
  readonly startedAt: number;
  /** times sent so far */
  readonly sent: number;
  /** milliseconds until it is sent again */
  readonly timeout: number;
  /** whom it is for; undefined: everybody */
  readonly server?: string | undefined;
}

interface Offer {
  readonly server: string;
  readonly preference: number;
  readonly prefix: string;
}

export interface Delegation {
  /** what is held */
  readonly lease?: Lease | undefined;
  /** what would be liked while nothing is held */
  readonly hint: string;
  /** undefined while a lease needs nothing, and when all is over */
  readonly exchange?: Exchange | undefined;
  /** the best so far */
  readonly offer?: Offer | undefined;
  /** requests in a row that led to nothing */
  readonly failures: number;
  /** when `timePassed` is to be called; null: never */
  readonly wakeAt: number | null;
  /** longest wait for a Solicit */
  readonly solMaxRt: number;
}

export interface Outgoing extends Exchange {
  readonly prefix: string;
}

export interface Step {
  readonly next: Delegation;
  readonly send?: Outgoing;
}

export interface Environment {
  readonly now: number;
  /** evenly from 0 to 1 */
  readonly random: () => number;
}

const SECOND = 1_000;
/** RFC 8415 §7.6: first and longest wait, and how many times at most. */
const RETRANSMISSION: Readonly<Record<RequestType, { first: number; longest: number; times: number }>> = {
  solicit: { first: SECOND, longest: 3_600 * SECOND, times: Infinity },
  request: { first: SECOND, longest: 30 * SECOND, times: 10 },
  renew: { first: 10 * SECOND, longest: 600 * SECOND, times: Infinity },
  rebind: { first: 10 * SECOND, longest: 600 * SECOND, times: Infinity },
  release: { first: SECOND, longest: Infinity, times: 4 },
};
/** Everybody comes up at once after a power cut. */
const FIRST_DELAY = SECOND;
/** Share of a wait that chance adds or takes. */
const JITTER = 0.1;
/** Preference that needs no comparison. */
const HIGHEST_PREFERENCE = 255;
/** Bounds of what a server may set for SOL_MAX_RT, seconds. */
const SOL_MAX_RT = { least: 60, most: 86_400 };
const TRANSACTIONS = 0x100_0000;

const NOTHING = { lease: undefined, exchange: undefined, offer: undefined } as const;

/** The start of it: with a lease that is still good nothing is said before it is due. */
export function begin(hint: string, lease: Lease | undefined, { now, random }: Environment): Delegation {
  const base = { hint, failures: 0, solMaxRt: RETRANSMISSION.solicit.longest };
  if (lease && (lease.validUntil === null || lease.validUntil > now))
    return { ...base, lease, wakeAt: lease.renewAt };
  return { ...base, wakeAt: now + Math.round(random() * FIRST_DELAY) };
}

/** The first /64 of what is held; undefined: nothing is. */
export function prefixOf({ lease }: Delegation): string | undefined {
  return lease && parseCidr(`${lease.prefix.split('/')[0]}/${SLAAC_LENGTH}`).text;
}

// --- asking --------------------------------------------------------------------------------------------------

function waitOf(type: RequestType, before: number, longest: number, random: () => number): number {
  const chance = JITTER * (2 * random() - 1);
  const { first } = RETRANSMISSION[type];
  // The first Solicit waits for all offers: never less than the second it is given.
  if (before === 0) return Math.round(first * (1 + (type === 'solicit' ? Math.abs(chance) : chance)));
  const doubled = before * (2 + chance);
  return Math.round(doubled > longest ? longest * (1 + chance) : doubled);
}

const earliest = (...times: readonly (number | null)[]): number | null => {
  const given = times.filter((time) => time !== null);
  return given.length > 0 ? Math.min(...given) : null;
};

/** Where the question has to end, whatever came. */
function endOf({ type }: Exchange, lease: Lease | undefined): number | null {
  if (type === 'renew') return lease?.rebindAt ?? null;
  return type === 'rebind' ? (lease?.validUntil ?? null) : null;
}

function send(state: Delegation, exchange: Exchange, { now, random }: Environment): Step {
  const { type } = exchange;
  const longest = type === 'solicit' ? state.solMaxRt : RETRANSMISSION[type].longest;
  const timeout = waitOf(type, exchange.timeout, longest, random);
  const sent = { ...exchange, sent: exchange.sent + 1, timeout };
  const wakeAt = earliest(now + timeout, endOf(sent, state.lease));
  const prefix = state.lease?.prefix ?? state.offer?.prefix ?? state.hint;
  return { next: { ...state, exchange: sent, wakeAt }, send: { ...sent, prefix } };
}

function ask(state: Delegation, type: RequestType, server: string | undefined, env: Environment): Step {
  const transaction = Math.floor(env.random() * TRANSACTIONS) % TRANSACTIONS;
  return send(state, { type, transaction, startedAt: env.now, sent: 0, timeout: 0, server }, env);
}

/** From the beginning, after a pause that grows as it fails. */
function startOver(state: Delegation, { now, random }: Environment): Step {
  const failures = state.failures + 1;
  const pause = Math.min(FIRST_DELAY * 2 ** failures, state.solMaxRt);
  const hint = state.lease?.prefix ?? state.hint;
  return {
    next: { ...state, ...NOTHING, hint, failures, wakeAt: now + Math.round(pause * (0.5 + random() / 2)) },
  };
}

/** `wakeAt` has come. */
export function timePassed(state: Delegation, env: Environment): Step {
  const { exchange, lease, offer } = state;
  if (!exchange) {
    if (!lease) return ask(state, 'solicit', undefined, env);
    // Nobody may have been there to renew it.
    const late = lease.rebindAt !== null && env.now >= lease.rebindAt;
    return late ? ask(state, 'rebind', undefined, env) : ask(state, 'renew', lease.server, env);
  }
  const end = endOf(exchange, lease);
  switch (exchange.type) {
    case 'solicit':
      return offer ? ask(state, 'request', offer.server, env) : send(state, exchange, env);
    case 'renew':
      return end !== null && env.now >= end
        ? ask(state, 'rebind', undefined, env)
        : send(state, exchange, env);
    case 'rebind':
      return end !== null && env.now >= end ? startOver(state, env) : send(state, exchange, env);
    case 'request':
      if (exchange.sent >= RETRANSMISSION.request.times) return startOver(state, env);
      return send(state, exchange, env);
    case 'release':
      if (exchange.sent >= RETRANSMISSION.release.times) return { next: over(state) };
      return send(state, exchange, env);
  }
}

/** Gives it back; over at once if nothing is held. */
export const release = (state: Delegation, env: Environment): Step =>
  state.lease
    ? ask({ ...state, offer: undefined }, 'release', state.lease.server, env)
    : { next: over(state) };

const over = (state: Delegation): Delegation => ({ ...state, ...NOTHING, wakeAt: null });

// --- being answered ------------------------------------------------------------------------------------------

type Association = NonNullable<Answer['association']>;

/** What can be no network of hosts: unspecified, loopback and mapped addresses, link-local, multicast. */
const NEVER = ['::/64', 'fe80::/10', 'ff00::/8'];

const isUsable = (prefix: string): boolean =>
  parseCidr(prefix).prefix <= SLAAC_LENGTH && !NEVER.some((one) => cidrsOverlap(one, prefix));

/** The one that is held already, if it is among them. */
function chosen({ prefixes }: Association, held: string | undefined) {
  const good = prefixes.filter(({ prefix, valid }) => valid > 0 && isUsable(prefix));
  return good.find(({ prefix }) => prefix === held) ?? good[0];
}

/** An offer or a reply has prefixes, but none that hosts could use. */
export const isUseless = ({ association }: Answer): boolean =>
  !!association && association.prefixes.length > 0 && !association.prefixes.some((p) => isUsable(p.prefix));

function leaseOf(answer: Answer, association: Association, held: string | undefined, now: number) {
  const prefix = chosen(association, held);
  if (!prefix) return undefined;
  const at = (seconds: number): number | null => (seconds >= FOREVER ? null : now + seconds * SECOND);
  const { preferred, valid } = prefix;
  // Server's choice, or the shares that RFC 8415 §14.2 recommends.
  const t1 = association.t1 || (preferred >= FOREVER ? FOREVER : preferred * 0.5);
  const t2 = association.t2 || (preferred >= FOREVER ? FOREVER : preferred * 0.8);
  const rebindAt = earliest(at(t2), at(valid));
  return {
    prefix: prefix.prefix,
    server: answer.server,
    renewAt: earliest(at(t1), rebindAt),
    rebindAt,
    validUntil: at(valid),
  };
}

function offered(state: Delegation, answer: Answer, env: Environment): Step {
  const { association, preference, server } = answer;
  const prefix =
    association?.status === STATUS.success && answer.status === STATUS.success
      ? chosen(association, state.hint)?.prefix
      : undefined;
  if (prefix === undefined) return { next: state };
  const better = !state.offer || preference > state.offer.preference;
  const next = better ? { ...state, offer: { server, preference, prefix } } : state;
  const waits = preference < HIGHEST_PREFERENCE && state.exchange!.sent === 1;
  return waits ? { next } : ask(next, 'request', next.offer!.server, env);
}

function replied(state: Delegation, answer: Answer, env: Environment): Step {
  const { type } = state.exchange!;
  const { association } = answer;
  if (type === 'release') return { next: over(state) };
  // The server failed somehow: it is asked again in its time.
  if (answer.status !== STATUS.success || !association) return { next: state };
  if (association.status === STATUS.noBinding && type !== 'request')
    return ask(state, 'request', answer.server, env);
  const lease =
    association.status === STATUS.success
      ? leaseOf(answer, association, state.lease?.prefix, env.now)
      : undefined;
  if (lease) return { next: { ...state, ...NOTHING, lease, failures: 0, wakeAt: lease.renewAt } };
  const withdrawn = association.prefixes.some(
    ({ prefix, valid }) => prefix === state.lease?.prefix && valid === 0,
  );
  return type === 'request' || withdrawn ? startOver(state, env) : { next: state };
}

/** An answer with the transaction of the exchange has come. */
export function answered(state: Delegation, answer: Answer, env: Environment): Step {
  const { exchange } = state;
  if (!exchange || answer.transaction !== exchange.transaction) return { next: state };
  const { solMaxRt } = answer;
  const told =
    solMaxRt !== undefined && solMaxRt >= SOL_MAX_RT.least && solMaxRt <= SOL_MAX_RT.most
      ? { ...state, solMaxRt: solMaxRt * SECOND }
      : state;
  if (answer.type === 'advertise')
    return exchange.type === 'solicit' ? offered(told, answer, env) : { next: told };
  return exchange.type === 'solicit' ? { next: told } : replied(told, answer, env);
}

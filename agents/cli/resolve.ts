import { isIp, parseIp } from '../../lib/model/ip.ts';
import { type Deployment, openDeployments } from './deployment.ts';
import { CommandFailure } from './exit-codes.ts';
import { printable } from './output.ts';
import { type Thing, thingsOf } from './things.ts';

/** A thing and the deployment it is in. */
export interface Found {
  readonly deployment: Deployment;
  readonly thing: Thing;
}

const SHORTEST_PREFIX = 4;

/**
 * Things an identifier stands for: exactly (name, id, address, MAC, device, namespace), else by the start of
 * an id. Pure.
 */
export function matches<T extends { readonly thing: Thing }>(all: readonly T[], asked: string): T[] {
  const wanted = canonical(asked);
  const exact = all.filter(({ thing }) => thing.identifiers.some((one) => one === asked || one === wanted));
  if (exact.length > 0) return withoutParts(exact);
  if (wanted.length < SHORTEST_PREFIX || !/^[0-9a-f-]+$/.test(wanted)) return [];
  return all.filter(({ thing }) => thing.id.startsWith(wanted));
}

/** An instance's port often has the instance's name: then the instance is meant. */
function withoutParts<T extends { readonly thing: Thing }>(found: readonly T[]): T[] {
  const whole = new Set(found.map(({ thing }) => `${thing.kind} ${thing.id}`));
  return found.filter(({ thing: { kind, id, holder } }) => holder === `${kind} ${id}` || !whole.has(holder));
}

/** Addresses and MACs as the records have them. */
function canonical(asked: string): string {
  const lower = asked.toLowerCase();
  if (isIp(asked)) return parseIp(asked).text;
  return /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/.test(lower) ? lower.replaceAll('-', ':') : lower;
}

export const findings = (deployments: readonly Deployment[]): Found[] =>
  deployments.flatMap((deployment) =>
    thingsOf(deployment.recorded).map((thing): Found => ({ deployment, thing })),
  );

/**
 * The one thing an identifier stands for.
 * @throws CommandFailure when it is none, or several: then it lists them
 */
export function resolveThing(root: string, asked: string): Found {
  const all = findings(openDeployments(root));
  const [found, ...others] = matches(all, asked);
  const shown = printable(asked);
  if (!found)
    throw new CommandFailure(
      all.length === 0
        ? `nothing is built on this host, so there is no ${shown}`
        : `no router, network, instance, port, address or MAC ${shown} here: "viaduct ls" shows what there is`,
    );
  if (others.length === 0) return found;
  const list = [found, ...others].map(
    (one) => `\n  ${describeThing(one.thing)} [${one.deployment.facts.name}]`,
  );
  throw new CommandFailure(`${shown} may be any of these, ask by id:${list.join('')}`);
}

/** 'port 3f2… 10.0.0.3 fa:16:… eth0 of instance a' */
export function describeThing(thing: Thing): string {
  const { kind, id, name, addresses, mac, device, holder, holderName } = thing;
  const own = holder === `${kind} ${id}`;
  const words = [
    kind === 'floating-ip' ? 'floating IP' : kind,
    id,
    name && `"${name}"`,
    kind === 'floating-ip' ? addresses.join(' → ') : addresses.join(', '),
    mac,
    device,
    !own && `of ${holder.split(' ')[0]} ${holderName}`,
  ];
  return printable(words.filter(Boolean).join(' '));
}

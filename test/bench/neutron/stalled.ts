/**
 * Neutron's agents of Debian 12 now and then stop for ever in the middle of work ("cannot switch to a different thread"
 * in a privsep daemon). That is told, and they may start anew: what is compared is agents that work.
 */
const ATTEMPTS = 4;

/** Nobody does anything any more, and the work is not done. */
export class Stalled extends Error {
  override readonly name = 'Stalled';
}

/** @throws Stalled after several attempts, and what else `measure` throws */
export async function insist<T>(measure: () => Promise<T>, progress: (line: string) => void): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await measure();
    } catch (error) {
      if (!(error instanceof Stalled) || attempt === ATTEMPTS) throw error;
      progress(`attempt ${attempt} of ${ATTEMPTS}: ${error.message}`);
    }
  }
}

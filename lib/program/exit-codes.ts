/** Of the agents' programs, as sysexits.h has them: 0 ended as asked, 1 something is not as wanted. */
export const EXIT = { ok: 0, failed: 1, usage: 64, topology: 65, configuration: 78 };

/**
 * What this process asked of the kernel: state-changing requests (netlink messages, sysctl writes,
 * rulesets, mounts, files of ours) and forks. A restart that finds nothing changed shows 0 and 0.
 */
export const counters = {
  writes: 0,
  forks: 0,
};

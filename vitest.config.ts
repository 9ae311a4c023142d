import { defineConfig } from 'vitest/config';

/**
 * `unit` needs nothing and runs in parallel. `kernel` and `e2e` change the network of the machine (root, real
 * namespaces), so their files run one after the other. `neutron` starts servers of its own (RabbitMQ; Debian
 * packages of deploy/install-dependencies.sh neutron); `npm run test:neutron` runs it, `npm test` does not.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/kernel/**', 'test/e2e/**', 'test/neutron/**'],
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'neutron',
          include: ['test/neutron/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          // For a machine that does much else; what waits for something says so long before.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});

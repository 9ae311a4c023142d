import { expect, test } from 'vitest';
import { CommandFailure, exitCodes } from '../../../agents/cli/exit-codes.ts';

test('exit codes stay what is documented: scripts depend on them', () => {
  expect(exitCodes).toEqual({ ok: 0, failed: 1, changes: 2, usage: 64, topology: 65, configuration: 78 });
});

test('a failure of a command is exit code 1 unless it says otherwise', () => {
  expect(new CommandFailure('no such router').exitCode).toBe(1);
  expect(new CommandFailure('bad file', exitCodes.topology).exitCode).toBe(65);
});

import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RecordsView } from '../../../agents/metadata/records-view.ts';
import { Records } from '../../../lib/namespace/records.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'vdt-view-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

describe('the records of this host’s agents', () => {
  it('are empty before any agent wrote one', async () => {
    const view = new RecordsView(join(directory, 'absent'));
    expect(await view.routers()).toEqual([]);
  });

  it('are routers and networks, each by its kind, and follow what the agents write', async () => {
    const records = new Records(join(directory, 'records'));
    const view = new RecordsView(records.directory);
    const changed = vi.fn();
    const end = view.subscribe(changed);
    records.save('r', { kind: 'router', payload: { id: 'r' } });
    records.save('n', { kind: 'network', payload: { id: 'n' } });
    await vi.waitFor(() => expect(changed).toHaveBeenCalled());
    expect(await view.routers()).toEqual([{ id: 'r' }]);
    expect(await view.networks()).toEqual([{ id: 'n' }]);
    expect(view.payload('network', 'r')).toBeUndefined();
    records.save('r', { kind: 'router', payload: { id: 'r', name: 'new' } });
    records.remove('n');
    await vi.waitFor(async () => expect(await view.networks()).toEqual([]));
    expect(view.payload('router', 'r')).toEqual({ id: 'r', name: 'new' });
    end();
  });

  it('are an error when one is damaged: nobody concludes that it is gone', async () => {
    fs.writeFileSync(join(directory, 'r.json'), '{');
    await expect(new RecordsView(directory).routers()).rejects.toThrow(/r\.json can't be read/);
  });
});

import type { Port } from '../../lib/model/port.ts';
import type { DhcpPlugin } from '../../lib/model/source.ts';

/** Neutron's agent sends as many at a time. */
const MOST_PER_CALL = 64;
const COLLECT_MS = 200;
const RETRY_MS = 5_000;

/**
 * Tells the controller which ports are served: until then a VM's port stays DOWN (provisioning block). Each
 * port is told once per revision; what could not be told is told again.
 */
export class ReadyPorts {
  private readonly plugin: Pick<DhcpPlugin, 'dhcpReadyOnPorts'>;
  private readonly onError: (message: string) => void;
  private readonly waiting = new Set<string>();
  private readonly told = new Map<string, Map<string, number>>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(plugin: Pick<DhcpPlugin, 'dhcpReadyOnPorts'>, onError: (message: string) => void) {
    this.plugin = plugin;
    this.onError = onError;
  }

  /** All ports of a network that is served now. */
  add(networkId: string, ports: readonly Pick<Port, 'id' | 'revision_number'>[]): void {
    const told = this.told.get(networkId) ?? new Map<string, number>();
    this.told.set(networkId, told);
    for (const { id, revision_number } of ports) {
      if (told.get(id) === revision_number) continue;
      told.set(id, revision_number);
      this.waiting.add(id);
    }
    if (told.size > ports.length) this.forgetOthers(told, ports);
    if (this.waiting.size > 0) this.later(COLLECT_MS);
  }

  private forgetOthers(told: Map<string, number>, ports: readonly Pick<Port, 'id'>[]): void {
    const present = new Set(ports.map(({ id }) => id));
    for (const id of told.keys()) if (!present.has(id)) told.delete(id);
  }

  forget(networkId: string): void {
    this.told.delete(networkId);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private later(delay: number): void {
    if (this.closed || this.timer) return;
    this.timer = setTimeout(() => {
      void this.send().then((ok) => {
        this.timer = undefined;
        if (this.waiting.size > 0) this.later(ok ? COLLECT_MS : RETRY_MS);
      });
    }, delay);
    this.timer.unref();
  }

  private async send(): Promise<boolean> {
    while (this.waiting.size > 0) {
      const ids = [...this.waiting].slice(0, MOST_PER_CALL);
      for (const id of ids) this.waiting.delete(id);
      try {
        await this.plugin.dhcpReadyOnPorts(ids);
      } catch (error) {
        for (const id of ids) this.waiting.add(id);
        this.onError(`ports could not be reported ready, again in ${RETRY_MS / 1000} s: ${String(error)}`);
        return false;
      }
    }
    return true;
  }
}

import type { Site } from '../../lib/standalone/site.ts';
import { type Output, paint, printable } from './output.ts';
import type { ProgressSink } from './progress.ts';
import { plural } from './subject.ts';

const INTERVAL_MS = 100;

/** How far `viaduct up` is, on a terminal; elsewhere its log says it. */
export class BuildDisplay {
  /** somebody watches */
  readonly live: boolean;
  private readonly output: Pick<Output, 'color'>;
  private readonly sink: ProgressSink;
  private readonly about: { file: string; once: boolean };
  private timer: NodeJS.Timeout | undefined;
  private started = 0;

  constructor(
    output: Pick<Output, 'color'>,
    about: { file: string; once: boolean },
    sink: ProgressSink = process.stderr,
  ) {
    this.output = output;
    this.about = about;
    this.sink = sink;
    this.live = sink.isTTY === true;
  }

  /** Counts what is built until settled() or end(). */
  begin(site: Site): void {
    if (!this.live) return;
    this.started = performance.now();
    const { name, routers, networks, instances } = site.controller.topology;
    const total = routers.length + networks.length + instances.length;
    const show = (): void => {
      const { delta } = site.reconciler;
      const done = Math.max(0, delta.owners().length - delta.dirtyOwners().length);
      this.rewrite(`  … building ${printable(name)}: ${Math.min(done, total)} of ${total}`);
    };
    show();
    this.timer = setInterval(show, INTERVAL_MS);
  }

  settled(site: Site, names: ReadonlyMap<string, string>): void {
    if (!this.live) return;
    this.end();
    const { color } = this.output;
    const { name, routers, networks, instances } = site.controller.topology;
    const problems = Object.entries(site.problems());
    const ms = Math.round(performance.now() - this.started);
    const counts = [
      plural(networks.length, 'network'),
      plural(routers.length, 'router'),
      plural(instances.length, 'instance'),
    ].join(', ');
    const sign = problems.length === 0 ? paint(color, 'green', '✓') : paint(color, 'red', '✗');
    this.line(`  ${sign} ${printable(name)}: ${counts} (${ms} ms)`);
    if (this.about.once) return;
    for (const [owner, problem] of problems)
      this.line(`    ${printable(names.get(owner) ?? owner)}: ${printable(problem)}`);
    this.line(`  Repairing drift and following ${printable(this.about.file)}.`);
    this.line('  Ctrl-C ends this and leaves everything in place; "viaduct down" removes it.');
    site.controller.on('loaded', () => this.line(`  ${printable(this.about.file)} was read again`));
  }

  end(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    if (this.live) this.rewrite('');
  }

  private rewrite(text: string): void {
    this.sink.write(`\r\u001b[K${text}`);
  }

  private line(text: string): void {
    this.sink.write(`${text}\n`);
  }
}

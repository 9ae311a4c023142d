import { writeFileSync } from 'node:fs';

export type Ini = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

/** Later sections of the same name add to earlier ones. */
export function writeIni(path: string, ...parts: readonly Ini[]): string {
  const sections = new Map<string, Record<string, string | number | boolean>>();
  for (const part of parts) {
    for (const [name, options] of Object.entries(part))
      sections.set(name, { ...sections.get(name), ...options });
  }
  const text = [...sections].map(
    ([name, options]) =>
      `[${name}]\n${Object.entries(options)
        .map(([key, value]) => `${key} = ${value}\n`)
        .join('')}`,
  );
  writeFileSync(path, text.join('\n'));
  return path;
}

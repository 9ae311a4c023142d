/**
 * Configuration templates of daemons (templates/*.hbs). A value that is missing is an error, and nothing is
 * escaped as HTML: whoever fills a template in has validated its values.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import handlebars from 'handlebars';

export type TemplateValue =
  | string
  | number
  | boolean
  | readonly TemplateValue[]
  | { readonly [name: string]: TemplateValue };

export type Template = (values: Readonly<Record<string, TemplateValue>>) => string;

/** @throws Error if there is no such template */
export function readTemplate(packageRoot: string, name: string): Template {
  const text = readFileSync(join(packageRoot, 'templates', `${name}.hbs`), 'utf8');
  return handlebars.compile(text, { noEscape: true, strict: true, knownHelpersOnly: true });
}

/**
 * Configuration templates of daemons (templates/*.hbs). A value that is missing is an error, and nothing is
 * escaped as HTML: whoever fills a template in has validated its values.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type Handlebars from 'handlebars';

export type TemplateValue =
  | string
  | number
  | boolean
  | readonly TemplateValue[]
  | { readonly [name: string]: TemplateValue };

export type Template = (values: Readonly<Record<string, TemplateValue>>) => string;

const require = createRequire(import.meta.url);

/** Loaded when the first template is filled in: an agent that finds everything as it is fills in none. */
function compile(text: string): Template {
  const handlebars = require('handlebars') as typeof Handlebars;
  return handlebars.compile(text, { noEscape: true, strict: true, knownHelpersOnly: true });
}

/** @throws Error if there is no such template */
export function readTemplate(packageRoot: string, name: string): Template {
  const text = readFileSync(join(packageRoot, 'templates', `${name}.hbs`), 'utf8');
  let template: Template | undefined;
  return (values) => {
    template ??= compile(text);
    return template(values);
  };
}

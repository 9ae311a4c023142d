const PLACEHOLDER = /\$(?:(\$)|([_a-z][._a-z0-9]*)|\{([_a-z][._a-z0-9]*)\})/gi;

/**
 * Replaces `$name`, `${name}`, `$group.name` and `${group.name}`; `$$` and `\$` give one `$`, any other `$`
 * stays (`cfg.py` _substitute and Template). `resolved` gets the name with its group, if one is written.
 */
export function substitute(text: string, resolved: (reference: string) => string): string {
  return text
    .replaceAll('\\$', '$$$$')
    .replace(PLACEHOLDER, (_whole, dollar?: string, plain?: string, braced?: string) =>
      dollar === undefined ? resolved((plain ?? braced)!) : '$',
    );
}

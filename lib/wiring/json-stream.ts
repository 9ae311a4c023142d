/** More than any answer of a switch's database; a peer that sends more is not one. */
const LONGEST_TEXT = 256 * 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * Cuts a stream of JSON texts that follow each other without a delimiter (RFC 7047 §4, over RFC 7159 texts) into
 * values. Brackets are counted in bytes as they come, so a text in a thousand pieces is looked at once. Only
 * objects and arrays are texts here.
 */
export class JsonStream {
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /**
   * All values that end in this piece.
   * @throws SyntaxError on anything that is not JSON; the stream can't be used after it
   */
  push(piece: Buffer): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (let i = 0; i < piece.length; i++) {
      if (!this.#ends(piece[i]!)) continue;
      this.#pieces.push(piece.subarray(start, i + 1));
      start = i + 1;
      values.push(JSON.parse(Buffer.concat(this.#pieces).toString('utf8')));
      this.#pieces.length = 0;
      this.#length = 0;
    }
    this.#keep(piece.subarray(start));
    return values;
  }

  #keep(rest: Buffer): void {
    if (this.#depth === 0) return;
    this.#length += rest.length;
    if (this.#length > LONGEST_TEXT) throw new SyntaxError(`a JSON text of more than ${LONGEST_TEXT} bytes`);
    this.#pieces.push(rest);
  }

  /** Does a value end with this byte? */
  #ends(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return false;
    }
    if (OPENING.has(byte)) this.#depth += 1;
    else if (this.#depth === 0) {
      if (!SPACE.has(byte)) throw new SyntaxError(`byte 0x${byte.toString(16)} outside any JSON text`);
    } else if (byte === QUOTE) this.#inString = true;
    else if (CLOSING.has(byte)) return --this.#depth === 0;
    return false;
  }
}

import { type Output, paint, printable, type Style } from './output.ts';

export interface Cell {
  readonly text: string;
  readonly style?: Style;
}

export type TableRow = readonly (string | Cell)[];

const GAP = '  ';
const SHORTEST = 8;

/**
 * Lines of a table: heads in capitals, columns as wide as their widest cell. When that is too wide for the
 * terminal the widest columns are cut with `…`; a pipe gets everything.
 */
export function renderTable(
  { width, color }: Pick<Output, 'width' | 'color'>,
  heads: readonly string[],
  rows: readonly TableRow[],
): string[] {
  const body = rows.map((row) => heads.map((_, column) => toCell(row[column] ?? '')));
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...body.map((cells) => textWidth(cells[column]!.text))),
  );
  shrink(widths, width);
  const renderLine = (cells: readonly Cell[]): string =>
    cells
      .map(({ text, style }, column) => {
        const last = column === cells.length - 1;
        const fitted = sizeTo(text, widths[column]!, !last || style !== undefined);
        return style ? paint(color, style, fitted) : fitted;
      })
      .join(GAP)
      .trimEnd();
  const head = heads.map((text): Cell => ({ text: text.toUpperCase(), style: 'bold' }));
  return [renderLine(head), ...body.map(renderLine)];
}

function toCell(cell: string | Cell): Cell {
  return typeof cell === 'string' ? { text: printable(cell) } : { ...cell, text: printable(cell.text) };
}

/** Takes from the widest column until the line fits, or nothing can be taken any more. */
function shrink(widths: number[], limit: number): void {
  const excess = (): number => widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length) - limit;
  while (excess() > 0) {
    const widest = Math.max(...widths);
    if (widest <= SHORTEST) return;
    widths[widths.indexOf(widest)] = widest - 1;
  }
}

function sizeTo(text: string, width: number, padded: boolean): string {
  const characters = [...text];
  const cut = characters.length > width ? `${characters.slice(0, width - 1).join('')}…` : text;
  return padded ? cut + ' '.repeat(Math.max(0, width - textWidth(cut))) : cut;
}

const textWidth = (text: string): number => [...text].length;

// Cuts a text at line breaks into blocks, each laid out by itself: a change in one costs nothing in the others. Pure.

export type TextBlock = { readonly start: number; readonly text: string }; // without the line break at its end

const BLOCK = 1000; // UTF-16 units at least, so that a text of short lines has few blocks

export function textBlocks(text: string): TextBlock[] {
  const blocks: TextBlock[] = [];
  let start = 0;
  for (let stop = text.indexOf("\n", start + BLOCK); stop >= 0; stop = text.indexOf("\n", start + BLOCK)) {
    blocks.push({ start, text: text.slice(start, stop) });
    start = stop + 1;
  }
  return [...blocks, { start, text: text.slice(start) }];
}

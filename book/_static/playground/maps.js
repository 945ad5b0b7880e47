/** Two views made of cells: where each head looks, and what each word stands for. */

import { branchColour, cells, fitting, font, grid, label, rgb } from "./canvas.js";
import { count, percent, signed } from "./dom.js";
import { bestHead, centredTable, headVerdict, WORDS, wordsKnown } from "./reading.js";

const GAP = 10;

/** Places of the maps of all heads: one large map with labels, or up to four in a row. */
function places(heads, width) {
  if (heads === 1) {
    const edge = width < 240 ? 30 : 44;
    const side = Math.min(width - edge - 2, 340);
    return [{ x: edge, y: 20, side }];
  }
  const columns = Math.min(heads, 4);
  const side = Math.min((width - 2 - GAP * (columns - 1)) / columns, 150);
  return Array.from({ length: heads }, (_, k) => ({
    x: 1 + (k % columns) * (side + GAP),
    y: 18 + Math.floor(k / columns) * (side + GAP + 16),
    side,
  }));
}

function height(width, scene) {
  const last = places(scene.config.heads, width).at(-1);
  return Math.round(last.y + last.side + 4);
}

/** The maps of all heads; `values(k)` are -1 to 1, row by row. */
function drawMaps(context, width, scene, size, values, ends, names) {
  const { config, snapshot, colours } = scene;
  places(config.heads, width).forEach(({ x, y, side }, k) => {
    cells(context, values(k), size, x, y, side, side, ends.map(rgb));
    const cell = side / size;
    if (cell >= 6) grid(context, size, size, x, y, side, side, colours.surface);
    const branch = headVerdict(snapshot.rightAttention[k], config.length);
    context.strokeStyle = config.heads > 1 ? branchColour(colours, branch) : colours.line;
    context.lineWidth = config.heads > 1 ? 2 : 1;
    context.strokeRect(x, y, side, side);
    if (config.heads > 1) {
      context.font = font(11, 600);
      label(
        context,
        side < 44 ? `${k + 1}` : `head ${k + 1}`,
        x,
        y - 8,
        branchColour(colours, branch),
      );
      return;
    }
    context.font = font(11);
    // All whole words or all initials: a mixture looks like two kinds of things.
    const whole = names.every((name) => fitting(context, name, cell - 1) === name);
    const heads = names.map((name) => (whole ? name : fitting(context, name[0], cell - 1)));
    for (let n = 0; n < size; n++) {
      const at = (n + 0.5) * cell;
      label(context, fitting(context, names[n], x - 4), x - 5, y + at, colours.text, "right");
      label(context, heads[n], x + at, y - 9, colours.text, "center");
    }
  });
}

function exampleWords(scene) {
  return Array.from(scene.snapshot.example.words, (word) => WORDS[word]);
}

/** The largest value, never 0: full colour stands for it. */
function most(values) {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, value);
  return Math.max(largest, 1e-9);
}

export const attentionMap = {
  id: "attention",
  title: "Attention: where it looks",
  how:
    "Row: the word being written. Column: the word looked at. Full colour: most attention. " +
    "The right place is on the diagonal.",
  height,

  draw(context, width, _, scene) {
    const { config, snapshot, colours } = scene;
    const size = config.length;
    drawMaps(
      context,
      width,
      scene,
      size,
      (k) => {
        const values = snapshot.attention.subarray(k * size * size, (k + 1) * size * size);
        const full = Math.max(most(values), 2 / size);
        return values.map((value) => value / full);
      },
      [colours.surface, colours.surface, colours.attention],
      exampleWords(scene),
    );
  },

  describe({ config, snapshot }) {
    const even = `Looking everywhere alike would be ${percent(1 / config.length)}.`;
    const each = Array.from(snapshot.rightAttention, percent);
    if (config.heads === 1) return `Attention on the right place: ${each[0]} on average. ${even}`;
    return `Attention on the right place, head by head: ${each.join(", ")}. ${even}`;
  },
};

export const tableMap = {
  id: "table",
  title: "What each word stands for: KTIW",
  how:
    "KTIW: knowledge to translate individual words. Row: a word that is looked at. Column: a word " +
    "that could be written.",
  legend: [
    ["words", "box", "+ speaks for it"],
    ["elimination", "box", "\u2212 speaks against it"],
  ],
  height,

  draw(context, width, _, scene) {
    const { config, snapshot, colours } = scene;
    const size = config.vocab;
    const tables = Array.from({ length: config.heads }, (_, k) =>
      centredTable(snapshot.table, size, k),
    );
    const full = tables.map((table) => Math.max(0.2, most(table.map(Math.abs))));
    drawMaps(
      context,
      width,
      scene,
      size,
      (k) => tables[k].map((value) => value / full[k]),
      [colours.elimination, colours.surface, colours.words],
      WORDS,
    );
    if (config.heads > 1) return;
    const [{ x, y, side }] = places(1, width);
    const cell = side / size;
    if (cell < 12) return;
    context.font = font(Math.min(20, 0.7 * cell), 600);
    tables[0].forEach((value, n) => {
      if (Math.abs(value) < 0.45 * full[0]) return;
      const [column, row] = [n % size, Math.floor(n / size)];
      const sign = value < 0 ? "\u2212" : "+";
      const place = [x + (column + 0.5) * cell, y + (row + 0.5) * cell];
      label(context, sign, ...place, colours.surface, "center");
    });
  },

  describe({ config, snapshot }) {
    const { heads, vocab } = config;
    const leads = Array.from(snapshot.leadB, (value) => signed(value));
    const best = bestHead(snapshot.rightAttention);
    const known = Math.round(vocab * wordsKnown(snapshot.table, vocab, best));
    const which = heads === 1 ? "" : ` in head ${best + 1}, which looks best`;
    const end = heads === 1 ? "." : ", head by head.";
    return (
      `${count(known, "word")} of ${vocab} stand for themselves${which}. By how much a word ` +
      `speaks for itself rather than for another: ${leads.join(", ")}${end}`
    );
  },
};

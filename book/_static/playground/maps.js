/** Two views made of cells: where each head looks, and what each word stands for. */

import { branchColour, cells, fitting, font, grid, label, rgb } from "./canvas.js";
import { count, percent, signed } from "./dom.js";
import { bestHead, centredTable, headVerdict, WORDS, wordsKnown } from "./reading.js";

const GAP = 10;
/** What stands above the maps of several heads, and between two rows of them. */
const HEADING = 26;

/** Places of the maps of all heads: one large map with labels, or up to four in a row. */
function places(heads, width, most) {
  if (heads === 1) {
    const edge = width < 240 ? 30 : 44;
    const side = Math.floor(Math.min(width - edge - 2, most - 24, 340));
    return [{ x: edge + (width - edge - 2 - side) / 2, y: 20, side }];
  }
  const columns = Math.min(heads, 4);
  const rows = Math.ceil(heads / columns);
  const room = [(width - 2 - GAP * (columns - 1)) / columns, (most + 4) / rows - HEADING, 230];
  const side = Math.floor(Math.min(...room));
  const left = (width - columns * side - GAP * (columns - 1)) / 2;
  return Array.from({ length: heads }, (_, k) => ({
    x: left + (k % columns) * (side + GAP),
    y: 18 + Math.floor(k / columns) * (side + HEADING),
    side,
  }));
}

function height(width, scene, most) {
  const last = places(scene.config.heads, width, most).at(-1);
  return Math.round(last.y + last.side + 4);
}

/** Head, row and column at a place of the picture, or null beside the maps. */
function cellAt(x, y, width, height, heads, size) {
  const found = places(heads, width, height).findIndex(
    (map) => x >= map.x && x < map.x + map.side && y >= map.y && y < map.y + map.side,
  );
  if (found < 0) return null;
  const { x: left, y: top, side } = places(heads, width, height)[found];
  const [column, row] = [x - left, y - top].map((part) => Math.floor((part * size) / side));
  return { head: found, row, column };
}

/**
 * The maps of all heads.
 *
 * @param {object} map `values(k)`, from -1 to 1, row by row; `names` of rows and columns; `ends`, the
 *   colours of -1, 0 and 1; `pointed`, rows and columns of the pair that is pointed at.
 */
function drawMaps(context, width, height, scene, { values, names, ends, pointed }) {
  const { config, snapshot, colours, pair } = scene;
  const size = names.length;
  places(config.heads, width, height).forEach(({ x, y, side }, k) => {
    cells(context, values(k), size, x, y, side, side, ends.map(rgb));
    const cell = side / size;
    if (cell >= 6) grid(context, size, size, x, y, side, side, colours.surface);
    const branch = headVerdict(snapshot.rightAttention[k], config.length);
    context.strokeStyle = config.heads > 1 ? branchColour(colours, branch) : colours.line;
    context.lineWidth = config.heads > 1 ? 2 : 1;
    context.strokeRect(x, y, side, side);
    const [row, column] = pair ? pointed : [-1, -1];
    if (row >= 0 && column >= 0 && pair.head === k) {
      context.strokeStyle = colours.text;
      context.lineWidth = 2.5;
      context.strokeRect(x + column * cell, y + row * cell, cell, cell);
    }
    if (config.heads > 1) {
      context.font = font(11, 600);
      const name = side < 44 ? `${k + 1}` : `head ${k + 1}`;
      label(context, name, x, y - 8, branchColour(colours, branch));
      return;
    }
    // All whole words or all initials: a mixture looks like two kinds of things.
    context.font = font(11);
    const whole = names.every((name) => fitting(context, name, cell - 1) === name);
    names.forEach((name, n) => {
      const at = (n + 0.5) * cell;
      context.font = font(11, n === row ? 800 : 400);
      label(context, fitting(context, name, 40), x - 5, y + at, colours.text, "right");
      context.font = font(11, n === column ? 800 : 400);
      const short = whole ? name : fitting(context, name[0], cell - 1);
      label(context, short, x + at, y - 9, colours.text, "center");
    });
  });
}

/** Which head a value is of, where there are several. */
function whose({ config, pair }) {
  return config.heads > 1 ? `Head ${pair.head + 1}: ` : "";
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

  draw(context, width, height, scene) {
    const { config, snapshot, colours, pair } = scene;
    const size = config.length;
    const words = snapshot.example.words;
    drawMaps(context, width, height, scene, {
      values(k) {
        const values = snapshot.attention.subarray(k * size * size, (k + 1) * size * size);
        const full = Math.max(most(values), 2 / size);
        return values.map((value) => value / full);
      },
      names: exampleWords(scene),
      ends: [colours.surface, colours.surface, colours.attention],
      pointed: pair && [words.indexOf(pair.written), words.indexOf(pair.looked)],
    });
  },

  /** The pair of words at a place. */
  pairAt(x, y, width, height, { config, snapshot }) {
    const cell = cellAt(x, y, width, height, config.heads, config.length);
    const words = snapshot.example.words;
    return cell && { head: cell.head, written: words[cell.row], looked: words[cell.column] };
  },

  value(scene) {
    const { config, snapshot, pair } = scene;
    if (!pair) return "";
    const { length } = config;
    const { head, written, looked } = pair;
    const [row, column] = [written, looked].map((word) => snapshot.example.words.indexOf(word));
    const [writing, at] = [WORDS[written], WORDS[looked]];
    if (row < 0 || column < 0) return `Not both of ${at} and ${writing} are in this sentence.`;
    const value = snapshot.attention[(head * length + row) * length + column];
    return `${whose(scene)}writing ${writing}, it looks at ${at}: ${percent(value)}`;
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
    "that could be written. Orange, +: it speaks for that word. Purple, \u2212: it speaks against it.",
  height,

  draw(context, width, height, scene) {
    const { config, snapshot, colours, pair } = scene;
    const size = config.vocab;
    const tables = Array.from({ length: config.heads }, (_, k) =>
      centredTable(snapshot.table, size, k),
    );
    const full = tables.map((table) => Math.max(0.2, most(table.map(Math.abs))));
    drawMaps(context, width, height, scene, {
      values: (k) => tables[k].map((value) => value / full[k]),
      names: WORDS.slice(0, size),
      ends: [colours.elimination, colours.surface, colours.words],
      pointed: pair && [pair.looked, pair.written],
    });
    if (config.heads > 1) return;
    const [{ x, y, side }] = places(1, width, height);
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

  pairAt(x, y, width, height, { config }) {
    const cell = cellAt(x, y, width, height, config.heads, config.vocab);
    return cell && { head: cell.head, looked: cell.row, written: cell.column };
  },

  value(scene) {
    const { config, snapshot, pair } = scene;
    if (!pair) return "";
    const table = centredTable(snapshot.table, config.vocab, pair.head);
    const value = table[pair.looked * config.vocab + pair.written];
    const way = value < 0 ? "against" : "for";
    const words = `${WORDS[pair.looked]} speaks ${way} ${WORDS[pair.written]}`;
    return `${whose(scene)}${words}: ${signed(value, 2)}`;
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

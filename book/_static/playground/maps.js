/** Two views made of cells: where each head looks, and what each word stands for. */

import { branchColour, cells, fitting, font, grid, label, rgb } from "./canvas.js";
import { count, percent, signed } from "./dom.js";
import { bestHead, centredTable, headVerdict, WORDS, wordsKnown } from "./reading.js";

const GAP = 10;
/** What stands above the maps of several heads, and between two rows of them. */
const HEADING = 26;
/** The names of the axes: a line above, and for one map another at its left. */
const AXIS = 14;

/** Places of the maps of all heads: one large map with labels, or up to four in a row. */
function places(heads, width, most) {
  if (heads === 1) {
    const edge = AXIS + (width < 240 ? 30 : 40);
    const top = AXIS + 18;
    const side = Math.floor(Math.min(width - edge - 2, most - top - 2, 340));
    return [{ x: edge + (width - edge - 2 - side) / 2, y: top, side, edge }];
  }
  const columns = Math.min(heads, 4);
  const rows = Math.ceil(heads / columns);
  const across = (width - 2 - GAP * (columns - 1)) / columns;
  const room = [across, (most - AXIS + 4) / rows - HEADING, 230];
  const side = Math.floor(Math.min(...room));
  const left = (width - columns * side - GAP * (columns - 1)) / 2;
  return Array.from({ length: heads }, (_, k) => ({
    x: left + (k % columns) * (side + GAP),
    y: AXIS + 18 + Math.floor(k / columns) * (side + HEADING),
    side,
  }));
}

function height(width, scene, most) {
  const last = places(scene.config.heads, width, most).at(-1);
  return Math.round(last.y + last.side + 4);
}

/** Head, row and column at a place of the picture, or null beside the maps. */
export function cellAt(x, y, width, height, heads, size) {
  const found = places(heads, width, height).findIndex(
    (map) => x >= map.x && x < map.x + map.side && y >= map.y && y < map.y + map.side,
  );
  if (found < 0) return null;
  const { x: left, y: top, side } = places(heads, width, height)[found];
  const [column, row] = [x - left, y - top].map((part) => Math.floor((part * size) / side));
  return { head: found, row, column };
}

export const FIRST_CELL = { head: 0, row: 0, column: 0 };

/** The cell beside one, also in the map beside it; at the end of all maps the same one. */
export function neighbour(cell, right, down, heads, size) {
  const wide = Math.min(heads, 4);
  const column = (cell.head % wide) * size + cell.column + right;
  const row = Math.floor(cell.head / wide) * size + cell.row + down;
  const head = Math.floor(row / size) * wide + Math.floor(column / size);
  if (column < 0 || column >= wide * size || row < 0 || head >= heads) return cell;
  return { head, row: row % size, column: column % size };
}

/** What rows and columns are. */
function drawAxes(context, [rows, columns], heads, place, width, colours) {
  context.font = font(11, 600);
  if (heads > 1) {
    const text = `\u2193 ${rows}   \u2192 ${columns}`;
    const free = width - context.measureText(text).width;
    return label(context, text, Math.max(Math.min(place.x, free), 0), AXIS / 2, colours.text);
  }
  const { x, y, side, edge } = place;
  const fits = (text) => context.measureText(text).width <= width;
  const above = [`${columns} \u2192`, columns].find(fits) ?? columns;
  const left = Math.min(x, x + side - context.measureText(above).width);
  label(context, above, Math.max(left, 0), AXIS / 2, colours.text);
  context.save();
  context.translate(x - edge + AXIS / 2, y + side / 2);
  context.rotate(-Math.PI / 2);
  label(context, `\u2190 ${rows}`, 0, 0, colours.text, "center");
  context.restore();
}

/**
 * The maps of all heads.
 *
 * @param {object} map `values(k)`, from -1 to 1, row by row; `names` of rows and columns; `axes`,
 *   what rows and columns are; `ends`, the colours of -1, 0 and 1; `pointed`, row and column of the
 *   pair that is pointed at.
 */
function drawMaps(context, width, height, scene, { values, names, axes, ends, pointed }) {
  const { config, snapshot, colours, pair } = scene;
  const size = names.length;
  const all = places(config.heads, width, height);
  drawAxes(context, axes, config.heads, all[0], width, colours);
  all.forEach(({ x, y, side }, k) => {
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
    const small = font(Math.min(11, Math.max(8, cell))); // rows do not overlap
    context.font = font(11);
    const whole = names.every((name) => fitting(context, name, cell - 1) === name);
    names.forEach((name, n) => {
      const at = (n + 0.5) * cell;
      context.font = n === row ? small.replace("400", "800") : small;
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
  title: "Where it looks: attention",
  how:
    "Row: the word being written. Column: the word looked at. Full colour: most attention. " +
    "The right place is on the diagonal. Point at a cell for its value, or go there with the arrow " +
    "keys.",
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
      axes: ["writes", "looks at"],
      ends: [colours.surface, colours.surface, colours.attention],
      pointed: pair && [words.indexOf(pair.written), words.indexOf(pair.looked)],
    });
  },

  /** How many maps there are, and rows of each. */
  maps: ({ config }) => [config.heads, config.length],

  /** The pair of words of a cell. */
  pairIn({ head, row, column }, { snapshot }) {
    const { words } = snapshot.example;
    return { head, written: words[row], looked: words[column] };
  },

  /** The cell of a pair, or null where one of the words is not in the sentence. */
  cellOf({ head, written, looked }, { snapshot }) {
    const [row, column] = [written, looked].map((word) => snapshot.example.words.indexOf(word));
    return row < 0 || column < 0 ? null : { head, row, column };
  },

  value(scene) {
    const { config, snapshot, pair } = scene;
    if (!pair) return "";
    const { length } = config;
    const [writing, at] = [WORDS[pair.written], WORDS[pair.looked]];
    const cell = attentionMap.cellOf(pair, scene);
    if (cell === null) return `Not both of ${at} and ${writing} are in this sentence.`;
    const value = snapshot.attention[(cell.head * length + cell.row) * length + cell.column];
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
  title: "What words stand for",
  term: ": KTIW",
  how:
    "KTIW: knowledge to translate individual words. Row: a word that is looked at. Column: a word " +
    "that could be written. Orange, +: it votes for that word. Purple, \u2212: it votes against it.",
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
      axes: ["looks at", "writes: + for, \u2212 against"],
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

  maps: ({ config }) => [config.heads, config.vocab],

  pairIn: ({ head, row, column }) => ({ head, looked: row, written: column }),

  cellOf: ({ head, looked, written }) => ({ head, row: looked, column: written }),

  value(scene) {
    const { config, snapshot, pair } = scene;
    if (!pair) return "";
    const table = centredTable(snapshot.table, config.vocab, pair.head);
    const value = table[pair.looked * config.vocab + pair.written];
    const way = value < 0 ? "against" : "for";
    const words = `${WORDS[pair.looked]} votes ${way} ${WORDS[pair.written]}`;
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
      `votes for itself rather than for another: ${leads.join(", ")}${end}`
    );
  },
};

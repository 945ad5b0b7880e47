/** The plane of attention and words: the theory's flow, saddle and divide, and the run's trace. */

import { branchColour, dot, font, label, line } from "./canvas.js";
import { signed } from "./dom.js";
import { headVerdict } from "./reading.js";
import { saddle, separatrix, velocity } from "./theory.js";

const END = 20; // leads beyond it are drawn at the edge
const UNIT = 0.1; // below it the axes are even, above it they are logarithmic
const EDGE = 26;
const ARROWS = 13;

const squeeze = (value) => Math.asinh(value / UNIT) / Math.asinh(END / UNIT);
const stretch = (part) => UNIT * Math.sinh(part * Math.asinh(END / UNIT));
const clamp = (value, low = -1, high = 1) => Math.max(low, Math.min(high, value));

/** The flow field is drawn once for each size, task and theme, and then copied. */
const still = { key: "", canvas: document.createElement("canvas") };

function flow(context, side, scene) {
  const { vocab, length } = scene.config;
  const { colours } = scene;
  const half = side / 2;
  const at = (u, v) => [half + u * half, half - v * half];
  line(context, [at(-1, 0), at(1, 0)], colours.line, 1);
  line(context, [at(0, -1), at(0, 1)], colours.line, 1);
  for (let i = 0; i < ARROWS; i++) {
    for (let j = 0; j < ARROWS; j++) {
      const [u, v] = [i, j].map((n) => ((n + 0.5) / ARROWS) * 2 - 1);
      const [a, b] = [stretch(u), stretch(v)];
      const [da, db] = velocity(a, b, vocab, length);
      // The axes squeeze lengths, so directions turn with them.
      const [du, dv] = [da / Math.hypot(a, UNIT), db / Math.hypot(b, UNIT)];
      const speed = Math.hypot(du, dv);
      if (speed > 0)
        arrow(context, ...at(u, v), du / speed, -dv / speed, side / ARROWS / 2.6, colours);
    }
  }
  const divide = separatrix(vocab, length, -END, END, 241).map(([a, b]) => [
    squeeze(a),
    squeeze(b),
  ]);
  const inside = divide.filter(([u, v]) => Math.abs(u) <= 1 && Math.abs(v) <= 1);
  line(context, inside.map(([u, v]) => at(u, v)), colours.text, 1.5, [6, 4]);
  const [x, y] = at(squeeze(saddle(vocab, length)), 0);
  for (const rise of [-5, 5]) {
    line(context, [[x - 5, y - rise], [x + 5, y + rise]], colours.text, 2.5);
  }
}

function arrow(context, x, y, dx, dy, reach, colours) {
  const tip = [x + dx * reach, y + dy * reach];
  const wing = (turn) => [
    tip[0] - 4 * (dx * Math.cos(turn) - dy * Math.sin(turn)),
    tip[1] - 4 * (dx * Math.sin(turn) + dy * Math.cos(turn)),
  ];
  line(context, [[x - dx * reach, y - dy * reach], tip], colours.flow, 1);
  line(context, [wing(0.5), tip, wing(-0.5)], colours.flow, 1);
}

export const plane = {
  id: "plane",
  title: "The plane",
  term: ": two ways out",
  how:
    "Arrows: where theory says that a run drifts. It starts near the cross, the balance point; " +
    "the dashed line divides the two ways. The ring is the starting point: drag it, or move it " +
    "with the arrow keys.",

  height(width, _, most) {
    return Math.round(Math.min(width, 360, most));
  },

  /** Where leads lie in the picture, `at`, and back, `from`. */
  scale(width, height) {
    const side = height - (height < 200 ? 4 : EDGE); // no room for the names of the axes
    const left = Math.max(height < 200 ? 0 : EDGE, (width - side) / 2);
    return {
      side,
      left,
      at: (a, b) => [
        left + ((clamp(squeeze(a)) + 1) / 2) * side,
        ((1 - clamp(squeeze(b))) / 2) * side,
      ],
      from: (x, y) => [stretch((2 * (x - left)) / side - 1), stretch(1 - (2 * y) / side)],
    };
  },

  draw(context, width, height, scene) {
    const { side, left, at } = plane.scale(width, height);
    const { config, colours, history, snapshot } = scene;
    const ratio = context.getTransform().a;
    const key = [side, ratio, config.vocab, config.length, ...Object.values(colours)].join();
    if (still.key !== key) {
      still.key = key;
      still.canvas.width = still.canvas.height = Math.round(side * ratio);
      const pen = still.canvas.getContext("2d", { alpha: false });
      pen.scale(ratio, ratio);
      pen.fillStyle = colours.surface;
      pen.fillRect(0, 0, side, side);
      flow(pen, side, scene);
    }
    context.imageSmoothingEnabled = true;
    context.drawImage(still.canvas, left, 0, side, side);
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.strokeRect(left, 0, side, side);
    corners(context, left, side, colours);
    const rows = history.rows;
    for (let k = 0; k < config.heads && rows.length; k++) {
      const branch = headVerdict(snapshot.rightAttention[k], config.length);
      const colour = branch === "undecided" ? colours.text : branchColour(colours, branch);
      const path = rows.map((row) => at(row.leadA[k], row.leadB[k]));
      line(context, path, colour, config.heads > 1 ? 2 : 3);
      dot(context, ...path[0], 3.5, colour, colours.surface);
      const [x, y] = path.at(-1);
      dot(context, clamp(x, left + 6, left + side - 6), clamp(y, 6, side - 6), 5, colour);
    }
  },

  describe({ config, snapshot }) {
    const balance = saddle(config.vocab, config.length);
    const where = Array.from(snapshot.leadA, (a, k) => {
      const b = snapshot.leadB[k];
      const side = a + b > balance ? "upper right" : "lower left";
      return `attention lead ${signed(a, 2)}, word lead ${signed(b, 2)}, ${side} half`;
    });
    const heads = config.heads === 1 ? where : where.map((text, k) => `head ${k + 1}: ${text}`);
    const several =
      config.heads > 1 ? " The arrows are exact for one head, and near the cross for several." : "";
    return (
      `The run stands at ${heads.join("; ")}. The balance point lies at attention lead ` +
      `${signed(balance, 2)}.${several}`
    );
  },
};

function corners(context, left, side, colours) {
  context.font = font(12, 600);
  // Beside the corners to which runs go, and not under their dots.
  const [right, far] = [left + 0.84 * side, left + 0.3 * side];
  context.fillStyle = colours.surface;
  context.fillRect(right - 50, 3, 53, 20);
  context.fillRect(far - 3, side - 22, 74, 19);
  label(context, "aligned", right, 14, colours.attention, "right");
  label(context, "elimination", far, side - 12, colours.elimination);
  context.font = font(11);
  if (side < 200 - EDGE) {
    if (left < 70) return;
    label(context, "words \u2191", left - 6, 12, colours.text, "right");
    label(context, "attention \u2192", left + side + 6, side - 10, colours.text);
    return;
  }
  label(
    context,
    "attention on the right place \u2192",
    left + side / 2,
    side + 14,
    colours.text,
    "center",
  );
  context.save();
  context.translate(left - 12, side / 2);
  context.rotate(-Math.PI / 2);
  label(context, "words vote for themselves \u2192", 0, 0, colours.text, "center");
  context.restore();
}

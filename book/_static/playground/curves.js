/** The curves over steps: words known, attention, right answers. */

import { font, label, line } from "./canvas.js";
import { percent } from "./dom.js";

const EDGE = { left: 40, right: 12, top: 10, bottom: 34 };

/** A round number of steps at or above the newest one. */
export function reach(step) {
  const floor = 10 ** Math.floor(Math.log10(Math.max(step, 20)));
  return [1, 2, 4, 6, 8, 10].map((n) => n * floor).find((n) => n >= Math.max(step, 20));
}

export const curves = {
  id: "curves",
  title: "Over training",
  how: "From left to right, training steps. From bottom to top, 0 to 100%.",
  legend: [
    ["words", "solid", "words that stand for themselves"],
    ["attention", "dashed", "attention on the right place"],
    ["tokens", "dotted", "right answers"],
  ],

  height(width) {
    return Math.round(Math.max(210, Math.min(300, 0.72 * width)));
  },

  draw(context, width, height, scene) {
    const { history, colours, config } = scene;
    const rows = history.rows;
    const last = reach(rows.at(-1)?.step ?? 0);
    const x = (step) => EDGE.left + (step / last) * (width - EDGE.left - EDGE.right);
    const y = (share) => height - EDGE.bottom - share * (height - EDGE.top - EDGE.bottom);
    context.font = font(11);
    for (const share of [0, 0.5, 1]) {
      line(
        context,
        [
          [x(0), y(share)],
          [x(last), y(share)],
        ],
        colours.line,
        1,
      );
      label(context, percent(share), EDGE.left - 6, y(share), colours.text, "right");
    }
    for (const part of [0, 0.5, 1]) {
      const where = part === 0 ? "left" : part === 1 ? "right" : "center";
      label(
        context,
        String(part * last),
        x(part * last),
        height - EDGE.bottom + 11,
        colours.text,
        where,
      );
    }
    label(context, "training step", x(last / 2), height - 8, colours.text, "center");
    const chance = y(1 / config.length);
    line(
      context,
      [
        [x(0), chance],
        [x(last), chance],
      ],
      colours.muted,
      1,
      [1, 3],
    );
    label(context, "chance", x(last), chance - 8, colours.text, "right");
    const path = (value) => rows.map((row) => [x(row.step), y(value(row))]);
    const known = history.known.map(([step, share]) => [x(step), y(share)]);
    for (let k = 0; config.heads > 1 && k < config.heads; k++) {
      context.globalAlpha = 0.45;
      line(
        context,
        path((row) => row.rightAttention[k]),
        colours.attention,
        1,
      );
      context.globalAlpha = 1;
    }
    line(
      context,
      path((row) => row.tokenAccuracy),
      colours.tokens,
      3,
      [1, 5],
    );
    line(
      context,
      path((row) => Math.max(...row.rightAttention)),
      colours.attention,
      2.5,
      [8, 4],
    );
    line(context, known, colours.words, 2.5);
  },

  describe({ history, config }) {
    const row = history.rows.at(-1);
    if (!row) return "";
    const known = history.known.at(-1)[1];
    const first = (hit) => history.rows.find(hit)?.step;
    const steps = [
      [
        "half of the words known",
        history.known.find(([step, share]) => step > 0 && share >= 0.5)?.[0],
      ],
      ["half of the attention", first((r) => Math.max(...r.rightAttention) >= 0.5)],
      ["half of the answers right", first((r) => r.tokenAccuracy >= 0.5)],
    ];
    const reached = steps.filter(([, step]) => step !== undefined);
    const when = reached.length
      ? ` First seen: ${reached.map(([name, step]) => `${name} at step ${step}`).join(", ")}.`
      : "";
    const whose = config.heads > 1 ? " in the best head" : "";
    return (
      `At step ${row.step}: words that stand for themselves ${percent(known)}, attention on the ` +
      `right place ${percent(Math.max(...row.rightAttention))}${whose}, right answers ` +
      `${percent(row.tokenAccuracy)}.${when}`
    );
  },
};

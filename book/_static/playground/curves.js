/** The curves over steps: words known, attention, right answers. */

import { font, label, line } from "./canvas.js";
import { percent } from "./dom.js";
import { sure } from "./reading.js";

const EDGE = { left: 40, right: 12, top: 10, bottom: 22 };

/** A round number of steps at or above the newest one. */
export function reach(step) {
  const floor = 10 ** Math.floor(Math.log10(Math.max(step, 20)));
  return [1, 2, 4, 6, 8, 10].map((n) => n * floor).find((n) => n >= Math.max(step, 20));
}

export const curves = {
  id: "curves",
  title: "Over training",
  how:
    "From left to right, training steps. Words that stand for themselves; attention on the right " +
    "place; right answers; and how sure the model is of the right word: its probability (geometric " +
    "mean). All answers can be right while it is hardly surer than by guessing.",
  legend: [
    ["words", "solid", "words known"],
    ["attention", "dashed", "attention"],
    ["tokens", "dotted", "answers"],
    ["sure", "thin", "how sure"],
  ],

  height(width, _, most) {
    return Math.round(Math.min(Math.max(210, Math.min(300, 0.72 * width)), most));
  },

  draw(context, width, height, scene) {
    const { history, colours, config } = scene;
    const rows = history.rows;
    const last = reach(rows.at(-1)?.step ?? 0);
    const x = (step) => EDGE.left + (step / last) * (width - EDGE.left - EDGE.right);
    const y = (share) => height - EDGE.bottom - share * (height - EDGE.top - EDGE.bottom);
    const across = (share) => [[x(0), y(share)], [x(last), y(share)]];
    context.font = font(11);
    for (const share of [0, 0.5, 1]) {
      line(context, across(share), colours.line, 1);
      label(context, percent(share), EDGE.left - 6, y(share), colours.text, "right");
    }
    const foot = height - EDGE.bottom + 11;
    label(context, "0", x(0), foot, colours.text);
    label(context, `training step ${last / 2}`, x(last / 2), foot, colours.text, "center");
    label(context, String(last), x(last), foot, colours.text, "right");
    line(context, across(1 / config.length), colours.muted, 1, [1, 3]);
    label(context, "chance", x(last), y(1 / config.length) - 8, colours.text, "right");
    const path = (value) => rows.map((row) => [x(row.step), y(value(row))]);
    context.globalAlpha = 0.45;
    for (let k = 0; config.heads > 1 && k < config.heads; k++) {
      line(context, path((row) => row.rightAttention[k]), colours.attention, 1);
    }
    context.globalAlpha = 1;
    line(context, path((row) => row.tokenAccuracy), colours.tokens, 3, [1, 5]);
    line(context, path(sure), colours.sure, 1.5);
    line(context, path((row) => Math.max(...row.rightAttention)), colours.attention, 2.5, [8, 4]);
    const known = history.known.map(([step, share]) => [x(step), y(share)]);
    line(context, known, colours.words, 2.5);
  },

  describe({ history, config }) {
    const row = history.rows.at(-1);
    if (!row) return "";
    const known = history.known.at(-1)[1];
    const first = (hit) => history.rows.find(hit)?.step;
    const half = history.known.find(([step, share]) => step > 0 && share >= 0.5)?.[0];
    const steps = [
      ["half of the words known", half],
      ["half of the attention", first((r) => Math.max(...r.rightAttention) >= 0.5)],
      ["half of the answers right", first((r) => r.tokenAccuracy >= 0.5)],
      ["half sure", first((r) => sure(r) >= 0.5)],
    ];
    const reached = steps.filter(([, step]) => step !== undefined);
    const when = reached.length
      ? ` First seen: ${reached.map(([name, step]) => `${name} at step ${step}`).join(", ")}.`
      : "";
    const whose = config.heads > 1 ? " in the best head" : "";
    return (
      `At step ${row.step}: words that stand for themselves ${percent(known)}, attention on the ` +
      `right place ${percent(Math.max(...row.rightAttention))}${whose}, right answers ` +
      `${percent(row.tokenAccuracy)}, sure of the right word ${percent(sure(row))}.${when}`
    );
  },
};

/** Two views of one sentence: the probability of each word, and how one word is chosen. */

import { cells, fitting, font, grid, label, rgb } from "./canvas.js";
import { percent, signed } from "./dom.js";
import { bestGuess, meanAttention, scores, WORDS } from "./reading.js";

const ROW = 22;

function wordAt(scene, position) {
  return WORDS[scene.snapshot.example.words[position]];
}

export const example = {
  id: "example",
  title: "One sentence: what the model would write",
  how:
    "Row: a word to copy. Column: a word that could be written; full colour is most probable, " +
    "and the frame is the right one. At the end of the row: the best guess.",

  height(_, scene) {
    return 22 + scene.config.length * ROW;
  },

  draw(context, width, _, scene) {
    const { config, snapshot, colours } = scene;
    const { length, vocab } = config;
    const [left, right] = [46, 104];
    const room = width - left - right;
    const high = length * ROW;
    cells(context, snapshot.example.probabilities, vocab, left, 20, room, high, [
      rgb(colours.surface),
      rgb(colours.surface),
      rgb(colours.tokens),
    ]);
    grid(context, vocab, length, left, 20, room, high, colours.line);
    const cell = room / vocab;
    context.font = font(11);
    for (let o = 0; o < vocab && cell > 9; o++) {
      label(
        context,
        fitting(context, WORDS[o], cell - 2),
        left + (o + 0.5) * cell,
        10,
        colours.text,
        "center",
      );
    }
    for (let t = 0; t < length; t++) {
      const middle = 20 + (t + 0.5) * ROW;
      const guess = bestGuess(snapshot, vocab, t);
      const hit = guess.word === snapshot.example.words[t];
      context.font = font(12);
      label(context, wordAt(scene, t), left - 6, middle, colours.text, "right");
      context.font = font(12, hit ? 600 : 400);
      const mark = hit ? "\u2713" : "\u2717";
      const verdict = `${mark} ${WORDS[guess.word]} ${percent(guess.probability)}`;
      label(context, verdict, left + room + 6, middle, colours.text);
      context.strokeStyle = colours.text;
      context.lineWidth = 2;
      const at = left + snapshot.example.words[t] * cell;
      context.strokeRect(at + 1, 21 + t * ROW, cell - 2, ROW - 2);
    }
  },

  describe(scene) {
    const { config, snapshot } = scene;
    const each = Array.from({ length: config.length }, (_, t) => {
      const guess = bestGuess(snapshot, config.vocab, t);
      const verdict = guess.word === snapshot.example.words[t] ? "right" : "wrong";
      return `${wordAt(scene, t)}: ${WORDS[guess.word]}, ${percent(guess.probability)}, ${verdict}`;
    });
    return `Word to copy and best guess. ${each.join("; ")}.`;
  },
};

export const choice = {
  id: "choice",
  title: "How one word is chosen",
  how:
    "Blue: how much the model looks at each word. Then each word's score: all votes for it, less " +
    "those against it. The highest score is written: \u2713 right, \u2717 wrong.",

  height(_, scene) {
    return 24 + scene.config.length * ROW;
  },

  draw(context, width, _, scene) {
    const { config, snapshot, colours } = scene;
    const position = Math.min(scene.position, config.length - 1);
    const attention = meanAttention(snapshot, config, position);
    const votes = scores(snapshot, config, position);
    const winner = votes.indexOf(Math.max(...votes));
    const left = 52;
    const half = (width - left - 10) / 2;
    const middle = left + half + 10 + half / 2;
    const most = Math.max(...attention);
    const full = Math.max(0.5, ...votes.map(Math.abs));
    context.font = font(11);
    label(context, "looks", left, 10, colours.text);
    const scale = "against \u2190 score \u2192 for";
    const room = width - context.measureText(scale).width / 2;
    label(context, scale, Math.min(middle, room), 10, colours.text, "center");
    for (let l = 0; l < config.length; l++) {
      const y = 24 + l * ROW;
      const asked = l === position;
      context.font = font(12, asked ? 700 : 400);
      label(
        context,
        `${asked ? "\u25b8" : ""}${wordAt(scene, l)}`,
        left - 6,
        y + ROW / 2,
        colours.text,
        "right",
      );
      const looks = (attention[l] / most) * (half - 44);
      bar(context, left, y, looks, colours.attention);
      context.font = font(11);
      const shown = percent(attention[l]);
      label(context, shown, left + looks + 5, y + ROW / 2, colours.text);
      const reach = (votes[l] / full) * (half / 2 - 16);
      bar(context, middle, y, reach, votes[l] < 0 ? colours.elimination : colours.words);
      if (l === winner) {
        // Right words and places have the same numbers in copying: what is written may be wrong.
        const mark = asked ? "\u2713" : "\u2717";
        label(context, mark, middle + Math.max(reach, 0) + 5, y + ROW / 2, colours.text);
      }
    }
    const foot = 24 + config.length * ROW;
    for (const x of [left, middle]) {
      context.fillStyle = colours.muted;
      context.fillRect(x - 0.5, 22, 1, foot - 22);
    }
  },

  describe(scene) {
    const { config, snapshot } = scene;
    const position = Math.min(scene.position, config.length - 1);
    const attention = meanAttention(snapshot, config, position);
    const votes = scores(snapshot, config, position);
    const winner = votes.indexOf(Math.max(...votes));
    const each = Array.from(votes, (vote, l) => {
      return `${wordAt(scene, l)}: looked at ${percent(attention[l])}, score ${signed(vote)}`;
    });
    return (
      `To copy: ${wordAt(scene, position)}. ${each.join("; ")}. ` +
      `Highest score: ${wordAt(scene, winner)}, ${winner === position ? "right" : "wrong"}.`
    );
  },
};

function bar(context, x, y, reach, colour) {
  context.fillStyle = colour;
  context.fillRect(Math.min(x, x + reach), y + 3, Math.abs(reach), ROW - 6);
}

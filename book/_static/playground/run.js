/** One run of the reduced model: its start, its inputs, its steps. */

import { Adam, Model, Sgd, attention, leads, lossAndGradient, measure, probabilities } from "./model.js";
import { Random } from "./random.js";

/** How many inputs a run is measured on, and the seed they are drawn from, for every run alike. */
const MEASURED = 64;
const HELD_OUT_SEED = 2 ** 31;

/**
 * Mirror images of heads in place, as `turn_over` and `make_antithetic` of `lessons_lib` make them:
 * minus all entries, or in the second half of the heads minus those of the first half. What was drawn
 * is not drawn otherwise, so the inputs and the other heads of a seed stay the same.
 */
function turnOver(start, mirror) {
  const half = start.length / 2;
  if (mirror === "turned") start.forEach((value, i) => (start[i] = -value));
  if (mirror === "pairs") for (let i = 0; i < half; i++) start[half + i] = -start[i];
}

export class Run {
  /** @param {import("./settings.js").Config} config a valid one. */
  constructor(config) {
    const { vocab, length, heads, optimizer, rate, batch } = config;
    this.config = config;
    this.step = 0;
    this.random = new Random(config.seed);
    this.model = new Model(vocab, length, heads);
    this.draw(this.model.a, length, config.startA);
    this.draw(this.model.b, vocab, config.startB);
    for (const start of [this.model.a, this.model.b]) turnOver(start, config.mirror);
    this.optimizer = optimizer === "adam" ? new Adam(rate) : new Sgd(rate);
    this.words = new Int32Array(batch * length);
    this.heldOut = new Int32Array(MEASURED * length);
    this.inputs(new Random(HELD_OUT_SEED), this.heldOut);
    this.values = [this.model.a, this.model.b];
    this.gradients = [this.model.gradA, this.model.gradB];
  }

  /** Squares of independent normal entries, with something added to each diagonal. */
  draw(squares, size, added) {
    for (let i = 0; i < squares.length; i++) {
      const place = i % (size * size);
      const onDiagonal = place % (size + 1) === 0;
      squares[i] = this.config.scale * this.random.normal() + (onDiagonal ? added : 0);
    }
  }

  /** Fill an array with inputs. */
  inputs(random, words) {
    const { vocab, length } = this.config;
    for (let first = 0; first < words.length; first += length) {
      random.permutationOfWords(words, first, length, vocab);
    }
  }

  /** So many updates, each on fresh inputs. */
  advance(steps) {
    for (let i = 0; i < steps; i++) {
      this.inputs(this.random, this.words);
      lossAndGradient(this.model, this.words, this.config.batch);
      this.optimizer.step(this.values, this.gradients);
      this.step += 1;
    }
  }

  /** Right attention and both leads of each head. */
  leads() {
    return leads(this.model);
  }

  /** The same, with loss and accuracy on the held-out inputs. */
  measure() {
    return measure(this.model, this.heldOut, MEASURED);
  }

  /** What can be drawn; the arrays are the model's own. The example is a held-out input. */
  state() {
    const words = this.heldOut.subarray(0, this.config.length);
    return {
      step: this.step,
      attention: attention(this.model),
      table: this.model.b,
      example: { words, probabilities: probabilities(this.model, words) },
    };
  }
}

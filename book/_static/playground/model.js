/**
 * The reduced model, as in `lessons_lib/theory/reduced_model.py`: attention logits by position and a table of
 * words for each head, no network. Head k has logits A_k (L x L) and a table B_k (V x V); the
 * logits of output step t are `mean_k sum_l softmax(A_k[t])_l B_k[x_l, :]`.
 *
 * For speed the heads are mixed before any word is looked at: for each step t and position l,
 * `mixed[t, l] = mean_k alpha_k[t, l] B_k` is a V x V table, and an input only has to add up L of
 * its rows. Gradients go back the same way, through `pushed`, the sum of what all inputs ask of
 * each entry of `mixed`. Nothing is allocated while training.
 */
export class Model {
  constructor(vocab, length, heads) {
    Object.assign(this, { vocab, length, heads });
    this.a = new Float64Array(heads * length * length);
    this.b = new Float64Array(heads * vocab * vocab);
    this.alpha = new Float64Array(this.a.length);
    this.gradA = new Float64Array(this.a.length);
    this.gradB = new Float64Array(this.b.length);
    this.mixed = new Float64Array(length * length * vocab * vocab);
    this.pushed = new Float64Array(this.mixed.length);
    this.logits = new Float64Array(vocab);
  }
}

/** Attention of each head, heads x L x L; the array is the model's own and changes with it. */
export function attention(model) {
  const { a, alpha, length } = model;
  for (let row = 0; row < a.length; row += length) {
    let top = a[row];
    for (let l = 1; l < length; l++) if (a[row + l] > top) top = a[row + l];
    let total = 0;
    for (let l = 0; l < length; l++) total += alpha[row + l] = Math.exp(a[row + l] - top);
    for (let l = 0; l < length; l++) alpha[row + l] /= total;
  }
  return alpha;
}

/** Fill `mixed` for the present A and B. */
function mix(model) {
  const { b, mixed, heads } = model;
  const alpha = attention(model);
  const [pairs, entries] = [model.length ** 2, model.vocab ** 2];
  for (let pair = 0; pair < pairs; pair++) {
    const out = pair * entries;
    for (let k = 0; k < heads; k++) {
      const weight = alpha[k * pairs + pair] / heads;
      const table = k * entries;
      if (k === 0) for (let i = 0; i < entries; i++) mixed[out + i] = weight * b[i];
      else for (let i = 0; i < entries; i++) mixed[out + i] += weight * b[table + i];
    }
  }
}

/** Logits of output step t for the input that begins at `first`, from `mixed`. */
function logitsOf(model, words, first, t) {
  const { logits, mixed, length, vocab } = model;
  logits.fill(0);
  for (let l = 0; l < length; l++) {
    const row = ((t * length + l) * vocab + words[first + l]) * vocab;
    for (let v = 0; v < vocab; v++) logits[v] += mixed[row + v];
  }
  return logits;
}

/** Turn logits into probabilities in place; returns the logarithm of what they summed up to. */
function softmax(logits) {
  const size = logits.length;
  let top = logits[0];
  for (let v = 1; v < size; v++) if (logits[v] > top) top = logits[v];
  let total = 0;
  for (let v = 0; v < size; v++) total += logits[v] = Math.exp(logits[v] - top);
  for (let v = 0; v < size; v++) logits[v] /= total;
  return top + Math.log(total);
}

/**
 * Mean cross-entropy of the copy in nats, and its gradient.
 *
 * @param {Model} model
 * @param {Int32Array} words inputs one after the other, batch x L, words counted from 0.
 * @param {number} batch how many inputs.
 * @returns {{loss: number, gradA: Float64Array, gradB: Float64Array}} gradients are the model's own
 *   arrays, good until the next call.
 */
export function lossAndGradient(model, words, batch) {
  const { length, vocab, pushed } = model;
  mix(model);
  pushed.fill(0);
  let loss = 0;
  for (let n = 0; n < batch; n++) {
    const first = n * length;
    for (let t = 0; t < length; t++) {
      const error = logitsOf(model, words, first, t);
      const right = words[first + t];
      const said = error[right];
      loss += softmax(error) - said;
      error[right] -= 1;
      for (let l = 0; l < length; l++) {
        const row = ((t * length + l) * vocab + words[first + l]) * vocab;
        for (let v = 0; v < vocab; v++) pushed[row + v] += error[v];
      }
    }
  }
  backward(model, 1 / (batch * length * model.heads));
  return { loss: loss / (batch * length), gradA: model.gradA, gradB: model.gradB };
}

/** From `pushed` to the gradients of A and B. */
function backward(model, scale) {
  const { alpha, b, gradA, gradB, heads, length, pushed } = model;
  const [pairs, entries] = [length ** 2, model.vocab ** 2];
  gradB.fill(0);
  for (let pair = 0; pair < pairs; pair++) {
    const from = pair * entries;
    for (let k = 0; k < heads; k++) {
      const weight = scale * alpha[k * pairs + pair];
      const table = k * entries;
      let sum = 0;
      for (let i = 0; i < entries; i++) {
        const push = pushed[from + i];
        sum += push * b[table + i];
        gradB[table + i] += weight * push;
      }
      gradA[k * pairs + pair] = scale * sum; // by alpha so far
    }
  }
  for (let row = 0; row < gradA.length; row += length) {
    let mean = 0;
    for (let l = 0; l < length; l++) mean += alpha[row + l] * gradA[row + l];
    for (let l = 0; l < length; l++) gradA[row + l] = alpha[row + l] * (gradA[row + l] - mean);
  }
}

/** Probability of each word at each output step of one input, L x V. */
export function probabilities(model, words) {
  const { length, vocab } = model;
  const found = new Float64Array(length * vocab);
  mix(model);
  for (let t = 0; t < length; t++) {
    const row = logitsOf(model, words, 0, t);
    softmax(row);
    found.set(row, t * vocab);
  }
  return found;
}

/** Mean diagonal minus mean off-diagonal of the square that begins at `first`. */
function lead(squares, first, size) {
  let diagonal = 0;
  let all = 0;
  for (let i = 0; i < size * size; i++) all += squares[first + i];
  for (let i = 0; i < size; i++) diagonal += squares[first + i * (size + 1)];
  return diagonal / size - (all - diagonal) / (size * (size - 1));
}

/** What can be said of each head without any input: as in `ReducedRuns`. */
export function leads(model) {
  const { length, vocab } = model;
  const alpha = attention(model);
  const found = { rightAttention: [], leadA: [], leadB: [] };
  for (let k = 0; k < model.heads; k++) {
    const first = k * length * length;
    let right = 0;
    for (let t = 0; t < length; t++) right += alpha[first + t * (length + 1)];
    found.rightAttention.push(right / length);
    found.leadA.push(lead(model.a, first, length));
    found.leadB.push(lead(model.b, k * vocab * vocab, vocab));
  }
  return found;
}

/**
 * The measured fields of `ReducedRuns` on inputs that nothing is trained from.
 *
 * @returns {{loss: number, tokenAccuracy: number, rightAttention: number[], leadA: number[],
 *   leadB: number[]}}
 */
export function measure(model, heldOut, n) {
  const { length, vocab } = model;
  mix(model);
  let loss = 0;
  let hits = 0;
  for (let first = 0; first < n * length; first += length) {
    for (let t = 0; t < length; t++) {
      const row = logitsOf(model, heldOut, first, t);
      const right = heldOut[first + t];
      const said = row[right];
      let best = 0;
      for (let v = 1; v < vocab; v++) if (row[v] > row[best]) best = v;
      if (best === right) hits += 1;
      loss += softmax(row) - said;
    }
  }
  return { loss: loss / (n * length), tokenAccuracy: hits / (n * length), ...leads(model) };
}

/** Where a run looks, as `ReducedRuns.branches` has it. */
export function branch(rightAttention, length) {
  const best = Math.max(...rightAttention);
  return best >= 0.5 ? "aligned" : best < 1 / length ? "elimination" : "undecided";
}

/** Plain gradient descent, as `torch.optim.SGD`. */
export class Sgd {
  constructor(rate) {
    this.rate = rate;
  }

  /** Move each array of numbers against its gradient; always the same arrays. */
  step(values, gradients) {
    for (let j = 0; j < values.length; j++) {
      const [value, gradient] = [values[j], gradients[j]];
      for (let i = 0; i < value.length; i++) value[i] -= this.rate * gradient[i];
    }
  }
}

/** As `torch.optim.Adam` with its usual constants. */
export class Adam {
  constructor(rate) {
    this.rate = rate;
    this.steps = 0;
    this.moments = null; // for each array the running mean of gradients and of their squares
  }

  /** Move each array of numbers against its gradient; always the same arrays. */
  step(values, gradients) {
    this.moments ??= values.map(({ length }) => [
      new Float64Array(length),
      new Float64Array(length),
    ]);
    this.steps += 1;
    const size = this.rate / (1 - 0.9 ** this.steps);
    const spread = Math.sqrt(1 - 0.999 ** this.steps);
    for (let j = 0; j < values.length; j++) {
      const [value, gradient] = [values[j], gradients[j]];
      const [first, second] = this.moments[j];
      for (let i = 0; i < value.length; i++) {
        first[i] += 0.1 * (gradient[i] - first[i]);
        second[i] = 0.999 * second[i] + 0.001 * gradient[i] ** 2;
        value[i] -= (size * first[i]) / (Math.sqrt(second[i]) / spread + 1e-8);
      }
    }
  }
}

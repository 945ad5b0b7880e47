/** What a snapshot of the engine means: the numbers that the views draw and tell. */

/** The words of the task, in the order of their numbers; their initials are all different. */
export const WORDS = (
  "ant bee cat dog elk fox gnu hen ibis jay " + "koi lion mole newt owl pig quail rat seal toad"
).split(" ");

/**
 * The table of one head with the mean of each row's wrong words taken as zero.
 *
 * A softmax does not notice what is added to a whole row, so only such differences mean
 * something: above zero the word votes for that output word, below zero against it.
 */
export function centredTable(table, vocab, head) {
  const found = new Float32Array(vocab * vocab);
  const start = head * vocab * vocab;
  for (let i = 0; i < vocab; i++) {
    let sum = 0;
    for (let o = 0; o < vocab; o++) if (o !== i) sum += table[start + i * vocab + o];
    const zero = sum / (vocab - 1);
    for (let o = 0; o < vocab; o++) {
      found[i * vocab + o] = table[start + i * vocab + o] - zero;
    }
  }
  return found;
}

/** Share of words whose own entry is the largest of their row: words that the head knows. */
export function wordsKnown(table, vocab, head) {
  let known = 0;
  for (let i = 0; i < vocab; i++) {
    const row = head * vocab * vocab + i * vocab;
    let best = 0;
    for (let o = 1; o < vocab; o++) if (table[row + o] > table[row + best]) best = o;
    known += best === i;
  }
  return known / vocab;
}

/** The head that looks most at the right place. */
export function bestHead(rightAttention) {
  let best = 0;
  rightAttention.forEach((value, head) => {
    if (value > rightAttention[best]) best = head;
  });
  return best;
}

/**
 * Which way a run goes, or "undecided".
 *
 * The engine's rule is that of the book and is meant for the end of a run: at the start random
 * attention is below chance in half of the runs. Before a branch is announced, attention on the
 * right place therefore has to be below half of chance.
 */
export function verdict(snapshot, length) {
  if (snapshot.branch !== "elimination") return snapshot.branch;
  return Math.max(...snapshot.rightAttention) < 0.5 / length ? "elimination" : "undecided";
}

/** The same for one head alone. */
export function headVerdict(right, length) {
  if (right >= 0.5) return "aligned";
  return right < 0.5 / length ? "elimination" : "undecided";
}

/** How sure of the right word: its probability, the geometric mean over held-out words. */
export function sure({ loss }) {
  return Math.exp(-loss);
}

/** Attention of one output position, the mean over heads. */
export function meanAttention(snapshot, config, position) {
  const { heads, length } = config;
  const found = new Float32Array(length);
  for (let k = 0; k < heads; k++) {
    for (let l = 0; l < length; l++) {
      found[l] += snapshot.attention[(k * length + position) * length + l] / heads;
    }
  }
  return found;
}

/** Scores of the example's words at one output position: for each the sum of all votes. */
export function scores(snapshot, config, position) {
  const { heads, length, vocab } = config;
  const words = snapshot.example.words;
  const found = new Float32Array(length);
  for (let k = 0; k < heads; k++) {
    const table = centredTable(snapshot.table, vocab, k);
    for (let l = 0; l < length; l++) {
      const weight = snapshot.attention[(k * length + position) * length + l] / heads;
      for (let t = 0; t < length; t++) found[t] += weight * table[words[l] * vocab + words[t]];
    }
  }
  return found;
}

/** The most probable word at one output position of the example. */
export function bestGuess(snapshot, vocab, position) {
  const { probabilities } = snapshot.example;
  let best = 0;
  for (let o = 1; o < vocab; o++) {
    if (probabilities[position * vocab + o] > probabilities[position * vocab + best]) best = o;
  }
  return { word: best, probability: probabilities[position * vocab + best] };
}

const MOST = 400;
const FIRST = 100;

/**
 * A list of moments in which there are not too many: the first hundred and the last one stay, and
 * of the others one in each equal stretch of steps, so that no part of a long run is drawn coarsely.
 */
export function thinned(list, stepOf) {
  if (list.length <= MOST) return list;
  const stretch = (2 * stepOf(list.at(-1))) / MOST;
  let last = -1;
  return list.filter((entry, n) => {
    const here = Math.floor(stepOf(entry) / stretch);
    const kept = n < FIRST || n === list.length - 1 || here !== last;
    last = here;
    return kept;
  });
}

/** What is remembered of a run for the curves and the trace. */
export class History {
  constructor() {
    /** Rows of the engine: step, rightAttention, tokenAccuracy, leadA, leadB. */
    this.rows = [];
    /** Shares of words known in the best head, at the steps of the snapshots: [step, share]. */
    this.known = [];
  }

  add(snapshot, config) {
    if (snapshot.history[0].step === 0) this.rows = this.known = [];
    this.rows = thinned([...this.rows, ...snapshot.history], (row) => row.step);
    const known = wordsKnown(snapshot.table, config.vocab, bestHead(snapshot.rightAttention));
    this.known = thinned([...this.known, [snapshot.step, known]], ([step]) => step);
  }
}

/**
 * The worker of the playground: trains in the background and reports by messages.
 *
 * To the worker:
 *   {type: "configure", config}      a fresh run with these settings, which are valid; comes first
 *   {type: "run", stepsPerSecond}    trains at this pace, or as fast as it can if none is given
 *   {type: "pause"}                  halts the run, or the tally
 *   {type: "resume"}                 goes on with a tally that was halted
 *   {type: "step", count}            exactly so many steps, then halts
 *   {type: "tally", runs, steps}     trains so many seeds, beginning with that of the settings;
 *                                    the run is halted and kept
 *   {type: "stop"}                   ends a tally
 *   {type: "time"}                   asks how long a step takes
 * Every message but pause and resume ends a tally, so a tally and a run never work together.
 *
 * From the worker:
 *   {type: "snapshot", step, attention: Float32Array(heads * L * L),
 *    table: Float32Array(heads * V * V), example: {words: [L], probabilities: Float32Array(L * V)},
 *    rightAttention: [heads], leadA: [heads], leadB: [heads], loss, tokenAccuracy, branch, running,
 *    history: [{step, loss, tokenAccuracy, rightAttention, leadA, leadB}, ...]}
 *       At most 20 a second while it runs. `history` has the rows since the last snapshot, in
 *       order, the last of them the present step; where its first row is step 0, a run begins.
 *   {type: "tally", done, stopped, runs, finished, aligned, elimination, undecided}
 *       `done` comes once, with the last message; `stopped` says that it came before all runs were
 *       finished.
 *   {type: "time", milliseconds}     of one step, here and now
 */

import { branch } from "./model.js";
import { Run } from "./run.js";

/** Milliseconds of work between two looks at the messages. */
const SLICE = 25;
/** Least milliseconds between two snapshots or two tally messages. */
const PAUSE_BETWEEN_REPORTS = 50;
/** Steps between two rows of the history. */
const ROW_EVERY = 5;

let run = null;
let config = null;
/** Rows of the history that no snapshot has carried yet. */
let rows = [];
/** Steps still to do at once (`step`), or Infinity (`run`); 0 when halted. */
let wanted = 0;
/** Steps a second; Infinity for as fast as possible. */
let pace = Infinity;
/** Steps that the pace allows now; grows with time. */
let allowance = 0;
let lastTurn = 0;
let lastReport = -Infinity;
let tally = null;
/** The run that a tally is at. */
let current = null;
let timer = null;

/** Look at the messages, then work on. A timer lets every message through that has arrived. */
function goOn(delay = 0) {
  if (timer === null) timer = setTimeout(turn, delay);
}

function turn() {
  timer = null;
  if (tally !== null) {
    if (!tally.halted) tallySlice();
  } else if (wanted > 0) {
    runSlice();
  }
}

function record() {
  rows.push({ step: run.step, ...run.measure() });
}

function snapshot() {
  if (rows.length === 0 || rows[rows.length - 1].step !== run.step) record();
  const now = rows[rows.length - 1];
  const { attention, table, example } = run.state();
  const message = {
    type: "snapshot",
    ...now,
    attention: Float32Array.from(attention),
    table: Float32Array.from(table),
    example: {
      words: Array.from(example.words),
      probabilities: Float32Array.from(example.probabilities),
    },
    branch: branch(now.rightAttention, config.length),
    running: wanted > 0,
    history: rows,
  };
  rows = [];
  lastReport = performance.now();
  self.postMessage(message, [
    message.attention.buffer,
    message.table.buffer,
    message.example.probabilities.buffer,
  ]);
}

function runSlice() {
  const began = performance.now();
  // What could not be done in a while is given up: a slow machine runs slowly, it does not lag.
  if (pace < Infinity) {
    allowance = Math.min(allowance + ((began - lastTurn) * pace) / 1000, Math.max(1, pace / 4));
  }
  lastTurn = began;
  while (wanted > 0 && allowance >= 1 && performance.now() - began < SLICE) {
    run.advance(1);
    wanted -= 1;
    allowance -= 1;
    if (run.step % ROW_EVERY === 0) record();
  }
  const due = performance.now() - lastReport >= PAUSE_BETWEEN_REPORTS;
  if (wanted === 0 || (due && rows.length > 0)) snapshot();
  // Where there is nothing to do yet, sleep until there is.
  if (wanted > 0) goOn(allowance >= 1 ? 0 : Math.min(((1 - allowance) * 1000) / pace, SLICE));
}

function start(steps, stepsPerSecond) {
  wanted = steps;
  pace = stepsPerSecond;
  allowance = pace < Infinity ? 1 : Infinity;
  lastTurn = performance.now();
  goOn();
}

function tallySlice() {
  const began = performance.now();
  while (tally.finished < tally.runs && performance.now() - began < SLICE) {
    current ??= new Run({ ...config, seed: config.seed + tally.finished });
    current.advance(1);
    // Each run makes all its steps: as long as inputs are random, none of them is safe before.
    if (current.step < tally.steps) continue;
    tally[branch(current.leads().rightAttention, config.length)] += 1;
    tally.finished += 1;
    current = null;
  }
  if (tally.finished === tally.runs) endTally();
  else {
    if (performance.now() - lastReport >= PAUSE_BETWEEN_REPORTS) reportTally(false);
    goOn();
  }
}

function reportTally(done) {
  const { runs, finished, aligned, elimination, undecided } = tally;
  const stopped = done && finished < runs;
  lastReport = performance.now();
  const counts = { aligned, elimination, undecided };
  self.postMessage({ type: "tally", done, stopped, runs, finished, ...counts });
}

function endTally() {
  if (tally === null) return;
  reportTally(true);
  tally = current = null;
}

/** Milliseconds of one step of the present settings; a first spell warms up. */
function timeOfAStep() {
  const one = new Run(config);
  let found = 0;
  for (let spell = 0; spell < 2; spell++) {
    const [began, before] = [performance.now(), one.step];
    while (performance.now() - began < SLICE) one.advance(1);
    found = (performance.now() - began) / (one.step - before);
  }
  return found;
}

/** What each message does. */
const ACTIONS = {
  configure(message) {
    endTally();
    config = message.config;
    wanted = 0;
    run = new Run(config);
    rows = [];
    snapshot();
  },
  run({ stepsPerSecond = Infinity }) {
    endTally();
    start(Infinity, stepsPerSecond);
  },
  pause() {
    if (tally !== null) tally.halted = true;
    else if (wanted > 0) {
      wanted = 0;
      snapshot();
    }
  },
  resume() {
    if (tally !== null) {
      tally.halted = false;
      goOn();
    }
  },
  step({ count }) {
    endTally();
    start(count, Infinity);
  },
  tally({ runs, steps }) {
    endTally();
    ACTIONS.pause();
    const counts = { finished: 0, aligned: 0, elimination: 0, undecided: 0 };
    tally = { runs, steps, halted: false, ...counts };
    goOn();
  },
  stop: endTally,
  time() {
    endTally();
    self.postMessage({ type: "time", milliseconds: timeOfAStep() });
  },
};

self.onmessage = ({ data }) => ACTIONS[data.type](data);

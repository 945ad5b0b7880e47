/** Many seeds counted: how often each way was taken, beside the theory. */

import { count, el, percent, wilson, write } from "./dom.js";
import { tallySteps } from "./settings.js";
import { alignedShare } from "./theory.js";

const KEPT = 4;
const WAYS = ["aligned", "elimination", "undecided"];

/** What a configuration is but for its heads, in a line. */
export function summary(config) {
  const { vocab, length, optimizer, rate, scale, startA, startB } = config;
  const tilt = startA || startB ? `, tilt ${startA} and ${startB}` : "";
  const words = vocab === length ? `all ${vocab} words` : `${length} of ${vocab} words`;
  return `${words}, ${optimizer === "sgd" ? "SGD" : "Adam"} ${rate}, start ${scale}${tilt}`;
}

class Row {
  constructor(config, runs, steps, plain) {
    this.theory = alignedShare(config);
    this.each = alignedShare({ ...config, heads: 1 });
    this.config = config;
    this.runs = runs;
    this.parts = WAYS.map((way) => el("span", { class: `pg-part pg-part-${way}` }));
    this.mark = el("span", { class: "pg-mark", style: `left:${100 * this.theory}%` });
    this.words = el("p", { class: "pg-tally-words" });
    this.element = el(
      "li",
      {},
      el(
        "p",
        { class: "pg-tally-title" },
        el("strong", {}, count(config.heads, "head")),
        plain ? "" : `: ${summary(config)}, ${steps} steps each`,
      ),
      el("div", { class: "pg-bar", "aria-hidden": "true" }, ...this.parts, this.mark),
      this.words,
    );
    this.show({ finished: 0, aligned: 0, elimination: 0, undecided: 0 });
  }

  show(report) {
    WAYS.forEach((way, n) => {
      this.parts[n].style.width = `${(100 * report[way]) / this.runs}%`;
    });
    const [low, high] = wilson(report.aligned, report.finished);
    const share = report.finished
      ? ` Aligned: ${percent(report.aligned / report.finished)}, ` +
        `95% interval ${percent(low)} to ${percent(high)}.`
      : "";
    const { heads, optimizer } = this.config;
    const tosses = heads > 1 ? `1 \u2212 (1 \u2212 ${this.each.toFixed(2)})^${heads} = ` : "";
    const whose = optimizer === "sgd" ? "" : ", which is for plain gradient descent and not for Adam";
    const rule = `Theory${whose}: ${tosses}${percent(this.theory)}.`;
    write(
      this.words,
      `${report.finished} of ${count(this.runs, "run")}: ${report.aligned} aligned, ` +
        `${report.elimination} elimination, ${report.undecided} undecided.${share} ${rule}`,
    );
  }
}

export class Tally {
  /**
   * @param {import("./engine.js").Engine} engine a worker of its own
   * @param {(sentence: string) => void} say announces the end
   */
  constructor(engine, say) {
    this.engine = engine;
    this.say = say;
    this.rows = [];
    this.list = el("ol", { class: "pg-tally-list" });
    this.empty = el("p", { class: "pg-tally-empty" }, "Nothing counted yet.");
    this.current = null;
    this.clock = null;
    this.held = false;
    this.waiting = [];
    /** Last reports still to come of tallies that were stopped. */
    this.stale = 0;
  }

  /**
   * Count runs of each configuration, one configuration after the other.
   *
   * @param {number} [perSecond] show no more runs a second than this, and no settings
   */
  count(configs, runs, perSecond) {
    this.stop();
    this.waiting = configs.map((config) => ({ config, runs, steps: tallySteps(config) }));
    // All rows at once, so that what is to be compared stands together from the start.
    for (const job of this.waiting) {
      job.perSecond = perSecond;
      job.branches = [];
      job.shown = 0;
      job.row = new Row(job.config, job.runs, job.steps, perSecond !== undefined);
      this.rows.push(job.row);
      this.list.append(job.row.element);
    }
    while (this.rows.length > KEPT) this.rows.shift().element.remove();
    this.empty.hidden = true;
    this.next();
  }

  next() {
    this.current = this.waiting.shift() ?? null;
    if (this.current === null) return;
    const { config, runs, steps } = this.current;
    this.engine.send({ type: "configure", config });
    this.engine.send({ type: "tally", runs, steps });
  }

  get busy() {
    return this.current !== null;
  }

  /** A report of the worker. */
  hear(report) {
    if (report.type !== "tally") return;
    if (this.stale > 0) {
      if (report.done) this.stale -= 1;
      return;
    }
    if (this.current.perSecond) return this.collect(report);
    this.current.row.show(report);
    if (report.done) this.end(report.stopped);
  }

  end(stopped) {
    this.engine.rest();
    this.say(`${stopped ? "Stopped" : "Counted"}: ${this.current.row.words.textContent}`);
    this.next();
  }

  /** The worker is faster than anybody counts: keep what it says, and show it run by run. */
  collect(report) {
    const job = this.current;
    job.branches.push(...report.runsList.map((run) => run.branch));
    job.done = report.done;
    this.clock ??= setInterval(() => this.reveal(), 1000 / job.perSecond);
  }

  reveal() {
    const job = this.current;
    if (this.held || !job || document.hidden) return;
    job.shown = Math.min(job.shown + 1, job.branches.length);
    const seen = job.branches.slice(0, job.shown);
    const report = { finished: seen.length };
    for (const way of WAYS) report[way] = seen.filter((branch) => branch === way).length;
    job.row.show(report);
    if (!job.done || job.shown < job.branches.length) return;
    this.stopClock();
    this.end(false);
  }

  stopClock() {
    clearInterval(this.clock);
    this.clock = null;
  }

  /** Halt, or go on. */
  hold(held) {
    this.held = held;
    if (this.busy) this.engine.send({ type: held ? "pause" : "resume" });
  }

  stop() {
    this.waiting = [];
    this.held = false;
    this.stopClock();
    if (this.current === null) return;
    if (!this.current.done) {
      this.engine.send({ type: "stop" });
      this.stale += 1;
    }
    this.current = null;
  }

  clear() {
    this.stop();
    this.rows = [];
    this.list.replaceChildren();
    this.empty.hidden = false;
  }
}

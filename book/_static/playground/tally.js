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
  constructor(config, runs, steps) {
    this.theory = alignedShare(config);
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
        `: ${summary(config)}, ${steps} steps each`,
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
    const rule =
      this.config.optimizer === "sgd"
        ? `Theory: ${percent(this.theory)}.`
        : `Theory, which is for plain gradient descent and not for Adam: ${percent(this.theory)}.`;
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
    this.waiting = [];
    /** Last reports still to come of tallies that were stopped. */
    this.stale = 0;
  }

  /** Count runs of each configuration, one configuration after the other. */
  count(configs, runs) {
    this.stop();
    this.waiting = configs.map((config) => ({ config, runs, steps: tallySteps(config) }));
    // All rows at once, so that what is to be compared stands together from the start.
    for (const job of this.waiting) {
      job.row = new Row(job.config, job.runs, job.steps);
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
    this.current.row.show(report);
    if (!report.done) return;
    this.engine.rest();
    this.say(`${report.stopped ? "Stopped" : "Counted"}: ${this.current.row.words.textContent}`);
    this.next();
  }

  /** Halt, or go on. */
  hold(held) {
    if (this.busy) this.engine.send({ type: held ? "pause" : "resume" });
  }

  stop() {
    this.waiting = [];
    if (this.current === null) return;
    this.engine.send({ type: "stop" });
    this.stale += 1;
    this.current = null;
  }

  clear() {
    this.stop();
    this.rows = [];
    this.list.replaceChildren();
    this.empty.hidden = false;
  }
}

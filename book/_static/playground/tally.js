/** Many seeds counted: how often each way was taken, beside the theory. */

import { button, count, el, percent, wilson, write } from "./dom.js";
import { tallySteps } from "./settings.js";
import { alignedShare } from "./theory.js";
import { head, legend } from "./views.js";

const KEPT = 4;
const WAYS = ["aligned", "elimination", "undecided"];
const NUMBERS = [20, 100, 200];
/** Milliseconds without a change of the settings after which the worker is asked for its speed. */
const SETTLED = 300;

/** What a configuration is but for its heads, in a line. */
export function summary(config) {
  const { vocab, length, optimizer, rate, scale, startA, startB } = config;
  const tilt = startA || startB ? `, tilt ${startA} and ${startB}` : "";
  const words = vocab === length ? `all ${vocab} words` : `${length} of ${vocab} words`;
  return `${words}, ${optimizer === "sgd" ? "SGD" : "Adam"} ${rate}, start ${scale}${tilt}`;
}

/** "about 12 s", for people. */
export function about(seconds) {
  if (seconds < 1.5) return "about a second";
  return seconds < 90 ? `about ${Math.round(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
}

/** Whether and why so many starts align, in a sentence. */
function theory(config) {
  const { heads, mirror, optimizer } = config;
  const share = alignedShare(config);
  const whose = optimizer === "sgd" ? "" : " (for plain gradient descent, not for Adam)";
  const said = `Theory${whose}: ${percent(share)}`;
  if (heads === 1) return `${said}.`;
  const one = alignedShare({ ...config, heads: 1, mirror: mirror === "turned" ? mirror : "off" });
  const misses = heads === 2 ? "both miss" : `all ${heads} miss`;
  return (
    `${said}: one head finds the place in ${percent(one)} of starts, ${misses} in ` +
    `${percent(1 - share)}.`
  );
}

class Row {
  constructor(config, runs, steps, plain) {
    this.plain = plain;
    this.runs = runs;
    this.theory = theory(config);
    this.parts = WAYS.map((way) => el("span", { class: `pg-part pg-part-${way}` }));
    const mark = el("span", { class: "pg-mark", style: `left:${100 * alignedShare(config)}%` });
    this.words = el("p", { class: "pg-tally-words" });
    const mirror = { off: "", turned: ", turned over", pairs: " in mirrored pairs" }[config.mirror];
    this.element = el(
      "li",
      {},
      el(
        "p",
        { class: "pg-tally-title" },
        el("strong", {}, count(config.heads, "head") + mirror),
        plain ? "" : `: ${summary(config)}, ${steps} steps each`,
      ),
      el("div", { class: "pg-bar", "aria-hidden": "true" }, ...this.parts, mark),
      this.words,
    );
    this.show({ finished: 0, aligned: 0, elimination: 0, undecided: 0 });
  }

  show(report) {
    WAYS.forEach((way, n) => {
      this.parts[n].style.width = `${(100 * report[way]) / this.runs}%`;
    });
    const [low, high] = wilson(report.aligned, report.finished);
    const share = percent(report.aligned / report.finished);
    const interval = ` (${share}, 95% interval ${percent(low)} to ${percent(high)})`;
    const others = `, ${report.elimination} elimination, ${report.undecided} undecided`;
    write(
      this.words,
      `Aligned: ${report.aligned} of ${count(report.finished, "run")}` +
        (report.finished && !this.plain ? interval : "") +
        `${this.plain ? "" : others}. ${this.theory}`,
    );
  }
}

export class Tally {
  /**
   * @param {import("./engine.js").Engine} engine a worker of its own
   * @param {(sentence: string) => void} say announces the end
   * @param {() => void} ended all is counted
   */
  constructor(engine, say, ended) {
    this.engine = engine;
    this.say = say;
    this.ended = ended;
    this.rows = [];
    /** What is counted now, what comes then, and last reports still to come of what was stopped. */
    this.current = null;
    this.waiting = [];
    this.stale = 0;
    /** What would be counted, and the milliseconds of a step of it, once they are known. */
    this.config = null;
    this.speed = null;
    this.list = el("ol", { class: "pg-tally-list" });
    const options = NUMBERS.map((n) => el("option", {}, String(n)));
    this.runs = el("select", { id: "pg-runs", onchange: () => this.announce() }, ...options);
    this.runs.value = "100";
    this.button = button("Count", "pg-count pg-primary", () => {
      if (this.busy) this.stop();
      else this.count([this.config], Number(this.runs.value));
    });
    this.duration = el("span", { class: "pg-duration" });
    this.element = el(
      "section",
      { class: "pg-view pg-tally", "data-view": "tally", "aria-labelledby": "pg-tally-title" },
      ...head(
        "pg-tally",
        "Many starts: which way?",
        "Each run has another random start. The black line on the bar is the share of aligned runs " +
          "that theory expects of plain gradient descent.",
      ),
      legend([
        ["attention", "box", "aligned"],
        ["elimination", "box", "elimination"],
        ["muted", "box", "undecided"],
        ["text", "line", "theory"],
      ]),
      el(
        "p",
        { class: "pg-tally-ask" },
        this.button,
        " ",
        this.runs,
        el("label", { for: "pg-runs" }, " seeds"),
        this.duration,
      ),
      this.list,
    );
  }

  get busy() {
    return this.current !== null;
  }

  /** Other settings: how long would it take to count them? */
  choose(config) {
    this.config = config;
    this.speed = null;
    this.announce();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => {
      if (this.busy) return; // asked again at its end
      this.engine.send({ type: "configure", config });
      this.engine.send({ type: "time" });
    }, SETTLED);
  }

  announce() {
    const steps = Number(this.runs.value) * tallySteps(this.config);
    write(this.duration, this.speed ? `, ${about((steps * this.speed) / 1000)}` : "");
    write(this.button, this.busy ? "Stop" : "Count");
  }

  /**
   * Count runs of each configuration, one configuration after the other.
   *
   * @param {boolean} [plain] show no settings
   */
  count(configs, runs, plain = false) {
    this.stop();
    // All rows at once, so that what is to be compared stands together from the start.
    this.waiting = configs.map((config) => {
      const steps = tallySteps(config);
      const row = new Row(config, runs, steps, plain);
      this.rows.push(row);
      this.list.append(row.element);
      return { config, runs, steps, row };
    });
    while (this.rows.length > KEPT) this.rows.shift().element.remove();
    this.next();
  }

  next() {
    this.current = this.waiting.shift() ?? null;
    this.announce();
    if (this.current === null) {
      if (this.speed === null) this.choose(this.config);
      return;
    }
    const { config, runs, steps } = this.current;
    this.engine.send({ type: "configure", config });
    this.engine.send({ type: "tally", runs, steps });
  }

  /** A message of the worker. */
  hear(report) {
    if (report.type === "time") {
      this.speed = report.milliseconds;
      this.announce();
    }
    if (report.type !== "tally") return;
    if (this.stale > 0) {
      if (report.done) this.stale -= 1;
      return;
    }
    this.current.row.show(report);
    if (!report.done) return;
    this.engine.rest();
    this.say(`Counted: ${this.current.row.words.textContent}`);
    this.next();
    if (!this.busy) this.ended();
  }

  /** Halt, or go on. */
  hold(held) {
    this.engine.send({ type: held ? "pause" : "resume" });
  }

  stop() {
    this.waiting = [];
    if (!this.busy) return;
    this.engine.send({ type: "stop" });
    this.stale += 1;
    this.next();
  }

  clear() {
    this.stop();
    this.rows = [];
    this.list.replaceChildren();
  }
}

/** The playground: puts the page together and passes messages between reader, views and workers. */

import { Controls, Presets } from "./controls.js";
import { el, percent, timed, write } from "./dom.js";
import { Engine } from "./engine.js";
import { History, verdict } from "./reading.js";
import { fromAddress, settle, toAddress } from "./settings.js";
import { Story } from "./story.js";
import { Tally } from "./tally.js";
import { legend, Views } from "./views.js";

const PACES = { slow: 20, medium: 100, fast: undefined };
/** In the tour training begins after so many milliseconds: first one reads. */
const READING = 2500;
/** Runs a second that the tour counts, so that one can count along. */
const COUNTING = 20;
/** A run that nobody pauses rests after so many steps. */
const MOST_STEPS = 10000;
const RESULTS = {
  aligned: "aligned: it looks at the word it copies",
  elimination: "elimination: it looks everywhere but at the word it copies",
  undecided: "not decided yet",
};

class Playground {
  constructor(root) {
    this.root = root;
    this.history = new History();
    this.snapshot = null;
    this.running = false;
    this.told = "undecided";
    this.config = null;
    this.scene = null;
    this.build();
    this.views = new Views(root);
    for (const { element } of this.views.cards.values()) this.place.append(element);
    this.place.append(this.tallyCard);
    this.runner = new Engine(
      (report) => this.hear(report),
      (message) => this.fail(message),
    );
    this.read(true);
    window.addEventListener("hashchange", () => this.read());
  }

  build() {
    const button = (text, attributes, onclick) => {
      return el("button", { type: "button", onclick, ...attributes }, text);
    };
    this.live = el("p", { class: "pg-hidden", role: "status" });
    this.notes = el("p", { class: "pg-notes" });
    this.state = el("p", { class: "pg-state" });
    this.story = new Story(this);
    this.showMe = button("\u25b6\ufe0e Show me in one minute", { class: "pg-show-me" }, () => {
      this.story.start();
    });
    this.runButton = button("Run", { class: "pg-run pg-primary" }, () => this.toggle());
    this.pace = el(
      "select",
      { id: "pg-pace" },
      ...Object.keys(PACES).map((name) =>
        el("option", { value: name, selected: name === "medium" }, name),
      ),
    );
    this.pace.addEventListener("change", () => this.running && this.run());
    this.bar = el(
      "div",
      { class: "pg-bar-buttons", role: "group", "aria-label": "Training" },
      this.runButton,
      button("Step", { class: "pg-step" }, () => this.step()),
      button("Reset", { class: "pg-reset" }, () => this.apply({})),
      el("span", { class: "pg-pace" }, el("label", { for: "pg-pace" }, "Speed "), this.pace),
      button("Copy link", { class: "pg-copy" }, () => this.copy()),
    );
    this.presets = new Presets((config) => {
      this.pause(); // a new story begins when its reader is ready
      this.apply(config);
    });
    this.controls = new Controls((changes) => this.apply(changes));
    this.place = el("div", { class: "pg-views" });
    this.tallyCard = this.buildTally(button);
    this.root.append(
      this.live,
      this.showMe,
      this.story.element,
      el("div", { class: "pg-top" }, this.presets.element, this.bar, this.state, this.notes),
      el("div", { class: "pg-main" }, this.settings(), this.place),
    );
    this.root.hidden = false;
  }

  /** The form, folded at first where it would stand between the buttons and the views. */
  settings() {
    const open = window.matchMedia("(min-width: 768px)").matches;
    return el(
      "details",
      { class: "pg-settings", open },
      el("summary", {}, "Settings"),
      this.controls.element,
    );
  }

  buildTally(button) {
    const engine = new Engine(
      (report) => {
        this.tally.hear(report);
        this.showTally();
      },
      (message) => this.fail(message),
    );
    this.tally = new Tally(engine, (sentence) => this.say(sentence));
    const numbers = [20, 100, 200].map((n) =>
      el("option", { value: n, selected: n === 100 }, String(n)),
    );
    this.runs = el("select", { id: "pg-runs" }, ...numbers);
    this.countButton = button("Count", { class: "pg-count pg-primary" }, () => {
      if (this.tally.busy) this.tally.stop();
      else this.tally.count([this.config], Number(this.runs.value));
      this.showTally();
    });
    return el(
      "section",
      { class: "pg-view pg-tally", "data-view": "tally", "aria-labelledby": "pg-tally-title" },
      el("h2", { id: "pg-tally-title" }, "Many seeds: how often each way is taken"),
      el(
        "p",
        { class: "pg-how" },
        "Each run has another random start. The upright mark is the share of aligned runs that " +
          "theory expects of plain gradient descent.",
      ),
      legend([
        ["attention", "box", "aligned"],
        ["elimination", "box", "elimination"],
        ["muted", "box", "undecided"],
      ]),
      el(
        "p",
        { class: "pg-tally-ask" },
        this.countButton,
        " ",
        this.runs,
        el("label", { for: "pg-runs" }, " seeds"),
      ),
      this.tally.empty,
      this.tally.list,
    );
  }

  showTally() {
    write(this.countButton, this.tally.busy ? "Stop" : "Count");
  }

  /** Settings from the address; headings of the page have addresses of their own. */
  read(first = false) {
    const hash = window.location.hash.slice(1);
    const preset = /^playground-(.+)$/.exec(hash)?.[1];
    const asked = preset ? `preset=${preset}` : hash.includes("=") ? hash : "";
    if (!asked && !first) return;
    if (this.story.open) this.story.close();
    const { config, notes } = fromAddress(asked);
    this.setUp(config, notes);
    if (preset) this.root.scrollIntoView();
  }

  /** Change some settings, begin anew, and go on running if it ran. */
  apply(changes) {
    const { config, notes } = settle({ ...this.config, ...changes });
    const going = this.running;
    this.setUp(config, notes);
    const address = toAddress(config);
    history.replaceState(
      null,
      "",
      address ? `#${address}` : window.location.pathname + window.location.search,
    );
    if (going) this.run();
  }

  setUp(config, notes = []) {
    this.config = config;
    this.controls.show(config);
    this.presets.show(config);
    write(this.notes, notes.join(" "));
    if (notes.length) this.say(notes.join(" "));
    this.begin(config);
  }

  begin(config) {
    this.shown = config;
    this.snapshot = null;
    this.told = "undecided";
    this.setRunning(false);
    this.runner.send({ type: "configure", config });
  }

  setRunning(running) {
    this.running = running;
    write(this.runButton, running ? "Pause" : "Run");
  }

  run(pace = PACES[this.pace.value]) {
    this.until = this.scene?.until ?? (this.snapshot?.step ?? 0) + MOST_STEPS;
    this.runner.send({ type: "run", stepsPerSecond: pace });
    this.setRunning(true);
  }

  pause() {
    this.runner.send({ type: "pause" });
    this.setRunning(false);
  }

  toggle() {
    if (this.running) this.pause();
    else this.run();
    this.say(this.running ? "Training." : `Paused. ${this.state.textContent}`);
  }

  step() {
    this.runner.send({ type: "step", count: 1 });
    this.setRunning(false);
  }

  /** A snapshot of the run; one from before the settings changed is not shown. */
  hear(snapshot) {
    const { heads, length, vocab } = this.shown;
    if (snapshot.type !== "snapshot" || snapshot.attention.length !== heads * length * length)
      return;
    if (snapshot.table.length !== heads * vocab * vocab) return;
    if (this.snapshot === null && snapshot.step > 0) return;
    const began = performance.now();
    this.snapshot = snapshot;
    this.history.add(snapshot, this.shown);
    this.views.show({ config: this.shown, snapshot, history: this.history });
    const result = verdict(snapshot, length);
    const rests = snapshot.step >= this.until && !this.scene;
    write(
      this.state,
      `Step ${snapshot.step}: ${snapshot.step ? RESULTS[result] : "not started"}. ` +
        `Right answers ${percent(snapshot.tokenAccuracy)}, loss ${snapshot.loss.toFixed(2)}.` +
        (rests ? " Paused, to save your battery: Run goes on." : ""),
    );
    if (this.running && snapshot.step >= this.until) {
      this.pause();
      if (rests) this.say(this.state.textContent);
    }
    this.root.dataset.branch = snapshot.step ? result : "undecided";
    this.root.dataset.step = snapshot.step;
    if (snapshot.step && result !== this.told && result !== "undecided" && !this.story.open) {
      this.told = result;
      this.say(`Decided at step ${snapshot.step}, ${RESULTS[result]}.`);
    }
    if (this.scene?.kept) this.kept = this.history.rows;
    if (this.scene?.compared && this.kept) this.story.compare(this.history.rows.at(-1), this.kept);
    if (this.scene && snapshot.step) this.story.reveal(result);
    timed("playground-hear", began);
  }

  say(sentence) {
    write(this.live, sentence);
  }

  fail(message) {
    write(this.notes, `Something went wrong: ${message}. Load the page again.`);
    this.setRunning(false);
  }

  async copy() {
    const address = toAddress(this.config);
    const link = `${window.location.href.replace(/#.*/, "")}${address ? `#${address}` : ""}`;
    try {
      await navigator.clipboard.writeText(link);
      write(this.notes, "The link to these settings is copied.");
    } catch {
      write(this.notes, `The link to these settings: ${link}`);
    }
    this.say(this.notes.textContent);
  }

  /** For the story: show a scene and let it run. */
  play(scene) {
    this.scene = scene;
    this.root.dataset.story = scene.views.join(" ");
    for (const card of this.place.children) card.hidden = !scene.views.includes(card.dataset.view);
    this.tally.clear();
    this.begin(scene.config);
    clearTimeout(this.reading);
    this.reading = setTimeout(() => {
      this.reading = null;
      this.run(scene.pace);
      if (scene.tally) this.tally.count(scene.tally, 100, COUNTING);
      this.showTally();
    }, READING);
    this.showTally();
  }

  /** The scene begins now, if it is still being read. */
  hurry() {
    if (!this.reading) return false;
    clearTimeout(this.reading);
    this.reading = null;
    return true;
  }

  hold(held) {
    if (this.hurry() && this.scene.tally) this.tally.count(this.scene.tally, 100, COUNTING);
    if (held) this.pause();
    else if (Number(this.root.dataset.step) < this.scene.until) this.run(this.scene.pace);
    this.tally.hold(held);
  }

  /** After the story: the settings that were there before, and all views; at its end a run. */
  leave(ended) {
    this.hurry();
    this.scene = null;
    delete this.root.dataset.story;
    for (const card of this.place.children) card.hidden = false;
    this.tally.clear();
    this.showTally();
    this.setUp(this.config);
    if (ended) this.run();
    this.runButton.focus();
  }
}

new Playground(document.getElementById("playground-app"));

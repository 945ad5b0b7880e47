/** The playground: puts the page together and passes messages between reader, views and workers. */

import { Controls, Presets } from "./controls.js";
import { button, el, percent, write } from "./dom.js";
import { Engine } from "./engine.js";
import { Handle, pointAtCells } from "./pointing.js";
import { History, sure, verdict } from "./reading.js";
import { fromAddress, LIMITS, PRESETS, settle, toAddress } from "./settings.js";
import { Story } from "./story.js";
import { Tally } from "./tally.js";
import { Views } from "./views.js";

const PACES = { slow: 20, medium: 100, fast: undefined };
/** In the tour training begins after so many milliseconds: first one reads. */
const READING = 2500;
/** A run that nobody pauses rests after so many steps. */
const MOST_STEPS = 10000;
const RESULTS = {
  aligned: "aligned: looks at the word it copies",
  elimination: "elimination: looks everywhere but at the word it copies",
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
    const fail = (message) => this.fail(message);
    const counter = new Engine((report) => this.tally.hear(report), fail);
    this.tally = new Tally(counter, (sentence) => this.say(sentence), () => this.ended());
    this.build();
    this.views = new Views(root);
    for (const { element } of this.views.cards.values()) this.place.append(element);
    this.place.append(this.tally.element);
    pointAtCells(this.views, (sentence) => this.say(sentence));
    const moved = (changes, said) => {
      this.apply(changes);
      this.say(said);
    };
    this.handle = new Handle(this.views, () => this.config, moved);
    this.runner = new Engine((report) => this.hear(report), fail);
    this.read();
    window.addEventListener("hashchange", () => this.read());
    // A link to where the page already is changes nothing for the browser; here it sets up again.
    document.addEventListener("click", (event) => {
      if (event.target.closest?.("a[href]")?.href !== window.location.href) return;
      if (this.read()) event.preventDefault();
    });
  }

  build() {
    this.live = el("p", { class: "pg-hidden", role: "status" });
    this.notes = el("p", { class: "pg-notes" });
    this.state = el("p", { class: "pg-state" });
    this.story = new Story(this);
    this.runButton = button("Run", "pg-run pg-primary", () => this.toggle());
    const names = Object.keys(PACES);
    this.pace = el("select", { id: "pg-pace" }, ...names.map((name) => el("option", {}, name)));
    this.pace.value = "medium";
    this.pace.addEventListener("change", () => this.running && this.run());
    this.bar = el(
      "div",
      { class: "pg-bar-run" },
      el(
        "div",
        { class: "pg-bar-buttons", role: "group", "aria-label": "Training" },
        this.runButton,
        button("Toss again", "pg-toss", () => this.toss()),
        button("Step", "pg-step", () => this.step()),
        button("Reset", "pg-reset", () => this.apply({})),
      ),
      this.state,
    );
    this.presets = new Presets((config) => {
      this.pause(); // a new story begins when its reader is ready
      this.apply(config);
    });
    this.controls = new Controls((changes) => this.apply(changes));
    this.place = el("div", { class: "pg-views" });
    this.root.append(
      this.live,
      this.story.element,
      el(
        "div",
        { class: "pg-top" },
        button("\u25b6\ufe0e Show me in one minute", "pg-show-me", () => this.story.start()),
        this.bar,
      ),
      this.presets.element,
      this.notes,
      el("div", { class: "pg-main" }, this.settings(), this.place),
    );
    this.root.hidden = false;
  }

  /** The form, folded at first where it would stand between the buttons and the views. */
  settings() {
    return el(
      "details",
      { class: "pg-settings", open: window.matchMedia("(min-width: 768px)").matches },
      el("summary", {}, "Settings"),
      this.controls.element,
      el(
        "p",
        { class: "pg-more" },
        el("label", { for: "pg-pace" }, "Speed"),
        this.pace,
        button("Copy link", "pg-copy", () => this.copy()),
      ),
    );
  }

  /**
   * Settings from the address; headings of the page have addresses of their own. Returns whether the
   * address is the playground's.
   */
  read() {
    const hash = window.location.hash.slice(1);
    const preset = PRESETS.find(({ id }) => hash === `playground-${id}`);
    const elsewhere = !preset && hash && document.getElementById(hash);
    if (elsewhere && this.config) return false;
    clearTimeout(this.writing);
    if (this.story.open) this.story.close();
    const { config, notes } = fromAddress(preset ? `preset=${preset.id}` : elsewhere ? "" : hash);
    this.setUp(config, notes);
    if (preset) this.root.scrollIntoView();
    return true;
  }

  /** Change some settings, begin anew, and go on running if it ran. */
  apply(changes) {
    const { config, notes } = settle({ ...this.config, ...changes });
    const going = this.running;
    this.setUp(config, notes);
    // Soon: browsers refuse an address that changes with every move of a slider.
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      const address = toAddress(config);
      const { pathname, search } = window.location;
      history.replaceState(null, "", address ? `#${address}` : pathname + search);
    }, 100);
    if (going) this.run();
  }

  setUp(config, notes = []) {
    this.config = config;
    this.controls.show(config);
    this.presets.show(config);
    this.tally.choose(config);
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
    else {
      this.run();
      this.look();
    }
    this.say(this.running ? "Training." : `Paused. ${this.state.textContent}`);
  }

  /** Another random start, at once. */
  toss() {
    this.apply({ seed: Math.floor(Math.random() * (LIMITS.seed.max + 1)) });
    this.run();
    this.look();
    this.say(`Training from seed ${this.config.seed}.`);
  }

  /** What moves comes into sight. */
  look() {
    const { top, bottom } = this.place.firstChild.getBoundingClientRect();
    if (top > 0 && bottom <= window.innerHeight) return;
    const sticky = getComputedStyle(this.bar).position === "sticky"; // it covers what scrolls
    (sticky ? this.place : this.bar).scrollIntoView({ behavior: "instant" });
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
    this.snapshot = snapshot;
    this.history.add(snapshot, this.shown);
    this.views.show({ config: this.shown, snapshot, history: this.history });
    const result = verdict(snapshot, length);
    const rests = snapshot.step >= this.until && !this.scene;
    write(
      this.state,
      `Step ${snapshot.step}: ${snapshot.step ? RESULTS[result] : "not started"}. ` +
        `Right answers ${percent(snapshot.tokenAccuracy)}, ` +
        `how sure of the right word ${percent(sure(snapshot))}.` +
        (rests ? " Paused, to save your battery: Run goes on." : ""),
    );
    if (this.running && snapshot.step >= this.until) {
      this.pause();
      if (rests) this.say(this.state.textContent);
      else this.ended();
    }
    this.root.dataset.branch = snapshot.step ? result : "undecided";
    this.root.dataset.step = snapshot.step;
    if (snapshot.step && result !== this.told && result !== "undecided" && !this.story.open) {
      this.told = result;
      this.say(`Decided at step ${snapshot.step}, ${RESULTS[result]}.`);
    }
    if (this.scene?.kept) this.kept = this.history.rows;
    const last = this.history.rows.at(-1);
    if (this.scene?.compared && this.kept) this.story.compare(last, this.kept);
    if (this.scene?.measured) this.story.compare(last, []);
    if (this.scene && snapshot.step) this.story.reveal(result);
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

  /** For the story: show a scene, and let it run when its first words are read. */
  play(scene) {
    this.show(scene);
    this.begin(scene.config);
    clearTimeout(this.reading);
    this.reading = setTimeout(() => this.hold(false), READING);
  }

  /** The story is so high: the pictures share what it leaves of the screen. */
  leaves(height) {
    this.root.style.setProperty("--pg-story", `${height}px`);
    this.views.measure();
  }

  /** A scene has nothing more to show when its run rests and all is counted. */
  ended() {
    if (this.scene && !this.running && !this.tally.busy) this.story.ended();
  }

  /** The story goes on, or halts. */
  hold(held) {
    clearTimeout(this.reading);
    if (held) this.pause();
    else this.run(this.scene.pace);
    if (this.tally.busy) this.tally.hold(held);
    else if (this.scene.tally && !held) this.tally.count(this.scene.tally, 100, true);
  }

  /** Only the views of a scene; all of them without one. */
  show(scene) {
    this.scene = scene;
    if (scene) this.root.dataset.story = scene.views.join(" ");
    else delete this.root.dataset.story;
    for (const card of this.place.children) {
      card.hidden = scene !== null && !scene.views.includes(card.dataset.view);
    }
    this.tally.clear();
    this.views.measure();
  }

  /** After the story: the settings that were there before, and all views; if wanted, a toss. */
  leave(toss) {
    clearTimeout(this.reading);
    this.show(null);
    this.setUp(this.config);
    if (toss) this.toss();
    this.runButton.focus();
  }
}

new Playground(document.getElementById("playground-app"));

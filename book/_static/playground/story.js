/** The guided minute: four scenes, each a run of its own with a caption and three views. */

import { button, el, percent, write } from "./dom.js";
import { sure } from "./reading.js";
import { DEFAULTS } from "./settings.js";

const SIX = { ...DEFAULTS, vocab: 6, length: 6, rate: 1 };
/** In both, words and attention lean the same way. */
const LUCKY = 52;
const UNLUCKY = 49;
/** One of its eight heads is lucky, the seventh, in words and attention. */
const EIGHT_TOSSES = 251;
/** For the tally: quick steps, the same for each head (the heads share the gradient). */
const ONE_HEAD = { ...SIX, rate: 10 };
const EIGHT_HEADS = { ...SIX, heads: 8, rate: 80 };

/**
 * Scenes in order. `caption` and `ending` alternate between plain and stressed text. The ending is
 * shown when the run takes the way `branch`; `until` is the step at which it has nothing more to
 * show.
 */
export const SCENES = [
  {
    title: "Words first, then attention",
    caption: [
      "A copying model learns ",
      "what each word stands for",
      " (orange) and ",
      "where to look",
      " (blue). No fox in, none out: such clues teach words without looking.",
    ],
    config: { ...SIX, vocab: 12 },
    pace: 14,
    until: 180,
    views: ["attention", "table", "curves"],
  },
  {
    title: "All animals each time: a coin toss",
    caption: [
      "Now nothing is missing: ",
      "no clue",
      ". The random start (dot) decides, here above the dashed line.",
    ],
    branch: "aligned",
    ending: [
      "Lucky: it looks slightly more at the right word, which learns \u201cwrite me\u201d (+), so " +
        "looking there pays. Each lifts the other: ",
      "aligned",
      ".",
    ],
    config: { ...SIX, seed: LUCKY },
    pace: 27,
    until: 330,
    kept: true,
    views: ["attention", "table", "plane"],
  },
  {
    title: "The coin falls on the other side",
    caption: ["This start lies below."],
    branch: "elimination",
    ending: [
      "Unlucky: it looks more at wrong words, which learn \u201cnot me\u201d (\u2212). Looking now " +
        "rules words out, so it avoids the right one: ",
      "elimination",
      ".",
    ],
    config: { ...SIX, seed: UNLUCKY },
    pace: 24,
    until: 330,
    compared: true,
    views: ["attention", "table", "plane"],
  },
  {
    title: "Eight heads, eight tosses",
    caption: [
      "Each head votes by its own maps. Unlucky ones rule out wrong words, lucky head 7 supports " +
        "the right one. They agree: ",
      "one lucky head is enough",
      ".",
    ],
    config: { ...SIX, heads: 8, seed: EIGHT_TOSSES, rate: 16 },
    pace: 60,
    until: 600,
    measured: true,
    views: ["attention", "plane", "tally"],
    tally: [ONE_HEAD, EIGHT_HEADS],
  },
];

const SUMMARY = {
  title: "A coin toss, and why heads help",
  caption: [
    "",
    "What goes wrong:",
    " from half of the starts the model never looks at the right word. It rules out the others, and " +
      "stays unsure for long. ",
    "Why a coin:",
    " the same words every time give no clue. Words and attention lean by chance, and each drives " +
      "the other up or down. ",
    "Why one lucky head is enough:",
    " unlucky ones only rule out wrong words; none opposes it.",
  ],
};

/** Parts of a text as nodes, every second one stressed. */
function stressed(parts) {
  return parts.map((text, n) => (n % 2 ? el("strong", {}, text) : text));
}

/** How sure a run is, and one to compare it with. */
function measured(row, other) {
  const beside = other ? ` (lucky start: ${percent(sure(other))})` : "";
  return `${percent(sure(row))} sure of the right word${beside}`;
}

/** As long as what a scene will say of its run. */
function longest(scene) {
  const sample = { loss: 1 };
  return scene.compared || scene.measured ? measured(sample, scene.compared && sample) : "";
}

/** All that a scene says, invisible: the largest keeps its room, so that no button moves. */
const ROOMS = [...SCENES, SUMMARY];

function room({ title, caption, ending = [], ...scene }) {
  return el(
    "div",
    { class: "pg-story-room", "aria-hidden": "true" },
    el("p", { class: "pg-story-heading" }, title),
    el("p", {}, ...stressed(caption)),
    el("p", {}, ...stressed(ending)),
    el("p", { class: "pg-story-number" }, longest(scene)),
  );
}

export class Story {
  /**
   * @param {object} app shows a scene (`play`), halts it (`hold`), and goes back (`leave`)
   */
  constructor(app) {
    this.app = app;
    this.at = 0;
    this.paused = false;
    this.count = el("p", { class: "pg-story-count" });
    this.title = el("h2", { class: "pg-story-title pg-story-heading", tabindex: "-1" });
    this.caption = el("p", { class: "pg-story-caption" });
    this.ending = el("p", { class: "pg-story-ending" });
    this.measure = el("p", { class: "pg-story-measure pg-story-number" });
    this.backButton = button("Back", "pg-back", () => this.show(this.at - 1));
    this.pauseButton = button("Pause", "pg-hold", () => this.toggle());
    this.nextButton = button("Next", "pg-next pg-primary", () => this.show(this.at + 1));
    this.leaveButton = button("Leave", "pg-leave", () => this.close());
    this.leaveButton.title = "or press Escape";
    const texts = [this.title, this.caption, this.ending, this.measure];
    this.element = el(
      "section",
      { class: "pg-story", "aria-label": "The guided minute", hidden: true },
      this.count,
      el("div", { class: "pg-story-text" }, el("div", {}, ...texts), ...ROOMS.map(room)),
      el(
        "div",
        { class: "pg-story-buttons" },
        this.backButton,
        this.pauseButton,
        this.nextButton,
        this.leaveButton,
      ),
    );
    document.addEventListener("keydown", ({ key, target }) => {
      // A dialog, such as the search, takes Escape for itself; the theme may have closed it already.
      const elsewhere = target.closest("dialog") ?? document.querySelector("dialog[open]");
      if (key === "Escape" && this.open && !elsewhere) this.close();
    });
    new ResizeObserver(() => this.app.leaves(this.element.offsetHeight)).observe(this.element);
  }

  get open() {
    return !this.element.hidden;
  }

  start() {
    this.element.hidden = false;
    this.show(0);
    this.title.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "start", behavior: "auto" });
  }

  /** Show a scene from its beginning; after the last comes the summary, and then the end. */
  show(number) {
    if (number > SCENES.length) return this.close(true);
    this.at = Math.max(0, number);
    this.paused = false;
    const ended = this.at === SCENES.length;
    const scene = ended ? SUMMARY : SCENES[this.at];
    write(this.count, ended ? "In short" : `Scene ${this.at + 1} of ${SCENES.length}`);
    write(this.title, scene.title);
    this.ending.replaceChildren(...stressed(scene.ending ?? []));
    this.ending.classList.add("is-to-come"); // invisible, but its place is kept, as the number's
    this.caption.replaceChildren(...stressed(scene.caption));
    write(this.measure, longest(scene));
    this.measure.classList.add("is-to-come");
    this.backButton.disabled = this.at === 0;
    this.pauseButton.hidden = this.leaveButton.hidden = ended;
    write(this.pauseButton, "Pause");
    write(this.nextButton, ended ? "Now toss it yourself" : "Next");
    if (!ended) this.app.play(scene);
    this.app.say(`${this.title.textContent}. ${scene.caption.join("")}`);
  }

  /** The run has taken a way: what the scene says of it comes into sight. */
  reveal(branch) {
    const scene = SCENES[this.at];
    if (!scene?.ending || scene.branch !== branch) return;
    if (!this.ending.classList.contains("is-to-come")) return;
    this.ending.classList.remove("is-to-come");
    this.app.say(this.ending.textContent);
  }

  /** How sure the run is; where one was kept to compare with, beside it, at the same step. */
  compare(row, kept) {
    const there = kept.find(({ step }) => step === row.step);
    if (row.step === 0 || (kept.length && !there)) return;
    write(this.measure, measured(row, there));
    this.measure.classList.remove("is-to-come");
  }

  /** The scene has nothing more to show: it can be seen again. */
  ended() {
    if (this.at < SCENES.length) write(this.pauseButton, "Again");
  }

  toggle() {
    if (this.pauseButton.textContent === "Again") return this.show(this.at);
    this.paused = !this.paused;
    this.app.hold(this.paused);
    write(this.pauseButton, this.paused ? "Go on" : "Pause");
  }

  /** Leave, or go on with a toss of the reader's own. */
  close(toss = false) {
    this.element.hidden = true;
    this.app.leave(toss);
  }
}

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
      "A model copies animals. It learns ",
      "what each word stands for",
      " (orange: knowledge to translate individual words) and ",
      "where to look",
      " (blue: attention). No lion in a sentence, none in its copy: such clues teach words " +
        "without looking.",
    ],
    config: { ...SIX, vocab: 12 },
    pace: 14,
    until: 180,
    views: ["attention", "table", "curves"],
  },
  {
    title: "The same words every time: a coin toss",
    caption: [
      "Now every sentence has all animals: ",
      "no such clue",
      ". Words and attention begin a little right or wrong, by chance: the dot, above the dashed " +
        "line.",
    ],
    branch: "aligned",
    ending: [
      "Lucky: it looks more at the word to copy, which learns \u201cme\u201d (+); looking " +
        "there pays. Each drives the other up: ",
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
    caption: ["Below the line."],
    branch: "elimination",
    ending: [
      "Unlucky: it looks more at the others, which learn \u201cnot me\u201d " +
        "(\u2212). Each is often \u201cother\u201d, so every word learns it: looking at the right " +
        "one now votes it down. It ends by ruling out: ",
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
      "Eight heads: eight tosses. Unlucky ones only vote wrong words down, the " +
        "lucky one, head 7, votes the right one up. None opposes: ",
      "one lucky head is enough",
      ". How many runs have one?",
    ],
    config: { ...SIX, heads: 8, seed: EIGHT_TOSSES, rate: 16 },
    pace: 60,
    until: 600,
    measured: true,
    views: ["attention", "plane", "tally"],
    tally: [ONE_HEAD, EIGHT_HEADS],
  },
];

const SUMMARY = [
  "",
  "What goes wrong:",
  " with the same words in every sentence nothing is missing, and there is no clue which word stands " +
    "for which. Words and attention lean by chance, and each drives the other, up or down. From half " +
    "of the starts the model never looks at the word it copies: it gets there by ruling out, and " +
    "stays unsure for long. ",
  "Why more heads help:",
  " each head is one more toss, and one lucky head is enough.",
];

/** Parts of a text as nodes, every second one stressed. */
function stressed(parts) {
  return parts.map((text, n) => (n % 2 ? el("strong", {}, text) : text));
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
    this.title = el("h2", { class: "pg-story-title", tabindex: "-1" });
    this.caption = el("p", { class: "pg-story-caption" });
    this.ending = el("p", { class: "pg-story-ending" });
    this.measure = el("p", { class: "pg-story-measure" });
    this.backButton = button("Back", "pg-back", () => this.show(this.at - 1));
    this.pauseButton = button("Pause", "pg-hold", () => this.toggle());
    this.nextButton = button("Next", "pg-next pg-primary", () => this.show(this.at + 1));
    this.leaveButton = button("Leave", "pg-leave", () => this.close());
    this.leaveButton.title = "or press Escape";
    this.element = el(
      "section",
      { class: "pg-story", "aria-label": "The guided minute", hidden: true },
      this.count,
      this.title,
      el("div", { class: "pg-story-text" }, this.caption, this.ending, this.measure),
      el(
        "div",
        { class: "pg-story-buttons" },
        this.backButton,
        this.pauseButton,
        this.nextButton,
        this.leaveButton,
      ),
    );
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.open) this.close();
    });
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
    const scene = SCENES[Math.min(this.at, SCENES.length - 1)];
    const parts = ended ? SUMMARY : scene.caption;
    write(this.count, ended ? "In short" : `Scene ${this.at + 1} of ${SCENES.length}`);
    write(this.title, ended ? "What goes wrong, and why heads help" : scene.title);
    this.ending.replaceChildren(...stressed(ended ? [] : (scene.ending ?? [])));
    this.ending.classList.add("is-to-come"); // invisible, but its place is kept
    this.caption.replaceChildren(...stressed(parts));
    write(this.measure, "");
    this.backButton.disabled = this.at === 0;
    this.pauseButton.hidden = this.leaveButton.hidden = ended;
    write(this.pauseButton, "Pause");
    write(this.nextButton, ended ? "Now toss it yourself" : "Next");
    if (!ended) this.app.play(scene);
    this.app.say(`${this.title.textContent}. ${parts.join("")}`);
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
    const beside = there ? `; with the lucky start ${percent(sure(there))}` : "";
    write(this.measure, `Step ${row.step}: ${percent(sure(row))} sure of the right word${beside}.`);
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

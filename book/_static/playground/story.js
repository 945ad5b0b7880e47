/** The guided minute: four scenes, each a run of its own with a caption and three views. */

import { el, write } from "./dom.js";
import { DEFAULTS } from "./settings.js";

const SIX = { ...DEFAULTS, vocab: 6, length: 6, rate: 1 };
const LUCKY = 1;
const UNLUCKY = 3;
const EIGHT_TOSSES = 7;
/** For the tally: quick steps, the same for each head (the heads share the gradient). */
const ONE_HEAD = { ...SIX, rate: 10 };
const EIGHT_HEADS = { ...SIX, heads: 8, rate: 80 };
const COUNTED = 100;

/**
 * Scenes in order. `caption` and `ending` alternate between plain and stressed text. The ending is
 * shown when the run takes the way `branch`; `until` is the step at which it has nothing more to
 * show.
 */
export const SCENES = [
  {
    title: "Words first, then attention",
    caption: [
      "A model learns to copy six animals in order. It has to learn ",
      "which word each word stands for",
      " (orange, called KTIW) and ",
      "where to look",
      " (blue, called attention). Each sentence has six of twelve animals. Ant comes out only if " +
        "ant went in, so a look anywhere teaches the words. Attention follows them.",
    ],
    config: { ...SIX, vocab: 12 },
    pace: 14,
    until: 180,
    views: ["attention", "table", "curves"],
    seconds: 17,
  },
  {
    title: "All words, every time: a coin toss",
    caption: [
      "Now every sentence is a permutation of the same six animals. All of them always go in " +
        "and all come out, so ",
      "nothing tells which word stands for which",
      ". Tiny random differences at the start decide, like a coin on its edge. Which way will it " +
        "fall?",
    ],
    branch: "aligned",
    ending: [" This start was lucky: words and attention pull each other up. It is ", "aligned", "."],
    config: { ...SIX, seed: LUCKY },
    pace: 27,
    until: 330,
    kept: true,
    views: ["attention", "table", "plane"],
    seconds: 15,
  },
  {
    title: "The coin falls on the other side",
    caption: [
      "Same permutations, another random start. Watch the two diagonals, and the loss.",
    ],
    branch: "elimination",
    ending: [
      " Now they push each other down: each word says \u201cnot me\u201d, and the model looks " +
        "everywhere ",
      "except at the right place",
      ". What nobody speaks against is left over, and is written: ",
      "elimination",
      ". It is right in the end, but long unsure, and hardly looks at what it copies. That is what " +
        "goes wrong.",
    ],
    config: { ...SIX, seed: UNLUCKY },
    pace: 24,
    until: 330,
    compared: true,
    views: ["attention", "table", "choice"],
    seconds: 18,
  },
  {
    title: "Several heads, several tosses",
    caption: [
      "A model with eight heads looks in eight ways at once, each from its own random start: " +
        "eight coins. ",
      "One lucky head is enough",
      " to find the right place. Unlucky ones do not spoil it: they vote against wrong words only. " +
        "Count along: how many runs align with one head, and how many with eight? The upright mark " +
        "is theory.",
    ],
    config: { ...SIX, heads: 8, seed: EIGHT_TOSSES, rate: 8 },
    pace: 40,
    until: 400,
    views: ["attention", "plane", "tally"],
    tally: [ONE_HEAD, EIGHT_HEADS],
    seconds: 18,
  },
];

const SUMMARY = [
  "",
  "What goes wrong:",
  " when every sentence has the same words, nothing tells them apart, and chance decides. " +
    "In about half of the starts the model learns to look everywhere but at the right place. So " +
    "it stays unsure for long; in larger networks so long that they seem unable to copy. ",
  "Why more heads help:",
  " each head is one more toss, and one lucky head is enough.",
];

const TICK = 200;

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
    this.elapsed = 0;
    this.timer = null;
    this.paused = false;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)");
    const button = (text, name, onclick) =>
      el("button", { type: "button", class: name, onclick }, text);
    this.count = el("p", { class: "pg-story-count" });
    this.title = el("h2", { class: "pg-story-title", tabindex: "-1" });
    this.caption = el("p", { class: "pg-story-caption" });
    this.ending = el("span", { class: "pg-story-ending" });
    this.measure = el("p", { class: "pg-story-measure" });
    this.dots = SCENES.map(() => el("span", { class: "pg-story-dot" }, el("span")));
    this.backButton = button("Back", "pg-back", () => this.show(this.at - 1));
    this.pauseButton = button("Pause", "pg-hold", () => this.toggle());
    this.nextButton = button("Next", "pg-next pg-primary", () => this.next());
    this.leaveButton = button("Leave", "pg-leave", () => this.close());
    this.element = el(
      "section",
      { class: "pg-story", "aria-label": "The guided minute", hidden: true },
      this.count,
      this.title,
      this.caption,
      this.measure,
      el("div", { class: "pg-story-dots", "aria-hidden": "true" }, ...this.dots),
      el(
        "div",
        { class: "pg-story-buttons" },
        this.backButton,
        this.pauseButton,
        this.nextButton,
        this.leaveButton,
      ),
    );
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

  /** Show a scene from its beginning; after the last comes the summary. */
  show(number) {
    this.at = Math.max(0, Math.min(number, SCENES.length));
    this.elapsed = 0;
    const ended = this.at === SCENES.length;
    const scene = SCENES[Math.min(this.at, SCENES.length - 1)];
    const parts = ended ? SUMMARY : scene.caption;
    write(this.count, ended ? "In short" : `Scene ${this.at + 1} of ${SCENES.length}`);
    write(this.title, ended ? "What goes wrong, and why heads help" : scene.title);
    this.ending.replaceChildren(...stressed(ended ? [] : (scene.ending ?? [])));
    this.ending.classList.add("is-to-come"); // invisible, but its place is kept
    this.caption.replaceChildren(...stressed(parts), this.ending);
    write(this.measure, "");
    this.measure.hidden = ended || !scene.compared;
    this.backButton.disabled = this.at === 0;
    write(this.nextButton, ended ? "Now toss it yourself" : "Next");
    if (ended) this.stopClock();
    else {
      this.app.play(scene);
      this.paused = false;
      this.startClock();
    }
    this.showClock();
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

  /** What a run costs: its loss beside that of the run that was kept, at the same step. */
  compare(row, kept) {
    const there = kept.find(({ step }) => step === row.step);
    if (!there || row.step === 0) return;
    const times = row.loss / there.loss;
    write(
      this.measure,
      `Loss at step ${row.step}: ${row.loss.toFixed(2)}, and ${there.loss.toFixed(2)} with the ` +
        `lucky start${times >= 1.5 ? `: ${Math.round(times)} times as much` : ""}.`,
    );
  }

  next() {
    if (this.at === SCENES.length) this.close();
    else this.show(this.at + 1);
  }

  startClock() {
    this.stopClock();
    // Who asked for less motion goes on by hand.
    if (!this.still.matches) this.timer = setInterval(() => this.tick(), TICK);
  }

  stopClock() {
    clearInterval(this.timer);
    this.timer = null;
  }

  tick() {
    if (document.hidden) return;
    this.elapsed += TICK / 1000;
    if (this.elapsed >= SCENES[this.at].seconds) this.show(this.at + 1);
    else this.showClock();
  }

  showClock() {
    this.dots.forEach((dot, n) => {
      const share = n < this.at ? 1 : n > this.at ? 0 : this.elapsed / SCENES[n].seconds;
      dot.firstChild.style.width = `${Math.round(100 * share)}%`;
    });
    this.pauseButton.hidden = this.leaveButton.hidden = this.at === SCENES.length;
    write(this.pauseButton, this.paused ? "Go on" : "Pause");
  }

  toggle() {
    this.paused = !this.paused;
    this.app.hold(this.paused);
    if (this.paused) this.stopClock();
    else this.startClock();
    this.showClock();
  }

  close() {
    this.stopClock();
    this.element.hidden = true;
    this.app.leave(this.at === SCENES.length);
  }
}

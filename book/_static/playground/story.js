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
 * show. `why` is for those who ask.
 */
export const SCENES = [
  {
    title: "Words first, then attention",
    caption: [
      "A model copies sentences. Words it ",
      "looks at",
      " (blue) ",
      "vote for what to write",
      " (orange). A missing fox is never written, so votes are learned without looking.",
    ],
    why:
      "Fox in the sentence, fox in the copy; no fox, none. From this even a look at all words alike " +
      "learns which word goes with which: in the orange map fox gets its + at f before the blue map " +
      "has a diagonal. Once votes are right, looking at the right word pays. No luck is needed. The " +
      "curves show this order; \u201chow sure\u201d is the probability of the right word.",
    config: { ...SIX, vocab: 12 },
    pace: 14,
    until: 180,
    views: ["attention", "table", "curves"],
  },
  {
    title: "All animals each time: a coin toss",
    caption: [
      "All six in every sentence: ",
      "no clue",
      ". Chance decides: this start (dot) lies above the dashed line.",
    ],
    why:
      "The dot is the model. Right of the cross it looks more at the right word than at others; above " +
      "the cross words vote more for themselves. All words always come, so nothing is at work but " +
      "these two leans, and each pulls the other to its own side, as the arrows show. Where they " +
      "disagree, the stronger wins: hence the slanted line, with half of the starts above it.",
    branch: "aligned",
    ending: [
      "Lucky: it looks slightly more at the right word, which learns to vote for itself (+). So " +
        "looking there pays: ",
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
    title: "The coin falls below the line",
    caption: [],
    why:
      "A word that is looked at more where it is not the answer learns \u201cnot me\u201d. From then " +
      "on a look at the right word would rule it out, so training turns the look away, to the " +
      "other five. Each gets a fifth of it and is ruled out a little only: the answer is right, but " +
      "timid. More training helps slowly, and never turns round: the arrows lead on.",
    branch: "elimination",
    ending: [
      "Unlucky: it looks more at wrong words, which learn to vote against themselves (\u2212). " +
        "Looking at a word now rules it out, so it avoids the right one: ",
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
      "Each head has its own two maps and toss; votes add up. Unlucky heads only rule out wrong " +
        "words, so ",
      "one lucky head is enough",
      ".",
    ],
    why:
      "An unlucky head votes against the words that it looks at, and it never looks at the right " +
      "one. So the right word loses no votes, and seven heads cannot outvote one. They are trained " +
      "together, but as far as we have counted each goes where its own start sends it: all eight " +
      "miss as often as eight coins show tails, 0.4%. A run counts as aligned if one head looks at " +
      "the right word.",
    config: { ...SIX, heads: 8, seed: EIGHT_TOSSES, rate: 16 },
    pace: 60,
    until: 600,
    measured: true,
    views: ["attention", "plane", "tally"],
    tally: [ONE_HEAD, EIGHT_HEADS],
  },
];

const SUMMARY = {
  title: "A coin toss, and why several heads help",
  caption: [
    "",
    "What goes wrong:",
    " from half of the starts the model learns never to look at the right word. It only rules out " +
      "others and stays unsure. ",
    "Why a coin:",
    " the same words every time give no clue; the start\u2019s tiny lean grows, as votes and looks " +
      "push each other. ",
    "Why one lucky head is enough:",
    " it votes for the right word, the others only against wrong ones.",
  ],
};

/** Parts of a text as nodes, every second one stressed. */
function stressed(parts) {
  return parts.map((text, n) => (n % 2 ? el("strong", {}, text) : text));
}

/** How sure a run is, and one to compare it with. */
function measured(row, other) {
  const guess = percent(1 / SIX.vocab);
  const beside = other ? ` (lucky start: ${percent(sure(other))}, a guess: ${guess})` : "";
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
    this.whyButton = button("Why?", "pg-why-ask", () => this.explain(this.why.hidden));
    this.whyButton.setAttribute("aria-controls", "pg-why");
    this.why = el("p", { class: "pg-why", id: "pg-why" });
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
        this.whyButton,
        this.leaveButton,
      ),
      this.why,
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
    write(this.why, scene.why ?? "");
    this.explain(false);
    this.pauseButton.hidden = this.whyButton.hidden = this.leaveButton.hidden = ended;
    write(this.pauseButton, "Pause");
    write(this.nextButton, ended ? "Now toss it yourself" : "Next");
    if (!ended) this.app.play(scene);
    this.app.say(`${this.title.textContent}. ${scene.caption.join("")}`);
  }

  /** Show or hide why it is so. */
  explain(shown) {
    this.why.hidden = !shown;
    this.whyButton.setAttribute("aria-expanded", String(shown));
    if (shown) this.app.say(this.why.textContent);
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

/** The views on the page: a card for each, drawn when something changed and it can be seen. */

import { palette, Sheet } from "./canvas.js";
import { curves } from "./curves.js";
import { button, el, write } from "./dom.js";
import { choice, example } from "./example.js";
import { attentionMap, tableMap } from "./maps.js";
import { plane } from "./plane.js";
import { WORDS } from "./reading.js";

const VIEWS = [attentionMap, tableMap, curves, plane, choice, example];
/** Milliseconds that drawing may take in one frame; what is left over waits for the next. */
const BUDGET = 4;
/** Milliseconds between two versions of the texts, which nobody reads twenty times a second. */
const TEXT_EVERY = 1000;
/** Milliseconds between two pictures for those who asked for less motion. */
const CALM = 500;

class Card {
  constructor(view) {
    this.view = view;
    const id = `pg-${view.id}`;
    // Where cells can be reached by keys, a screen reader has to leave the keys to the page.
    this.canvas = el("canvas", {
      ...(view.pairIn ? { role: "application", tabindex: "0", class: "pg-cells" } : { role: "img" }),
      "aria-labelledby": `${id}-title`,
      "aria-describedby": `${id}-words`,
    });
    this.stage = el("div", { class: "pg-stage" }, this.canvas);
    this.words = el("p", { id: `${id}-words`, class: "pg-words" });
    this.value = el("p", { class: "pg-value" });
    this.element = el(
      "figure",
      { class: "pg-view", "data-view": view.id },
      ...head(id, view.title, view.how, view.term),
      ...(view.legend ? [legend(view.legend)] : []),
      this.stage,
      this.value,
      el("details", {}, el("summary", {}, "In words"), this.words),
    );
    this.sheet = new Sheet(this.canvas);
    this.visible = false;
    /** Of the canvas, told by an observer: asking for it would make the browser lay out anew. */
    this.width = 0;
    this.height = 0;
    /** The height that the page leaves it; null where it has to be asked for. */
    this.most = null;
    /** Called with the scene after each picture. */
    this.drawn = null;
  }

  draw(scene) {
    const width = this.width;
    if (width === 0) return;
    this.most ??= parseFloat(getComputedStyle(this.canvas).maxHeight) || Infinity;
    const height = this.view.height(width, scene, this.most);
    this.height = height;
    const context = this.sheet.prepare(width, height, scene.colours.surface);
    this.view.draw(context, width, height, scene);
    if (this.view.value) write(this.value, this.view.value(scene));
    this.drawn?.(scene);
  }

  tell(scene) {
    write(this.words, this.view.describe(scene));
  }
}

/** Title of a card, with its technical term, and behind a "?" what it shows. */
export function head(id, title, how, term = "") {
  const text = el("p", { class: "pg-how", id: `${id}-how`, hidden: true }, how);
  const ask = button("?", "pg-ask", () => {
    text.hidden = !text.hidden;
    ask.setAttribute("aria-expanded", String(!text.hidden));
  });
  ask.setAttribute("aria-label", `What this shows: ${title}`);
  ask.setAttribute("aria-expanded", "false");
  ask.setAttribute("aria-controls", text.id);
  const name = el("h2", { id: `${id}-title` }, title, el("span", { class: "pg-term" }, term));
  return [el("div", { class: "pg-head" }, name, ask), text];
}

/** What each colour and line stands for. */
export function legend(entries) {
  const items = entries.map(([role, dash, text]) => {
    const style = `border-color: var(--pg-${role})`;
    return el("li", {}, el("span", { class: `pg-key pg-key-${dash}`, style }), text);
  });
  return el("ul", { class: "pg-legend" }, ...items);
}

export class Views {
  constructor(root) {
    this.root = root;
    this.cards = new Map(VIEWS.map((view) => [view.id, new Card(view)]));
    this.scene = null;
    this.frame = null;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.shown = -Infinity;
    /** When the texts were written last, and whether they lag behind. */
    this.told = -Infinity;
    this.untold = false;
    /** Views that have to be drawn, those that wait longest first. */
    this.waiting = new Set();
    this.position = el("select", { id: "pg-position" });
    this.position.addEventListener("change", () => {
      this.scene.position = Number(this.position.value);
      this.told = -Infinity;
      this.changed(["choice"]);
    });
    const chooser = el(
      "p",
      { class: "pg-chooser" },
      el("label", { for: "pg-position" }, "Word to write "),
      this.position,
    );
    this.cards.get("choice").canvas.before(chooser);
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const card = this.cards.get(target.dataset.view);
        card.visible = isIntersecting;
      }
      this.ask();
    });
    const sized = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) {
        const card = this.cards.get(target.dataset.view);
        card.width = contentRect.width;
        card.most = null;
        this.changed([target.dataset.view]);
      }
    });
    for (const { element } of this.cards.values()) {
      seen.observe(element);
      sized.observe(element);
    }
    window.addEventListener("resize", () => this.measure());
    new MutationObserver(() => this.recolour()).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
  }

  /** Show a new state; `position` is kept, and the list of words follows the sentence. */
  show({ config, snapshot, history }) {
    const colours = this.scene?.colours ?? palette(this.root);
    const position = Math.min(this.scene?.position ?? 1, config.length - 1);
    const sentence = [config.heads, config.vocab, ...snapshot.example.words].join();
    const pair = this.sentence === sentence ? this.scene.pair : null;
    this.scene = { config, snapshot, history, colours, position, pair };
    if (this.sentence !== sentence) {
      this.sentence = sentence;
      const options = Array.from(snapshot.example.words, (word, n) => {
        return el("option", { value: n }, `${n + 1}. ${WORDS[word]}`);
      });
      this.position.replaceChildren(...options);
      this.position.value = position;
    }
    const now = performance.now();
    if (this.calm.matches && snapshot.running && now - this.shown < CALM) return;
    this.shown = now;
    this.changed();
  }

  /** Mark a pair of words, `{head, looked, written}` by number, in both maps; or none. */
  point(pair) {
    if (this.scene === null) return;
    this.scene.pair = pair;
    this.changed(["attention", "table"]);
  }

  /** The room for the views may be another. */
  measure() {
    for (const card of this.cards.values()) card.most = null;
    this.changed();
  }

  recolour() {
    if (this.scene === null) return;
    this.scene.colours = palette(this.root);
    this.changed();
  }

  /** Some views, or all, have to be drawn anew. */
  changed(ids = this.cards.keys()) {
    for (const id of ids) this.waiting.add(id);
    this.untold = true;
    this.ask();
  }

  ask() {
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  /** One frame: the views that changed and can be seen, as long as there is time. */
  paint() {
    this.frame = null;
    if (this.scene === null) return;
    const began = performance.now();
    for (const id of this.waiting) {
      const card = this.cards.get(id);
      if (!card.visible) continue;
      if (performance.now() - began > BUDGET) {
        this.ask();
        break;
      }
      this.waiting.delete(id);
      card.draw(this.scene);
    }
    this.tell(began);
  }

  /** The texts of all views, in sight or not: who listens to the page has no other. */
  tell(now) {
    if (!this.untold || (this.scene.snapshot.running && now - this.told < TEXT_EVERY)) return;
    this.untold = false;
    this.told = now;
    for (const card of this.cards.values()) card.tell(this.scene);
  }
}

/** What is moved in the pictures themselves: the pointer over cells, and the starting point. */

import { button, signed } from "./dom.js";
import { cellAt, FIRST_CELL, neighbour } from "./maps.js";
import { plane } from "./plane.js";
import { LIMITS } from "./settings.js";
import { alignedShare } from "./theory.js";

/** Where arrow keys lead: to the right, and up. */
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * A cell that is pointed at, or reached by arrow keys, shows its value, and both maps mark its pair
 * of words. `say` gets the value that a key has found.
 */
export function pointAtCells(views, say) {
  for (const id of ["attention", "table"]) {
    const card = views.cards.get(id);
    const point = ({ offsetX, offsetY }) => {
      if (views.scene === null) return;
      const { view, width, height } = card;
      const cell = cellAt(offsetX, offsetY, width, height, ...view.maps(views.scene));
      views.point(cell && view.pairIn(cell, views.scene));
    };
    const go = (right, down) => {
      const { scene } = views;
      if (scene === null) return;
      const here = scene.pair && card.view.cellOf(scene.pair, scene);
      const cell = here ? neighbour(here, right, down, ...card.view.maps(scene)) : FIRST_CELL;
      views.point(card.view.pairIn(cell, scene));
      say(card.view.value(views.scene));
    };
    card.canvas.addEventListener("pointermove", point);
    card.canvas.addEventListener("pointerdown", point);
    // A finger that is lifted leaves its mark.
    card.canvas.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType !== "touch") views.point(null);
    });
    card.canvas.addEventListener("keydown", (event) => {
      if (!Object.hasOwn(KEYS, event.key)) return;
      event.preventDefault();
      const [right, up] = KEYS[event.key];
      go(right, -up);
    });
    // A pointer finds its cell itself.
    card.canvas.addEventListener("focus", () => card.canvas.matches(":focus-visible") && go(0, 0));
    card.canvas.addEventListener("blur", () => views.point(null));
  }
}

/** Leads that an arrow key adds. */
const STEP = 0.05;

/** The starting point of the first head: what is done to it is done to the tilts. */
export class Handle {
  /**
   * @param {() => object} now gives the settings, which may be newer than what is drawn
   * @param {(changes: object, said: string) => void} move gets the tilts and a sentence
   */
  constructor(views, now, move) {
    this.views = views;
    this.now = now;
    this.move = move;
    this.card = views.cards.get("plane");
    this.element = button("", "pg-handle");
    this.card.drawn = (scene) => this.place(scene);
    this.element.addEventListener("pointerdown", ({ pointerId }) => {
      this.element.setPointerCapture(pointerId);
    });
    this.element.addEventListener("pointermove", (event) => {
      if (!this.element.hasPointerCapture(event.pointerId)) return;
      const { left, top } = this.card.canvas.getBoundingClientRect();
      const { from } = plane.scale(this.card.width, this.card.height);
      this.moveTo(...from(event.clientX - left, event.clientY - top));
    });
    this.element.addEventListener("keydown", (event) => {
      if (!Object.hasOwn(KEYS, event.key)) return;
      event.preventDefault();
      const size = event.shiftKey ? 10 * STEP : STEP;
      const [a, b] = this.latest();
      this.moveTo(a + size * KEYS[event.key][0], b + size * KEYS[event.key][1]);
    });
  }

  start({ history }) {
    const [{ leadA, leadB }] = history.rows;
    return [leadA[0], leadB[0]];
  }

  /** Where it will be drawn: a second key may come before the picture of the first. */
  latest() {
    const { config } = this.views.scene;
    const sign = config.mirror === "turned" ? -1 : 1;
    const [a, b] = this.start(this.views.scene);
    const { startA, startB } = this.now();
    return [a + sign * (startA - config.startA), b + sign * (startB - config.startB)];
  }

  place(scene) {
    const start = this.start(scene);
    const [x, y] = plane.scale(this.card.width, this.card.height).at(...start);
    Object.assign(this.element.style, { left: `${x}px`, top: `${y}px` });
    if (this.first === scene.history.rows[0]) return;
    this.first = scene.history.rows[0];
    this.element.setAttribute("aria-label", `${this.words(...start)} Arrow keys move it.`);
    // Not before it has a place and a name.
    if (!this.element.isConnected) this.card.stage.append(this.element);
  }

  words(a, b) {
    const alone = { scale: 0, heads: 1, startA: a, startB: b, mirror: "off" };
    const above = alignedShare({ ...this.views.scene.config, ...alone });
    return (
      `Starting point: attention lead ${signed(a, 2)}, word lead ${signed(b, 2)}, on the side of ` +
      `${above ? "aligned" : "elimination"}.`
    );
  }

  /** A tilt is added to every lead alike, so the start moves as the tilt does. */
  moveTo(a, b) {
    const { config } = this.views.scene;
    const sign = config.mirror === "turned" ? -1 : 1;
    const [fromA, fromB] = this.start(this.views.scene);
    const tilt = (key, by) => {
      const { min, max } = LIMITS[key];
      return Math.min(Math.max(Math.round(100 * (config[key] + sign * by)) / 100, min), max);
    };
    const changes = { startA: tilt("startA", a - fromA), startB: tilt("startB", b - fromB) };
    const { startA, startB } = this.now();
    if (changes.startA === startA && changes.startB === startB) return;
    this.move(changes, this.words(a, b));
  }
}

/** The form with the settings, and the presets. */

import { el, signed, write } from "./dom.js";
import { LIMITS, OPTIONS, PRESETS, RATES } from "./settings.js";

const RATE_CHOICES = {
  sgd: [0.3, 1, 3, 10, 30, 100],
  adam: [0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
};
const SCALE_CHOICES = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

const FIELDS = [
  { key: "vocab", label: "Words there are (V)", kind: "range" },
  { key: "length", label: "Words in a sentence (L)", kind: "range" },
  { key: "heads", label: "Heads", kind: "range" },
  { key: "mirror", label: "Mirror: turn over", kind: "choice" },
  { key: "seed", label: "Seed", kind: "number" },
  { key: "scale", label: "Random start: size", kind: "choice" },
  { key: "startA", label: "Start tilt: attention", kind: "range", step: 0.05 },
  { key: "startB", label: "Start tilt: words", kind: "range", step: 0.05 },
  { key: "optimizer", label: "Optimiser", kind: "choice" },
  { key: "rate", label: "Learning rate", kind: "choice" },
];

const NAMES = {
  sgd: "SGD",
  adam: "Adam",
  off: "off",
  turned: "every head",
  pairs: "in pairs",
};

/** Whether two configurations are the same. */
export function same(one, other) {
  return Object.keys(one).every((key) => one[key] === other[key]);
}

/** Options of a choice, the present value among them whatever it is. */
function options(key, config) {
  if (key in OPTIONS) return OPTIONS[key].values;
  const usual = key === "rate" ? RATE_CHOICES[config.optimizer] : SCALE_CHOICES;
  return [...new Set([...usual, config[key]])].sort((x, y) => x - y);
}

export class Controls {
  /** @param {(changes: object) => void} change gets what a reader changed, as it was typed */
  constructor(change) {
    this.change = change;
    this.inputs = new Map();
    this.outputs = new Map();
    this.element = el("form", { class: "pg-controls", "aria-label": "Settings" });
    this.element.addEventListener("submit", (event) => event.preventDefault());
    for (const field of FIELDS) this.element.append(this.field(field));
  }

  field({ key, label, kind, step }) {
    const id = `pg-${key}`;
    const limits = LIMITS[key];
    const head = el("span", { class: "pg-field-head" }, el("label", { for: id }, label));
    let input;
    if (kind === "choice") input = el("select", { id });
    else {
      const { min, max } = limits;
      input = el("input", { id, type: kind, min, max, step: step ?? 1, autocomplete: "off" });
    }
    input.addEventListener(kind === "number" ? "change" : "input", () => this.changed(key));
    this.inputs.set(key, input);
    if (kind === "range") {
      const output = el("output", { for: id, "aria-live": "off" });
      this.outputs.set(key, output);
      head.append(output);
    }
    return el("div", { class: `pg-field pg-field-${kind}` }, head, input);
  }

  changed(key) {
    const changes = { [key]: this.inputs.get(key).value };
    if (key === "optimizer") changes.rate = RATES[changes.optimizer];
    this.change(changes);
  }

  /** Show a configuration. */
  show(config) {
    for (const { key, kind } of FIELDS) {
      const input = this.inputs.get(key);
      if (kind === "choice") {
        const choices = options(key, config).map((value) => {
          return el("option", { value }, NAMES[value] ?? String(value));
        });
        input.replaceChildren(...choices);
      }
      // Mirrored pairs: the numbers between are left out.
      if (key === "heads") input.min = input.step = config.mirror === "pairs" ? 2 : 1;
      input.value = config[key];
      if (kind === "range") {
        const tilt = key.startsWith("start");
        write(this.outputs.get(key), tilt ? signed(config[key], 2) : String(config[key]));
      }
    }
  }
}

export class Presets {
  /** @param {(config: object) => void} choose gets the chosen configuration */
  constructor(choose) {
    this.text = el("p", { class: "pg-preset-text" });
    this.buttons = PRESETS.map((preset) => {
      const onclick = () => choose(preset.config);
      return el("button", { type: "button", "data-preset": preset.id, onclick }, preset.title);
    });
    const row = { class: "pg-presets", role: "group", "aria-label": "Start from" };
    this.element = el("div", { class: "pg-start" }, el("div", row, ...this.buttons), this.text);
  }

  show(config) {
    // Another toss of the same coin is still this preset.
    const found = PRESETS.findIndex(({ config: preset }) =>
      same(preset, { ...config, seed: preset.seed }),
    );
    this.buttons.forEach((button, n) => button.setAttribute("aria-pressed", String(n === found)));
    write(this.text, PRESETS[found]?.text ?? "Settings of your own.");
  }
}

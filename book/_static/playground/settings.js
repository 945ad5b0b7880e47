/**
 * The settings of the playground: what is allowed, what a reader asked for, and what was made of it.
 *
 * A configuration is a plain object with the keys of `DEFAULTS`. Whatever comes from outside goes
 * through `settle`, which never fails: it takes the nearest valid value and says so in a sentence.
 *
 * @typedef {object} Config
 * @property {number} vocab V, different words.
 * @property {number} length L, words in an input, never more than V.
 * @property {number} heads H, attention heads.
 * @property {"sgd"|"adam"} optimizer
 * @property {number} rate learning rate.
 * @property {number} scale standard deviation of the entries of A and B at the start.
 * @property {number} seed sets the start and the inputs.
 * @property {number} startA added to the diagonal of every A at the start.
 * @property {number} startB added to the diagonal of every B at the start.
 * @property {"off"|"turned"|"pairs"} mirror "turned": every head starts at minus what its seed says,
 *   A and B; "pairs": the second half of the heads starts at minus the first half.
 * @property {number} batch inputs in a batch; fixed.
 */

/** A learning rate that suits each optimiser; used wherever none is given. */
export const RATES = Object.freeze({ sgd: 10, adam: 0.05 });

/** @type {Readonly<Config>} */
export const DEFAULTS = Object.freeze({
  vocab: 10,
  length: 10,
  heads: 1,
  optimizer: "sgd",
  rate: RATES.sgd,
  scale: 0.1,
  seed: 1,
  startA: 0,
  startB: 0,
  mirror: "off",
  batch: 32,
});

/** For each number: its name for people, its smallest and largest value, and if it is whole. */
export const LIMITS = Object.freeze({
  vocab: { name: "Words there are (V)", min: 2, max: 20, whole: true },
  length: { name: "Words in a sentence (L)", min: 2, max: 16, whole: true },
  heads: { name: "Heads", min: 1, max: 8, whole: true },
  rate: { name: "Learning rate", min: 0.001, max: 100, whole: false },
  scale: { name: "Size of the random start", min: 0, max: 1, whole: false },
  seed: { name: "Seed", min: 0, max: 999999, whole: true },
  startA: { name: "Tilt of attention at the start", min: -3, max: 3, whole: false },
  startB: { name: "Tilt of words at the start", min: -3, max: 3, whole: false },
  batch: { name: "Batch size", min: 32, max: 32, whole: true },
});

/** For each choice: its name for people, and what can be chosen. */
export const OPTIONS = Object.freeze({
  optimizer: { name: "Optimiser", values: ["sgd", "adam"] },
  mirror: { name: "Mirror", values: ["off", "turned", "pairs"] },
});

/** Short keys of the address, in the order in which they are written. */
const ADDRESS_KEYS = Object.freeze({
  v: "vocab",
  l: "length",
  h: "heads",
  o: "optimizer",
  r: "rate",
  s: "scale",
  seed: "seed",
  a: "startA",
  b: "startB",
  m: "mirror",
});

/** Starting points that belong to the chapters. Each config is complete. */
export const PRESETS = Object.freeze(
  [
    {
      id: "spare",
      title: "Spare words",
      text:
        "Twice as many words as a sentence has places, so each sentence leaves some out. Words are " +
        "learned first, and attention follows.",
      config: { vocab: 20, length: 10 },
    },
    {
      id: "permutation",
      title: "Coin toss",
      text:
        "Every sentence has the same words in another order: no clue which stands for which. The " +
        "random start decides. Toss again.",
      config: {},
    },
    {
      id: "one-spare",
      title: "One spare word",
      text:
        "A single word more than a sentence has places tilts the coin. With a larger random start " +
        "chance comes back.",
      config: { vocab: 11 },
    },
    {
      id: "heads",
      title: "Eight heads",
      text:
        "Each head starts elsewhere and tosses a coin of its own. One head that looks at the right " +
        "place is enough.",
      config: { heads: 8 },
    },
    {
      id: "mirror",
      title: "A head and its mirror image",
      text:
        "Head 2 starts at minus head 1, so one of the two is on the lucky side. Count; then switch " +
        "Mirror off and count again.",
      config: { heads: 2, mirror: "pairs" },
    },
    {
      id: "words-first",
      title: "Words first",
      text:
        "The same toss, but the table knows a little about each word before training begins. " +
        "Attention follows.",
      config: { startB: 0.5 },
    },
    {
      id: "attention-first",
      title: "Attention first",
      text:
        "The same toss, but every step already looks a little more at the right place. The words " +
        "follow attention.",
      config: { startA: 0.5 },
    },
    {
      id: "against",
      title: "Wrong tilt",
      text:
        "Words vote a little against themselves at the start. Attention leaves the right place: " +
        "copying by elimination.",
      config: { startB: -0.5 },
    },
    {
      id: "adam",
      title: "Adam",
      text:
        "Another optimiser: small and large gradients get steps of like size, so the theory beside " +
        "the count does not speak of it.",
      config: { optimizer: "adam", rate: RATES.adam },
    },
  ].map((preset) => Object.freeze({ ...preset, config: { ...DEFAULTS, ...preset.config } })),
);

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A number from a number or from its decimal text; NaN for everything else, even "". */
function asNumber(value) {
  if (typeof value === "number") return value;
  return typeof value === "string" && NUMBER.test(value.trim()) ? Number(value) : NaN;
}

/** How a value that was asked for is quoted: short, whatever it is. */
function quoted(value) {
  const text = String(value);
  return `“${text.length > 20 ? `${text.slice(0, 20)}…` : text}”`;
}

/** The nearest valid number; what was changed goes into the notes. */
function settleNumber(key, value, fallback, notes) {
  const { name, min, max, whole } = LIMITS[key];
  const asked = asNumber(value);
  if (Number.isNaN(asked)) {
    notes.push(`${name}: ${quoted(value)} is not a number, so ${fallback} is used.`);
    return fallback;
  }
  const inside = Math.min(Math.max(asked, min), max);
  const found = (whole ? Math.round(inside) : inside) + 0; // + 0 turns -0 into 0
  if (asked > max) {
    notes.push(`${name}: ${quoted(value)} is above the largest value, so ${found} is used.`);
  } else if (asked < min) {
    notes.push(`${name}: ${quoted(value)} is below the smallest value, so ${found} is used.`);
  } else if (found !== asked) {
    notes.push(`${name}: ${quoted(value)} is not a whole number, so ${found} is used.`);
  }
  return found;
}

/** The option that is meant, in lower or upper case, or the default. */
function settleOption(key, value, notes) {
  const { name, values } = OPTIONS[key];
  const asked = String(value).trim().toLowerCase();
  if (values.includes(asked)) return asked;
  notes.push(
    `${name}: ${quoted(value)} is not one of ${values.join(", ")}, so ${DEFAULTS[key]} is used.`,
  );
  return DEFAULTS[key];
}

/**
 * The valid configuration nearest to what was asked for.
 *
 * @param {object} raw some keys of a configuration, with numbers or texts; missing ones are no
 *   mistake and get their default (the rate that of the optimiser).
 * @returns {{config: Config, notes: string[]}} notes: one sentence for each change; none if valid.
 */
export function settle(raw) {
  const given = typeof raw === "object" ? { ...raw } : {};
  const asked = (key) => Object.hasOwn(given, key) && given[key] !== undefined;
  const notes = [];
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(DEFAULTS, key)) {
      notes.push(`There is no setting ${quoted(key)}, so it is left out.`);
    }
  }
  const config = { ...DEFAULTS };
  for (const key of Object.keys(OPTIONS)) {
    if (asked(key)) config[key] = settleOption(key, given[key], notes);
  }
  config.rate = RATES[config.optimizer];
  for (const key of Object.keys(LIMITS)) {
    if (asked(key)) config[key] = settleNumber(key, given[key], config[key], notes);
  }
  if (config.length > config.vocab) {
    // An input is that many different words. No note where nobody had asked for a length.
    if (asked("length")) {
      const v = config.vocab;
      notes.push(`${LIMITS.length.name}: ${v} words fill ${v} places at most, so ${v} is used.`);
    }
    config.length = config.vocab;
  }
  if (config.mirror === "pairs" && config.heads % 2) {
    config.heads += 1; // the largest number is even
    notes.push(`${LIMITS.heads.name}: mirrored pairs need an even number, so ${config.heads} is used.`);
  }
  return { config, notes };
}

/**
 * The settings that an address asks for.
 *
 * @param {string} address what stands behind the `#`, with it or without.
 * @returns {{config: Config, notes: string[]}}
 */
export function fromAddress(address) {
  const given = new URLSearchParams(address.replace(/^#/, ""));
  const notes = [];
  const name = given.get("preset");
  const preset = PRESETS.find(({ id }) => id === name);
  if (name !== null && preset === undefined) {
    notes.push(`There is no preset ${quoted(name)}, so it is left out.`);
  }
  const raw = preset === undefined ? {} : { ...preset.config };
  for (const [key, value] of given) {
    if (Object.hasOwn(ADDRESS_KEYS, key)) raw[ADDRESS_KEYS[key]] = value;
    else if (key !== "preset") {
      const known = Object.keys(ADDRESS_KEYS).join(", ");
      notes.push(`There is no setting ${quoted(key)}, so it is left out; there are ${known}.`);
    }
  }
  const settled = settle(raw);
  return { config: settled.config, notes: [...notes, ...settled.notes] };
}

/**
 * The address of a configuration, without the `#`: only what differs from the defaults.
 *
 * @param {Config} config a valid one.
 * @returns {string} empty for the defaults.
 */
export function toAddress(config) {
  const usual = { ...DEFAULTS, rate: RATES[config.optimizer] };
  // With fewer words than that the length goes down by itself.
  usual.length = Math.min(usual.length, config.vocab);
  return Object.entries(ADDRESS_KEYS)
    .filter(([, key]) => config[key] !== usual[key])
    .map(([short, key]) => `${short}=${config[key]}`)
    .join("&");
}

/**
 * How many steps a tally needs until hardly any run is undecided: the way out of the saddle takes
 * the longer the more words and heads there are.
 *
 * @param {Config} config a valid one.
 */
export function tallySteps({ vocab, heads, optimizer, rate }) {
  if (optimizer === "adam") return 300; // its pace does not depend on the size of gradients
  const steps = 120 + (6 * vocab ** 2 * heads) / rate;
  return Math.min(Math.round(steps / 10) * 10, 1000);
}

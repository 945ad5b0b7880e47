/** Small helpers to make elements and to write numbers for people. */

/**
 * An element with attributes and children.
 *
 * A function as attribute becomes a listener (`onclick`), `true` an attribute without a value;
 * `false`, `null` and `undefined` leave it out.
 * @param {string} tag
 * @param {Object<string, *>} [attributes]
 * @param {...(Node|string)} children
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A button with a class. */
export function button(text, name, onclick) {
  return el("button", { type: "button", class: name, onclick }, text);
}

/** Put a text in only if it changed, so that nothing is spoken or laid out twice. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A share as a percentage; 99.6 keeps a digit so that it does not read 100. */
export function percent(share) {
  const value = 100 * share;
  const near = value > 0 && value < 100 && (value < 1 || value > 99);
  return `${near ? value.toFixed(1) : Math.round(value)}%`;
}

/** A number with its sign, with a true minus. */
export function signed(value, digits = 1) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "\u2212" : "+"}${text}`;
}

/** "1 head", "8 heads". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Wilson's 95% interval of a share. */
export function wilson(hits, runs) {
  if (runs === 0) return [0, 1];
  const z = 1.959963984540054;
  const share = hits / runs;
  const middle = (share + (z * z) / (2 * runs)) / (1 + (z * z) / runs);
  const spread = Math.sqrt((share * (1 - share)) / runs + (z * z) / (4 * runs * runs));
  const reach = (z * spread) / (1 + (z * z) / runs);
  return [Math.max(0, middle - reach), Math.min(1, middle + reach)];
}

/** Drawing surfaces: sharp on every screen, with the colours of the page. */

const NAMES = [
  "attention",
  "words",
  "elimination",
  "tokens",
  "sure",
  "text",
  "muted",
  "surface",
  "line",
  "flow",
];

/** The colours of the page as it is now, light or dark, by role. */
export function palette(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(
    NAMES.map((name) => [name, style.getPropertyValue(`--pg-${name}`).trim()]),
  );
}

/** Red, green and blue of "#rrggbb". */
export function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/** Colour of a branch. */
export function branchColour(colours, branch) {
  return { aligned: colours.attention, elimination: colours.elimination }[branch] ?? colours.muted;
}

/** A canvas that follows the width of its parent. */
export class Sheet {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.ratio = 0;
  }

  /** Set the size in CSS pixels; the context is then scaled to them, and empty. */
  prepare(width, height, surface) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== pixels[0] || this.canvas.height !== pixels[1]) {
      [this.canvas.width, this.canvas.height] = pixels;
      this.canvas.style.height = `${height}px`;
    }
    const context = this.context;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = surface;
    context.fillRect(0, 0, width, height);
    context.font = font(12);
    context.lineJoin = "round";
    return context;
  }
}

/** The typeface of the page at a size. */
export function font(size, weight = 400) {
  return `${weight} ${size}px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif`;
}

/** Text at a place; `align` and `baseline` as the canvas knows them. */
export function label(context, text, x, y, colour, align = "left", baseline = "middle") {
  context.fillStyle = colour;
  context.textAlign = align;
  context.textBaseline = baseline;
  context.fillText(text, x, y);
}

/** A line through points; `dash` as the canvas knows it. */
export function line(context, points, colour, width = 2, dash = []) {
  if (points.length < 2) return;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  points.forEach(([x, y], n) => (n ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.setLineDash([]);
}

/** A filled or open dot. */
export function dot(context, x, y, radius, colour, open = "") {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = open || colour;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.stroke();
}

const small = document.createElement("canvas");

/**
 * A square of cells, each in a colour between the surface and full: one pixel each, then enlarged,
 * which costs the same for 4 cells and for 400.
 * @param {ArrayLike<number>} values row by row, from -1 to 1
 * @param {[number, number, number][]} ends colours of -1, 0 and 1
 */
export function cells(context, values, columns, x, y, width, height, ends) {
  const rows = values.length / columns;
  small.width = columns;
  small.height = rows;
  const pen = small.getContext("2d");
  const image = pen.createImageData(columns, rows);
  for (let n = 0; n < values.length; n++) {
    const value = Math.max(-1, Math.min(1, values[n]));
    const full = ends[value < 0 ? 0 : 2];
    const share = Math.abs(value);
    for (let c = 0; c < 3; c++) image.data[4 * n + c] = ends[1][c] + share * (full[c] - ends[1][c]);
    image.data[4 * n + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, x, y, width, height);
}

/** Thin lines between cells. */
export function grid(context, columns, rows, x, y, width, height, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let n = 0; n <= columns; n++) {
    const at = x + (n * width) / columns;
    context.moveTo(at, y);
    context.lineTo(at, y + height);
  }
  for (let n = 0; n <= rows; n++) {
    const at = y + (n * height) / rows;
    context.moveTo(x, at);
    context.lineTo(x + width, at);
  }
  context.stroke();
}

/** A word as far as there is room: whole, its initial, or nothing. */
export function fitting(context, word, room) {
  if (context.measureText(word).width <= room) return word;
  return context.measureText(word[0]).width <= room ? word[0] : "";
}

/**
 * Random numbers from a seed: the same seed gives the same numbers in every browser.
 *
 * The generator is sfc32, Chris Doty-Humphrey's "small fast counting" generator with 32-bit words
 * (from PractRand). They are not PyTorch's numbers: a seed here and a seed in `lessons_lib` are two
 * different starts.
 */
export class Random {
  /** @param {number} seed a whole number, 0 or above. */
  constructor(seed) {
    this.x = seed | 0;
    this.y = Math.floor(seed / 2 ** 32) | 0;
    this.z = 0x9e3779b9 | 0;
    this.count = 1;
    this.spare = NaN;
    this.order = new Int32Array(0);
    for (let i = 0; i < 15; i++) this.next(); // until neighbouring seeds have nothing in common
  }

  /** The next 32 bits, from 0 to 2^32 - 1. */
  next() {
    const sum = (this.x + this.y + this.count) | 0;
    this.count = (this.count + 1) | 0;
    this.x = this.y ^ (this.y >>> 9);
    this.y = (this.z + (this.z << 3)) | 0;
    this.z = (((this.z << 21) | (this.z >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in (0, 1), both ends left out. */
  uniform() {
    return (this.next() + 0.5) / 2 ** 32;
  }

  /** Normal with mean 0 and variance 1, by the method of Box and Muller, which makes two at once. */
  normal() {
    const kept = this.spare;
    this.spare = NaN;
    if (!Number.isNaN(kept)) return kept;
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /**
   * Different words in random order.
   *
   * @param {Int32Array} words receives them, from 0 to `vocab - 1`.
   * @param {number} offset where in `words` they begin.
   * @param {number} length how many there are.
   * @param {number} vocab how many there are to draw from.
   */
  permutationOfWords(words, offset, length, vocab) {
    if (this.order.length !== vocab) this.order = Int32Array.from({ length: vocab }, (_, i) => i);
    const order = this.order; // in any order: swapping the first places makes it random
    for (let l = 0; l < length; l++) {
      const chosen = l + Math.floor(this.uniform() * (vocab - l));
      const word = order[chosen];
      order[chosen] = order[l];
      order[l] = word;
      words[offset + l] = word;
    }
  }
}

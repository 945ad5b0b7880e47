/**
 * The theory of the reduced model, as in `lessons_lib/theory/phase_portrait.py`: two numbers for each head, the
 * lead `a` in attention and the lead `b` in the table, and the flow that gradient descent with
 * small steps follows. Time is learning rate times updates. V words, inputs of length L.
 */

/** a at the only rest point of the flow, (a, 0): the origin at V = L, left of it with spare words. */
export function saddle(V, L) {
  return -Math.log((V - 1) / (L - 1));
}

/** p, attention on the right position. */
export function rightAttention(a, L) {
  return 1 / (1 + (L - 1) * Math.exp(-a));
}

/** How far the right word is ahead of the input's other words and of the spare words, times -1. */
function competitors(a, b, V, L) {
  const p = rightAttention(a, L);
  const ahead = (L * p - 1) / (L - 1);
  const others = -ahead * b;
  const spare = -p * b;
  const top = Math.max(0, others, V > L ? spare : 0);
  const weights = [Math.exp(-top), (L - 1) * Math.exp(others - top), 0];
  if (V > L) weights[2] = (V - L) * Math.exp(spare - top);
  const total = weights[0] + weights[1] + weights[2];
  return { p, ahead, top, total, others: weights[1] / total, spare: weights[2] / total };
}

/** Loss of each output word in nats: log V wherever b = 0. */
export function symmetricLoss(a, b, V, L) {
  const { top, total } = competitors(a, b, V, L);
  return top + Math.log(total);
}

/** The flow at one point: [a', b']. */
export function velocity(a, b, V, L) {
  const { p, ahead, others, spare } = competitors(a, b, V, L);
  const byA = -b * p * (1 - p) * ((others * L) / (L - 1) + spare);
  const byB = -(others * ahead + spare * p);
  return [-byA / (L - 1), -byB / (V - 1)];
}

/** Close to the saddle the curve is a straight line, to about 1e-8. */
const NEAR = 1e-4;
const TOLERANCE = 1e-10;

/** Slope of the separatrix at the saddle, where the flow is linear. */
function slopeAtSaddle(V, L) {
  const k = (V - 1) / ((L - 1) * V ** 2);
  const d = (V - L) / ((L - 1) * V ** 3);
  return -(d + Math.sqrt(d ** 2 + (4 * k) / V ** 2)) / (2 * k);
}

/** One step of the classical Runge-Kutta method. */
function rungeKutta(rise, x, y, h) {
  const k1 = rise(x, y);
  const k2 = rise(x + h / 2, y + (h / 2) * k1);
  const k3 = rise(x + h / 2, y + (h / 2) * k2);
  const k4 = rise(x + h, y + h * k3);
  return y + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4);
}

/** b on the separatrix on one side of the saddle, at distances that increase. */
function outwards(V, L, side, distances) {
  const centre = saddle(V, L);
  const slope = slopeAtSaddle(V, L);
  const rise = (x, b) => {
    const [aVelocity, bVelocity] = velocity(centre + side * x, b, V, L);
    return (side * bVelocity) / aVelocity;
  };
  let [x, b, h] = [NEAR, slope * side * NEAR, NEAR];
  return distances.map((end) => {
    if (end <= NEAR) return slope * side * end;
    while (x < end) {
      // Two half steps against one whole step tell the error, and take most of it away.
      const size = Math.min(h, end - x);
      const whole = rungeKutta(rise, x, b, size);
      const half = rungeKutta(rise, x, b, size / 2);
      const twice = rungeKutta(rise, x + size / 2, half, size / 2);
      const error = Math.abs(twice - whole) / 15 / (TOLERANCE * (1 + Math.abs(b)));
      if (error <= 1 || size < 1e-9) {
        x = size < h ? end : x + size;
        b = twice + (twice - whole) / 15;
      }
      if (size === h || error > 1) h = size * Math.min(4, Math.max(0.2, 0.9 * error ** -0.2));
    }
    return b;
  });
}

/** b on the separatrix at each a of a list that increases: starts above it align. */
function separatrixAt(V, L, as) {
  const centre = saddle(V, L);
  const left = as.filter((a) => a < centre).reverse();
  const right = as.filter((a) => a >= centre);
  const onLeft = outwards(V, L, -1, left.map((a) => centre - a));
  const onRight = outwards(V, L, 1, right.map((a) => a - centre));
  return [...onLeft.reverse(), ...onRight];
}

/** So many evenly spaced numbers, both ends included. */
function spaced(from, to, points) {
  return Array.from({ length: points }, (_, i) => from + ((to - from) * i) / (points - 1));
}

/**
 * The curve that divides the branches, as [a, b] at evenly spaced a; it falls from left to right.
 *
 * @param {number} points at least 2.
 */
export function separatrix(V, L, aMin, aMax, points) {
  const as = spaced(aMin, aMax, points);
  const bs = separatrixAt(V, L, as);
  return as.map((a, i) => [a, bs[i]]);
}

/** Share of a normal distribution below x, by the power series of Marsaglia (2004). */
function normalShare(x) {
  if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
  let [sum, term] = [x, x];
  for (let n = 3; Math.abs(term) > 1e-17; n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

/**
 * Share of random starts above the separatrix, where gradient flow aligns; for several heads the
 * share with some head above it, each head (or pair of mirror images) tossing a coin of its own.
 *
 * The leads of a start are normal, with means startA and startB and variances scale^2 / (L-1) and
 * scale^2 / (V-1). It is about the flow: small steps of SGD with exact gradients. The inputs'
 * randomness blurs the coin, and Adam follows another flow. A head at (a, b) has its mirror image at
 * (-a, -b): neither aligns where -s(-a) < b < s(a), with s the separatrix.
 *
 * @returns {number} in [0, 1]; without spread 0 or 1, and 0 on the separatrix itself.
 */
export function alignedShare({ vocab: V, length: L, scale, heads, startA, startB, mirror = "off" }) {
  if (mirror === "turned") [startA, startB] = [-startA, -startB];
  const pairs = mirror === "pairs";
  const at = (as) => separatrixAt(V, L, as);
  if (scale === 0) {
    const above = startB > at([startA])[0] || (pairs && -startB > at([-startA])[0]);
    return above ? 1 : 0;
  }
  const [spreadA, spreadB] = [scale / Math.sqrt(L - 1), scale / Math.sqrt(V - 1)];
  const zs = spaced(-8, 8, 801);
  const as = zs.map((z) => startA + spreadA * z);
  const below = (bs) => bs.map((b) => normalShare((b - startB) / spreadB));
  const unlucky = below(at(as));
  if (pairs) {
    const turned = at(as.map((a) => -a).reverse()).reverse();
    below(turned.map((b) => -b)).forEach((share, i) => {
      unlucky[i] = Math.max(0, unlucky[i] - share);
    });
  }
  // The trapezoidal rule: for a smooth bell it is as exact as any.
  let [share, total] = [0, 0];
  zs.forEach((z, i) => {
    const weight = Math.exp((-z * z) / 2);
    share += weight * unlucky[i];
    total += weight;
  });
  return 1 - Math.max(share / total, 0) ** (pairs ? heads / 2 : heads);
}

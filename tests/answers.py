"""Answers to the exercises: right ones in many forms, and wrong ones with their diagnosis."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import brentq
from scipy.special import entr, lambertw
from scipy.stats import norm
from torch import Tensor

from lessons_lib import agreement, ibm_model1, models, probes, stats
from lessons_lib.lab import blocks, copying, heads, interventions
from lessons_lib.tasks import PAD, Batch
from lessons_lib.theory import phase_portrait, two_words

# What the answers below are made of ---------------------------------------------------------------


def attend(q: Tensor, k: Tensor, mask: Tensor, dim: int = -1, scale: float = 1) -> Tensor:
    scores = scale * q @ k.transpose(1, 2)
    return scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim)


def weights(q: Tensor, k: Tensor, mask: Any = True) -> Any:
    return (q @ k.transpose(1, 2) * mask).softmax(-1)


def road(a: float, length: int) -> float:
    return math.sqrt(2 * (math.expm1(a) + (length - 1) * a) / (length - 1))


def probe(model: models.Seq2Seq, batch: Batch, axis: int = 1) -> Tensor:
    """The probe everywhere; with another axis, values go along the output steps."""
    with probes.evaluating(model):
        out = model(batch)
        v = model.values(out.encoder_states)[:, 0]
        steps, places = batch.target.shape[1], batch.source.shape[1]
        s = out.decoder_states[:, :, None].expand(-1, -1, places, -1)
        c = v.unsqueeze(axis).expand(-1, *((steps, -1) if axis == 1 else (-1, places)), -1)
        right = batch.target[:, :, None, None].expand(-1, -1, places, 1)
        found = model.readout(s, c).softmax(-1).gather(-1, right)[..., 0]
        return found * batch.source_mask[:, None] if axis == 1 else found


def with_padding(model: models.Seq2Seq, batch: Batch) -> np.ndarray:
    eye = torch.eye(batch.source.shape[1])
    ways = [model(batch, attention=one[None, None, None]).logits for one in eye]
    right = batch.target[:, :, None, None].expand(-1, -1, len(eye), 1)
    return torch.stack(ways, 2).softmax(-1).gather(-1, right)[..., 0].detach().numpy()


def library_probe(scale: Any) -> Callable[..., Tensor]:
    return lambda m, b: probes.lexical_probe(m, b, scale=scale)


def loud_enough(loss: float, p: float, more: float = 1e-6) -> tuple[float, float]:
    k = -math.log(math.expm1(loss / 2)) + more  # 2 log(1 + e^-k) = loss
    return -k, (k + (1 - p) * k) / p


def lowest_lead(d: float, quarter: float = 0.25) -> float:
    return float(brentq(lambda a: a + math.exp(a) - 1 + quarter * d**2, -50, 1, xtol=1e-14))


def lowest(d: float, quarter: float = 0.25) -> float:
    return 1 / (1 + math.exp(-lowest_lead(d, quarter)))


def lambert(d: float) -> complex:
    """The lowest attention by Lambert's W, which gives complex numbers."""
    c = 1 - d**2 / 4
    return complex(1 / (1 + np.exp(-(c - lambertw(math.exp(c))))))


def law(a: Tensor, b: Tensor) -> Tensor:
    return a * (b - (a * b).sum(-1, keepdim=True))


def proxy(*given: Tensor, how: str = "mean") -> Tensor:
    e, w, b, x = given
    there = (x != PAD)[..., None]
    counts: dict[str, Any] = {"mean": there.sum(1), "sum": 1, "length": x.shape[1]}
    found: Tensor = (e[x] * there).sum(1) / counts[how] @ w.T + b
    return found


def bag(e: Tensor, w: Tensor, b: Tensor, x: Tensor) -> Tensor:
    found = models.BagOfWords(len(e), len(w), e.shape[1]).double()
    found.load_state_dict({"embedding.weight": e, "output.weight": w, "output.bias": b})
    p: Tensor = found(Batch(x, x)).softmax(-1)
    return p


def agree(
    u: Tensor, v: Tensor, mask: Tensor, top: Any = lambda n: -(-n // 20), tied: int = 0
) -> float:
    hits = []
    for b, t in zip(*torch.where(mask.any(-1)), strict=True):
        uu, vv = u[b, t][mask[b, t]], v[b, t][mask[b, t]]
        there = vv[uu.argmax()]
        ahead = (vv > there).sum() + tied * ((vv == there).sum() - 1)
        hits.append(bool(ahead < top(len(uu))))
    return sum(hits) / len(hits)


def agree_by(top: Callable[[int], int]) -> Callable[..., float]:
    return lambda u, v, m: agree(u, v, m, top)


def em_step(t: Tensor, source: Tensor, target: Tensor, norm: int = 1, how: str = "") -> Tensor:
    counts = torch.zeros_like(t)
    for x, y in zip(source, target, strict=True):
        x, y = x[x != PAD], (y if how == "pad" else y[y != PAD])
        likely = torch.ones(len(x), len(y)) if how == "blind" else t[x][:, y]
        shares = (likely / likely.sum(0)).to(t.dtype)
        for k, i in enumerate(x.tolist()):
            counts[i].index_add_(0, y, shares[k])
    return counts if norm == -1 else counts / counts.sum(norm, keepdim=True).clamp(min=1e-300)


def first_em(t: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return ibm_model1.fit_model1(x, y, 7, 9, iterations=1, empty_word=False).table


def fair(u: np.ndarray, v: np.ndarray, top: float, lucky: Any = None) -> float:
    k, hits = math.ceil(round(top * u.shape[1], 9)), []
    for a, b in zip(u, v, strict=True):
        ahead, tied = (b > b[a.argmax()]).sum(), (b == b[a.argmax()]).sum()
        share = min(max((k - ahead) / tied, 0), 1)
        hits.append(share if lucky is None or share in (0, 1) else lucky)
    return float(np.mean(hits))


def fair_int(u: np.ndarray, v: np.ndarray, top: float, more: int = 0) -> float:
    return fair(u, v, (int(top * u.shape[1]) + more) / u.shape[1])


def xi(
    level: float, c: np.ndarray, p: np.ndarray, mean: Any = np.mean, never: Any = math.nan
) -> Any:
    above = mean(c, 0) > level
    return float(mean(p, 0)[above.argmax()]) if above.any() else never


def xi_by_run(level: float, c: np.ndarray, p: np.ndarray) -> float:
    firsts = [(q, np.flatnonzero(one > level)) for one, q in zip(c, p, strict=True)]
    return float(np.mean([q[first[0]] for q, first in firsts if len(first)]))


def library_xi(level: float, c: np.ndarray, p: np.ndarray) -> float:
    found = agreement.xi(level, c.tolist(), p.tolist()).value
    return math.nan if found is None else found


def not_query(name: str) -> bool:
    return not name.startswith("query")


def library_names(names: list[str]) -> list[str]:
    model = models.build(models.Seq2SeqConfig(10, 10, d_embed=3, d_hidden=5), seed=1)
    groups = interventions.parameter_groups(model)
    frozen = {id(p) for name in ("ktiw", "shared") for p in groups[name]}
    kept = {n for n, p in model.named_parameters() if id(p) in frozen}
    return [n for n in names if n in kept or not_query(n)]


def push(alpha: Tensor, z: Tensor, y: int, p: Any = None, mean: Any = 1) -> Any:
    said = alpha @ z
    error = torch.eye(z.shape[1], dtype=z.dtype)[y] - (said.softmax(-1) if p is None else p)
    return alpha * ((z - mean * said) @ error)


def branch(accuracy: float, mass: float, start: float) -> str:
    if accuracy > 0.5:
        return "aligned"
    return "elimination" if max(accuracy, mass) < start else "undecided"


def branch_select(accuracy: float, mass: float, start: float) -> Any:
    low = max(accuracy, mass) < start
    return np.select([accuracy > 0.5, low], ["aligned", "elimination"], "undecided")


def blend(length: int, own: float = 0) -> np.ndarray:
    """Attention with ``own`` on the right position, the rest shared evenly."""
    eye = np.eye(length)
    return own * eye + (1 - own) * (1 - eye) / (length - 1)


def rows_to_one(table: np.ndarray) -> np.ndarray:
    return np.asarray(table / table.sum(1, keepdims=True))


def unlike_first(length: int) -> np.ndarray:
    """Only the last row does not sum to 1."""
    found = blend(length)
    found[-1] *= 0.9
    return found


def tickets(p: float, s: float, up: Any = math.ceil) -> Any:
    return up(math.log(1 - s) / math.log(1 - p))


def kind(x: list[float]) -> str:
    return "good" if min(x) > 0.95 else "bad" if max(x) < 0.6 else "discarded"


def kind_where(accuracies: list[float]) -> Any:
    x = np.array(accuracies)
    return np.where((x > 0.95).all(), "good", np.where((x < 0.6).all(), "bad", "discarded"))


def velocities(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    return np.stack([b, a]) / (len(a) * n**2)


def without(m: models.Seq2Seq, batch: Batch, head: int, how: str = "", end: bool = False) -> float:
    with torch.no_grad():
        out = m(batch)
        contexts = out.attention @ m.values(out.encoder_states)
        others = [k for k in range(contexts.shape[1]) if k != head]
        kept = contexts[:, {"alone": [head], "all": [*others, head]}.get(how, others)].mean(1)
        logits = m.readout(out.decoder_states, kept * (2 / 3 if how == "silent" else 1))
    words = batch.target_mask if end else copying.word_positions(batch) >= 0
    return float((logits.argmax(-1) == batch.target)[words].double().mean())


def mirrored(model: models.Seq2Seq, sign: float = -1, of: str = "", own: bool = False) -> Any:
    """Pairs of a head and its image; ``of``: what the names of turned weights contain."""
    image = copy.deepcopy(model)
    with torch.no_grad():
        for name, part in image.named_parameters():
            if name.startswith(("query", "value")) and of in name:
                first, second = part.chunk(2)
                part.copy_(torch.cat([first, sign * (second if own else first)]))
    return image


def checked_pairs(model: models.Seq2Seq, **options: Any) -> Any:
    if model.config.heads % 2:
        raise ValueError("three heads have no two halves")
    return mirrored(model, **options)


def library_pairs(model: models.Seq2Seq) -> models.Seq2Seq:
    image = copy.deepcopy(model)
    models.make_antithetic(image)
    return image


def spread(attention: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(entr(attention).sum(1)) / attention.shape[1])


def same_branch(k: int, n: int) -> float:
    return (math.comb(k, 2) + math.comb(n - k, 2)) / math.comb(n, 2)


def half_rise(
    x: np.ndarray, y: np.ndarray, level: float | None = None, last: bool = False
) -> float:
    level = (y[0] + y[-1]) / 2 if level is None else level
    k = int((y < level).nonzero()[0][-1]) + 1 if last else int((y >= level).argmax())
    part = (level - y[k - 1]) / (y[k] - y[k - 1])
    return float(x[k - 1] + part * (x[k] - x[k - 1]))


def residual(c: Tensor, w: Tensor, share: float, second: Any = None) -> Tensor:
    """With a second way of combining, where it runs at all."""
    product = c @ w if second is None or c.shape != w.shape else second(c, w)
    return share * c + (1 - share) * product


def lead_needed(loss: float, length: int) -> float:
    return -(length - 1) * math.log((length - 1) / math.expm1(loss))


def adam(gs: Tensor, rate: float, fix: int = 1, power: float = 0.5, second: float = 0.999) -> Any:
    m = v = way = 0 * gs[0]
    for t, g in enumerate(gs, start=1):
        m, v = 0.9 * m + 0.1 * g, second * v + (1 - second) * g**2
        a, b = 1 - fix * 0.9**t, 1 - fix * second**t
        way = way - rate * (m / a) / ((v / b) ** power + 1e-8)
    return way


def z_of(confidence: float) -> float:
    return float(norm.ppf((1 + confidence) / 2))


def within(confidence: float, ratio: float) -> float:
    return 2 * float(norm.cdf(z_of(confidence) / math.sqrt(1 + 1 / ratio))) - 1


def runs(p: float, q: float, power: float, level: float, ends: int = 2) -> float:
    z = float(norm.ppf(1 - level / ends) + norm.ppf(power))
    return z**2 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2


def pooled(p: float, q: float, power: float, level: float) -> float:
    z, w, m = norm.ppf(1 - level / 2), norm.ppf(power), (p + q) / 2
    both = p * (1 - p) + q * (1 - q)
    return float((z * math.sqrt(2 * m * (1 - m)) + w * math.sqrt(both)) ** 2 / (p - q) ** 2)


def wilson(k: int, n: int, confidence: float, of: Any = z_of) -> tuple[float, float]:
    z = float(of(confidence))
    middle = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(k * (n - k) / n + z**2 / 4)
    return middle - half, middle + half


def wald(k: int, n: int, confidence: float) -> tuple[float, float]:
    half = z_of(confidence) * math.sqrt(k / n * (1 - k / n) / n)
    return k / n - half, k / n + half


def plus_four(k: int, n: int, confidence: float) -> tuple[float, float]:
    low, high = wald(k + 2, n + 4, confidence)
    return max(low, 0.0), min(high, 1.0)


def library_interval(k: int, n: int, confidence: float) -> tuple[float, float]:
    found = stats.proportion_interval(k, n, confidence=confidence)
    return found.low, found.high


# The tables ---------------------------------------------------------------------------------------

# fmt: off
RIGHT: list[tuple[str, Any]] = [
    *(("1.1", said) for said in ("d", " D ", "(d)", "d)", "d.", "Option d", np.str_("d"), ["d"])),
    ("1.2", attend), ("1.3", road), ("1.4", probe), ("1.4", library_probe("probability")),
    *(("1.5", x) for x in (0.51, 0.57, np.float32(0.53), torch.tensor([0.54]))),
    ("2.1", "b"), ("2.2", loud_enough), ("2.2", lambda loss, p: loud_enough(loss, p, 0)),
    ("2.3", lowest), ("2.3", lambert),
    ("2.3", lambda d: 1 / (1 + math.exp(-float(two_words.orbit(0.0, -d))))),
    ("2.4", law), ("2.4", two_words.gradient_law_logit),
    ("2.4", lambda a, b: law(a, b).numpy()), ("2.4", lambda a, b: law(a, b).tolist()),
    ("3.1", "a"), ("3.2", lambda *given: proxy(*given).softmax(-1)), ("3.2", bag),
    ("3.3", agree), ("3.3", agreement.agreement), ("3.4", em_step),
    ("4.1", "c"), ("4.2", spread), ("7.2", "d"), ("8.1", "b"), ("9.1", "a"), ("9.2", same_branch),
    ("8.2", (1, 0, 2 / 30)), ("8.2", np.array([True, False, 1 / 15], dtype=object)),
    ("8.2", pd.Series([1, 0, 1 / 15])), ("8.2", filter(lambda x: True, (1, 0, Fraction(1, 15)))),
    ("8.3", fair), ("4.3", "d"), ("8.4", xi), ("8.4", library_xi), ("5.1", "c"),
    ("5.2", lambda names: filter(not_query, names)), ("5.2", library_names),
    ("5.2", lambda names: frozenset(filter(not_query, names))),
    ("5.2", lambda names: np.array(list(filter(not_query, names)))),
    ("5.2", lambda names: (name for name in names if not_query(name))),
    ("5.2", lambda names: dict.fromkeys(filter(not_query, names)).keys()),
    ("5.3", ((0.1, 0.9), ((2, 7), (1, -1)))), ("5.3", ((0.7, 0.3), ((0, 5), (-1, 0)))),
    ("5.3", ((0.5, 0.5), ((1, 3), (0, 0)))), ("5.3", ((0.5, 0.5), np.array([[1, 3], [0, 0]]))),
    ("5.4", push),
    ("5.4", lambda a, z, y: two_words.gradient_law_log_probability(a.numpy(), z.numpy(), y)),
    ("5.5", lambda b, n: -b / (n - 1)), ("9.3", lambda a, r: -a / math.sqrt(r)), ("6.1", "b"),
    ("6.2", lambda v, n: 1 - (n - 1) / (v - 1)),
    ("6.2", lambda v, n: np.subtract(*phase_portrait.cooccurrence(v, n))),
    ("6.3", branch), ("6.3", branch_select), ("6.4", lambda n: float(n) ** -n), ("6.5", blend),
    ("6.5", lambda n: (torch.ones(n, n) - torch.eye(n)) / (n - 1)),
    ("6.6", ((-0.2, 0.5), (0.2, -0.5))), ("6.6", torch.tensor([[-0.1, 0.5], [0.1, -0.5]])),
    ("6.7", lambda a, b, n: (v / n**2 for v in (b, a))),
    ("6.7", lambda a, b, n: np.stack(phase_portrait.symmetric_velocity(a, b, n, n))),
    ("7.1", "a"), ("7.3", tickets), ("7.3", lambda p, s: tickets(p, s, np.ceil)),
    ("7.4", kind), ("7.4", kind_where), ("7.4", lambda x: np.str_(kind(x))),
    ("7.4", lambda x: [kind(x).upper()]), ("7.5", velocities), ("7.6", without),
    ("7.6", lambda m, b, k: heads.remove_heads(m, b)[f"accuracy/without_head{k}"]),
    ("7.7", checked_pairs), ("7.7", library_pairs),
    ("10.1", (1 / 3, 1 / 11, 1)), ("10.2", "c"), ("10.3", half_rise), ("10.3", blocks.half_rise),
    ("10.5", residual), ("10.6", lead_needed), ("10.7", adam), ("11.1", "d"), ("11.2", within),
    ("11.3", wilson), ("11.3", library_interval), ("11.4", runs), ("11.4", pooled),
    ("11.4", lambda *g: math.ceil(runs(*g))), ("11.4", lambda *g: math.ceil(pooled(*g))),
]

WRONG: list[tuple[str, str, Any]] = [
    ("1.1", "ordinary-robust", "a"), ("1.1", "uniform-is-harmless", "b"),
    ("1.1", "needs-the-word", "c"), ("1.1", "no-such-option", "(e)"), ("1.1", "type", 4),
    ("1.1", "type", b"d"), ("1.1", "type", ["a", "b"]), ("1.1", "no-such-option", "xy"),
    ("1.1", "no-such-option", ""), ("1.1", "no-such-option", "cd"),
    ("1.2", "wrong-axis", lambda q, k, m: attend(q, k, m, dim=1)),
    ("1.2", "scaled", lambda q, k, m: attend(q, k, m, scale=7**-0.5)),
    ("1.2", "no-mask", lambda q, k, m: weights(q, k)),
    ("1.2", "masked-late", lambda q, k, m: weights(q, k) * m[:, None]),
    ("1.2", "scores", lambda q, k, m: q @ k.transpose(1, 2)),
    ("1.2", "not-finite", lambda q, k, m: attend(q, k, m & False)),
    ("1.2", "scores-times-mask", lambda q, k, m: weights(q, k, m[:, None])),
    ("1.2", "nearly-zero", lambda q, k, m: attend(q, k, m) + 1e-9 * ~m[:, None]),
    ("1.3", "no-root", lambda a, n: road(a, n) ** 2),
    ("1.3", "half", lambda a, n: road(a, n) / math.sqrt(2)),
    ("1.3", "start-only", lambda a, n: math.sqrt(2 * n * a / (n - 1))),
    ("1.3", "no-start", lambda a, n: math.sqrt(2 * (math.exp(a) + (n - 1) * a) / (n - 1))),
    ("1.4", "logit", library_probe("logit")),
    ("1.4", "log-probability", library_probe("log_probability")),
    ("1.4", "value", lambda m, b: probe(m, b).where(b.source_mask[:, None], 0.5)),
    ("1.4", "wrong-axis", lambda m, b: probe(m, b, axis=2)),
    ("1.4", "transposed", lambda m, b: probe(m, b).transpose(1, 2)),
    ("1.4", "attention", lambda m, b: m(b).attention[:, 0].detach()),
    ("1.4", "padding", with_padding),
    ("1.4", "sigmoid",
        lambda m, b: library_probe("logit")(m, b).sigmoid() * b.source_mask[:, None]),
    ("1.5", "detour", 0.94), ("1.5", "chance", 0.1), ("1.5", "percent", 53),
    ("1.5", "value", 0.59), ("1.5", "value", 0.5), ("1.5", "loss", 0.0025),
    ("2.1", "falls-first", "a"), ("2.1", "exponential", "c"), ("2.1", "no-price", "d"),
    ("2.2", "negative-text", lambda loss, p: (0.0, 100 / p)),
    ("2.2", "too-quiet", lambda loss, p: (-20.0, 60.0)),
    ("2.2", "too-large", lambda loss, p: (-1.0, (2 - p) / p)),
    ("2.2", "not-finite", lambda loss, p: (-math.inf, math.inf)),
    ("2.3", "lead", lowest_lead), ("2.3", "approximation", lambda d: math.exp(1 - d**2 / 4)),
    ("2.3", "half", lambda d: lowest(d, 0.5)), ("2.3", "wrong-word", lambda d: 1 - lowest(d)),
    ("2.3", "complex", lambda d: 0.3 + 0.2j),
    ("2.4", "no-baseline", lambda a, b: a * b), ("2.4", "sign", lambda a, b: -law(a, b)),
    ("2.4", "plain-mean", lambda a, b: a * (b - b.mean(-1, keepdim=True))),
    ("2.4", "no-alpha", lambda a, b: b - (a * b).sum(-1, keepdim=True)),
    ("2.4", "wrong-axis", lambda a, b: a * (b - (a * b).sum(0))),
    ("3.1", "order-matters", "c"), ("3.1", "probe-fixed", "b"), ("3.1", "loss-moves", "d"),
    ("3.2", "logits", proxy), ("3.2", "log-probability", lambda *g: proxy(*g).log_softmax(-1)),
    ("3.2", "sum", lambda *g: proxy(*g, how="sum").softmax(-1)),
    ("3.2", "wrong-axis", lambda *g: proxy(*g).softmax(0)),
    ("3.2", "padding", lambda e, w, b, x: (e[x].mean(1) @ w.T + b).softmax(-1)),
    ("3.2", "padded-length", lambda *g: proxy(*g, how="length").softmax(-1)),
    ("3.3", "swapped", lambda u, v, m: agree(v, u, m)),
    ("3.3", "floor", agree_by(lambda n: n // 20)),
    ("3.3", "one", agree_by(lambda n: 1)), ("3.3", "one-more", agree_by(lambda n: n // 20 + 1)),
    ("3.3", "nearest", agree_by(lambda n: max(1, round(n / 20)))),
    ("3.3", "no-mask", lambda u, v, m: agree(u, v, torch.ones_like(m))),
    ("3.3", "ties-out", lambda u, v, m: agree(u, v, m, tied=1)),
    ("3.3", "constant", lambda u, v, m: 0.123),
    ("3.4", "not-normalised", lambda t, x, y: em_step(t, x, y, norm=-1)),
    ("3.4", "over-source", lambda t, x, y: em_step(t, x, y, norm=0)),
    ("3.4", "no-posterior", lambda t, x, y: em_step(t, x, y, how="blind")),
    ("3.4", "no-posterior", first_em),  # the library starts from the uniform table
    ("3.4", "padding", lambda t, x, y: em_step(t, x, y, how="pad")),
    ("3.4", "old-table", lambda t, x, y: t),
    ("4.1", "same-shape", "a"), ("4.1", "level-for-shape", "b"), ("4.1", "no-difference", "d"),
    ("4.2", "entropy", lambda a: entr(a).sum(1)),
    ("4.2", "not-divided", lambda a: np.exp(entr(a).sum(1))),
    ("4.2", "relative", lambda a: entr(a).sum(1) / np.log(a.shape[1])),
    ("4.2", "bits", lambda a: 2 ** entr(a).sum(1) / a.shape[1]),
    ("4.2", "rows", lambda a: np.exp(entr(a).sum(1)) / len(a)),
    ("4.2", "value", lambda a: a.max(1)),
    ("7.2", "product", "a"), ("7.2", "only-attention", "b"), ("7.2", "expresses-less", "c"),
    ("8.1", "too-short", "a"), ("8.1", "ties", "c"), ("8.1", "not-symmetric", "d"),
    ("9.1", "chance", "b"), ("9.1", "start", "c"), ("9.1", "nothing", "d"),
    ("9.2", "with-itself", lambda k, n: (k / n) ** 2 + (1 - k / n) ** 2),
    ("9.2", "only-aligned", lambda k, n: math.comb(k, 2) / math.comb(n, 2)),
    ("9.2", "pairs", lambda k, n: math.comb(k, 2) + math.comb(n - k, 2)),
    ("9.2", "majority", lambda k, n: max(k, n - k) / n),
    ("8.2", "swapped", (0, 1, 2 / 30)), ("8.2", "one-position", (0, 0, 1 / 30)),
    ("8.2", "chance-5%", (1, 0, 0.05)), ("8.2", "four-words", (0, 0, 0.25)),
    ("8.2", "shape", (1, 0)), ("8.2", "unfinished", [..., 0, 1 / 15]),
    ("8.2", "unfinished", [...]), ("8.2", "too-large", (1, 0, 10**400)),
    ("8.3", "ties-found", partial(fair, lucky=1)), ("8.3", "ties-missed", partial(fair, lucky=0)),
    ("8.3", "ties-half", partial(fair, lucky=0.5)), ("8.3", "rounded-down", fair_int),
    ("8.3", "one-more", partial(fair_int, more=1)),
    ("8.3", "swapped", lambda u, v, top: fair(v, u, top)),
    ("4.3", "no-effect", "a"), ("4.3", "more-even", "b"), ("4.3", "sharper-is-better", "c"),
    ("8.4", "not-averaged", xi_by_run), ("8.4", "one-run", lambda n, c, p: xi(n, c[:1], p[:1])),
    ("8.4", "agreement", lambda n, c, p: xi(n, c, c)),
    ("8.4", "value", partial(xi, mean=np.median)),
    ("8.4", "best-performance", lambda n, c, p: p.mean(0).max()),
    ("8.4", "checkpoint", lambda n, c, p: (c.mean(0) > n).argmax()),
    ("8.4", "never", lambda n, c, p: xi(n, c, p, never=p.mean(0)[0])),
    ("8.4", "not-strict", lambda n, c, p: xi(n - 1e-12, c, p)),
    ("5.1", "one-is-enough", "a"), ("5.1", "sharp-is-right", "b"),
    ("5.1", "attention-decides", "d"),
    ("5.2", "states-free", lambda names: [
        n for n in names if n.startswith(("source_embedding", "value", "readout_layers"))]),
    ("5.2", "value-free", lambda names: [n for n in names if n[:5] not in ("query", "value")]),
    ("5.2", "froze-attention", lambda names: [n for n in names if n.startswith("query")]),
    ("5.2", "nothing-left", lambda names: names), ("5.2", "nothing-frozen", lambda names: []),
    ("5.2", "too-much", lambda names: [n for n in names if n != "query.weight"]),
    ("5.2", "unknown-name", lambda names: ["ktiw", "shared"]),
    ("5.2", "type", lambda names: "value.weight"), ("5.2", "unfinished", lambda names: [...]),
    ("5.3", "both-raise", ((0.5, 0.5), ((1, 0), (0, 0)))),
    ("5.3", "other-position", ((0.5, 0.5), ((0, 0), (1, 3)))),
    ("5.3", "no-push", ((0.5, 0.5), ((1, 1), (1, 1)))),
    ("5.3", "no-weights", ((1, 1), ((1, 3), (0, 0)))), ("5.3", "shape", ((1, 3), (0, 0))),
    ("5.4", "logit-law", lambda alpha, z, y: alpha * (z - alpha @ z)[:, y]),
    ("5.4", "sign", lambda *g: -push(*g)), ("5.4", "no-alpha", lambda a, z, y: push(a, z, y) / a),
    ("5.4", "no-mean", partial(push, mean=0)),
    ("5.4", "mixed-probabilities", lambda a, z, y: push(a, z, y, p=a @ z.softmax(-1))),
    ("5.4", "probability-law", lambda a, z, y: law(a, z.softmax(-1)[:, y])),
    ("5.4", "value", lambda a, z, y: a * (1 - (a @ z).softmax(-1)[y]) * z[:, y]),
    ("5.5", "one-rival", lambda b, n: -b), ("5.5", "mean-of-all", lambda b, n: -b / n),
    ("5.5", "sign", lambda b, n: b / (n - 1)), ("5.5", "nothing", lambda b, n: 0),
    ("9.3", "equal-rates", lambda a, r: -a), ("9.3", "wrong-way", lambda a, r: -a * math.sqrt(r)),
    ("9.3", "no-root", lambda a, r: -a / r), ("9.3", "sign", lambda a, r: a / math.sqrt(r)),
    ("6.1", "same-bag", "a"), ("6.1", "zero-margin", "c"), ("6.1", "elimination-works", "d"),
    ("6.2", "repetition", lambda v, n: 1 - n / v),
    ("6.2", "all-places", lambda v, n: 1 - n / (v - 1)),
    ("6.2", "wrong-pair", lambda v, n: (n - 1) / (v - 1)),
    ("6.2", "first-gradient", lambda v, n: (v - n) / (v * (v - 1))),
    ("6.3", "two-ways-only", lambda a, m, s: "aligned" if a > 0.5 else "elimination"),
    ("6.3", "accuracy-alone", lambda a, m, s: branch(a, a, s)),
    ("6.3", "mass-alone", lambda a, m, s: branch(m, m, s)),
    ("6.3", "fixed-chance", lambda a, m, s: branch(a, m, 0.1)),
    ("6.3", "mass-for-accuracy", lambda a, m, s: "aligned" if m > 0.5 else branch(a, m, s)),
    ("6.3", "half-counts", lambda a, m, s: "aligned" if a >= 0.5 else branch(a, m, s)),
    ("6.3", "equal-counts", lambda a, m, s: branch(a, m, s + 1e-9)),
    ("6.3", "type", lambda a, m, s: 1),
    ("6.4", "one-word", lambda n: 1 / n), ("6.4", "log", lambda n: -n * math.log(n)),
    ("6.4", "orders", lambda n: 1 / math.factorial(n)), ("6.4", "certain", lambda n: 1.0),
    ("6.4", "too-large", lambda n: 10**400),
    ("6.5", "aligned", np.eye), ("6.5", "no-shares", lambda n: 1 - np.eye(n)),
    ("6.5", "uniform", lambda n: np.full((n, n), 1 / n)), ("6.5", "no-shares", unlike_first),
    ("6.5", "still-looks", lambda n: blend(n, 0.5 / n)),
    ("6.5", "negative", lambda n: blend(n, -0.5)),
    ("6.5", "uneven", lambda n: rows_to_one((1 - np.eye(n)) * np.arange(1, n + 1))),
    ("6.5", "causal", lambda n: rows_to_one(np.tril(np.ones((n, n))))),
    ("6.6", "no-words", ((-0.2, 0.0), (0.2, 0.0))), ("6.6", "start", ((0.2, -0.5), (-0.2, 0.5))),
    ("6.6", "shape", (-0.2, 0.5)), ("6.6", "too-far", ((-0.2, 50.0), (0.2, -50.0))),
    ("6.6", "beyond-the-rule", ((-0.5, 0.5), (0.5, -0.4))),
    ("6.6", "beyond-the-rule", ((-0.5, 0.51), (0.2, -0.5))),
    ("6.7", "not-coupled", lambda a, b, n: (a / n**2, b / n**2)),
    ("6.7", "whole-derivative", lambda a, b, n: (b * (n - 1) / n**2, a * (n - 1) / n**2)),
    ("6.7", "one-entry", lambda a, b, n: (b * (n - 1) / n**3, a * (n - 1) / n**3)),
    ("6.7", "sign", lambda a, b, n: (-b / n**2, -a / n**2)),
    ("6.7", "by-length", lambda a, b, n: (b / n, a / n)),
    ("7.1", "number-of-heads", "b"), ("7.1", "worse-than-one", "c"),
    ("7.1", "more-parameters", "d"),
    ("7.3", "one-minus-power", lambda p, s: math.ceil(math.log(1 - s) / math.log(p))),
    ("7.3", "not-whole", lambda p, s: tickets(p, s, float)), ("7.3", "constant", lambda p, s: 1),
    ("7.3", "rounded-down", lambda p, s: tickets(p, s, math.floor)),
    ("7.3", "one-more", lambda p, s: tickets(p, s, int) + 1),
    ("7.4", "mean", lambda x: kind([sum(x) / len(x)])),
    ("7.4", "any-order", lambda x:
        "good" if max(x) > 0.95 else "bad" if min(x) < 0.6 else "discarded"),
    ("7.4", "not-good-is-bad", lambda x:
        "good" if min(x) > 0.95 else "discarded" if max(x) > 0.95 else "bad"),
    ("7.4", "equal-is-above", lambda x: kind([v + 1e-9 for v in x])),
    ("7.4", "equal-is-below", lambda x: "bad" if max(x) <= 0.6 else kind(x)),
    ("7.5", "not-averaged", lambda a, b, n: len(a) * velocities(a, b, n)),
    ("7.5", "mean-field",
        lambda a, b, n: velocities(a, b, n).mean(1, keepdims=True) + 0 * np.stack([a, b])),
    ("7.5", "whole-derivative", lambda a, b, n: (n - 1) * velocities(a, b, n)),
    ("7.5", "not-coupled", lambda a, b, n: velocities(b, a, n)),
    ("7.5", "shape", lambda a, b, n: velocities(a, b, n).T),
    ("7.5", "length-for-heads", lambda a, b, n: np.stack([b, a]) / n**3),
    ("7.6", "divided-by-all", partial(without, how="silent")),
    ("7.6", "only-that-head", partial(without, how="alone")),
    ("7.6", "all-heads", partial(without, how="all")),
    ("7.6", "end-symbol", partial(without, end=True)),
    ("7.7", "copies", partial(checked_pairs, sign=1)),
    ("7.7", "biases-stay", partial(checked_pairs, of="weight")),
    ("7.7", "query-only", partial(checked_pairs, of="query")),
    ("7.7", "value-only", partial(checked_pairs, of="value")),
    ("7.7", "own-sign", partial(checked_pairs, own=True)),
    ("7.7", "odd", mirrored), ("7.7", "nothing", copy.deepcopy),
    ("7.7", "mutated", models.make_antithetic), ("7.7", "type", lambda model: model.state_dict()),
    ("10.1", "spare-words", (1 / 2, 1 / 10, 1)), ("10.1", "any-word", (1 / 12, 1 / 20, 1 / 12)),
    ("10.1", "input-words", (0.1, 0.1, 1 / 12)), ("10.1", "old-words-only", (0.333, 0.091, 0.333)),
    ("10.1", "always", (1, 1, 1)),
    ("10.2", "both-copy", "a"), ("10.2", "both-look-away", "b"), ("10.2", "speed", "d"),
    ("10.3", "of-the-end", lambda x, y: half_rise(x, y, y[-1] / 2)),
    ("10.3", "one-half", lambda x, y: np.interp(0.5, y, x)),
    ("10.3", "not-between", lambda x, y: x[(y >= (y[0] + y[-1]) / 2).argmax()]),
    ("10.3", "last-crossing", lambda x, y: half_rise(x, y, last=True)),
    ("10.3", "of-the-largest", lambda x, y: half_rise(x, y, (y[0] + y.max()) / 2)),
    ("10.3", "from-the-smallest", lambda x, y: half_rise(x, y, (y.min() + y[-1]) / 2)),
    ("10.5", "transposed", lambda c, w, s: residual(c, w.mT, s)),
    ("10.5", "wrong-order", lambda c, w, s: residual(c, w, s, lambda c, w: w @ c)),
    ("10.5", "entry-by-entry", lambda c, w, s: residual(c, w, s, lambda c, w: c * w)),
    ("10.5", "one-hop", lambda c, w, s: c), ("10.5", "no-residual", lambda c, w, s: c @ w),
    ("10.5", "swapped", lambda c, w, s: residual(c, w, 1 - s)),
    ("10.5", "added", lambda c, w, s: s * c + c @ w),
    ("10.6", "aligned", lambda x, n: math.log((n - 1) / math.expm1(x))),
    ("10.6", "sign", lambda x, n: -lead_needed(x, n)),
    ("10.6", "attended-in-full", lambda x, n: lead_needed(x, n) / (n - 1)),
    ("10.6", "shared-among-all", lambda x, n: lead_needed(x, n) * n / (n - 1)),
    ("10.7", "gradient-descent", lambda g, rate: -rate * g.sum(0)),
    ("10.7", "no-correction", lambda g, rate: adam(g, rate, fix=0)),
    ("10.7", "no-root", lambda g, rate: adam(g, rate, power=1)),
    ("10.7", "second-99", lambda g, rate: adam(g, rate, second=0.99)),
    ("10.7", "uphill", lambda g, rate: -adam(g, rate)),
    ("10.7", "signs-only", lambda g, rate: -rate * g.sign().sum(0)),
    ("10.7", "last-step", lambda g, rate:
        adam(g, rate) - (adam(g[:-1], rate) if len(g) > 1 else 0)),
    ("11.1", "one-interval", "a"), ("11.1", "added-up", "b"),
    ("11.1", "average-needs-independence", "c"),
    ("11.2", "confidence", lambda c, r: c),
    ("11.2", "ours-is-true", lambda c, r: 2 * norm.cdf(z_of(c) * math.sqrt(r)) - 1),
    ("11.2", "added-errors", lambda c, r: 2 * norm.cdf(z_of(c) / (1 + 1 / math.sqrt(r))) - 1),
    ("11.2", "more-runs-wider", lambda c, r: within(c, 1 / r)),
    ("11.2", "one-tail", lambda c, r: (1 + within(c, r)) / 2),
    ("11.3", "wald", wald), ("11.3", "plus-four-clipped", plus_four),
    ("11.3", "wald-at-zero", lambda k, n, c: wilson(k, n, c) if k else (0.0, 0.0)),
    ("11.3", "one-sided", partial(wilson, of=norm.ppf)),
    ("11.3", "reversed", lambda *g: wilson(*g)[::-1]),
    ("11.3", "constant", lambda k, n, c: (-0.5, 1.5)), ("11.3", "shape", lambda *g: wilson(*g)[0]),
    ("11.4", "one-sided", partial(runs, ends=1)),
    ("11.4", "one-sided", lambda p, q, w, a: pooled(p, q, w, 2 * a)),
    ("11.4", "no-power", lambda p, q, w, a: runs(p, q, 0.5, a)),
    ("11.4", "one-variance", lambda p, q, w, a:
        runs(p, q, w, a) * p * (1 - p) / (p * (1 - p) + q * (1 - q))),
    ("11.4", "both-kinds", lambda *g: 2 * math.ceil(runs(*g))),
    ("11.4", "not-squared", lambda p, q, w, a: runs(p, q, w, a) * abs(p - q)),
]

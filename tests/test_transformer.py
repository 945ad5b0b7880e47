"""The Transformer: weights used by hand, one-hot attention, loops over words, plain descent."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from lessons_lib import probes
from lessons_lib.lab import copying, transformer
from lessons_lib.lab.transformer import Transformer, TransformerConfig
from lessons_lib.tasks import EOS, PAD, Batch

TINY = TransformerConfig(
    vocab=7, length=5, width=12, batch_size=9, learning_rate=1e-2, steps=4, evaluate_every=2,
    stop_at=2.0, measured=3,
)  # fmt: skip
NEW = ("probe_accuracy", "follows_probe")


def lively(seed: int = 0, **values: Any) -> Transformer:
    """A Transformer whose attention is far from uniform and matters, without training.

    No weight keeps the special value, 0 or 1, with which PyTorch starts biases and norms.
    """
    model = replace(TINY, **values).build(seed).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2.0).add_(0.3 * torch.randn(weights.shape, generator=rng))
    return model.requires_grad_(False)


def unequal() -> Batch:
    """Two sentences, of 4 and 3 words to read and of 3 and 6 to write."""
    source = torch.tensor([[5, 8, 4, 9], [10, 6, EOS, PAD]])
    target = torch.tensor([[7, 9, EOS, PAD, PAD, PAD], [6, 10, 4, 5, 8, EOS]])
    return Batch(source, target)


def normed(x: Tensor, norm: Any) -> Tensor:
    return layer_norm(x, x.shape[-1:], norm.weight, norm.bias)


def test_padding_changes_nothing() -> None:
    model, batch = lively(heads=2, encoder_layers=1), unequal()
    alone = model(Batch(batch.source[1:, :3], batch.target[1:]))
    torch.testing.assert_close(alone.logits, model(batch).logits[1:])


def attention_by_hand(query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Of three heads of width 4: weights, ``(batch, heads, src)``, and contexts side by side."""
    q, k, v = (x.unflatten(-1, (3, 4)) for x in (query, keys, values))
    a = (torch.einsum("bhd,blhd->bhl", q, k) / 2).exp()
    alpha = a / a.sum(-1, keepdim=True)
    return alpha, torch.einsum("bhl,blhd->bhd", alpha, v).flatten(1)


def test_a_pass_by_hand() -> None:
    """Three heads, no encoder layer: each step from the weights."""
    model = lively(seed=3, heads=3)
    batch = TINY.task.sample(2, 4)
    out = model(batch)
    w, b = model.self_attention.in_proj_weight.chunk(3), model.self_attention.in_proj_bias.chunk(3)
    h = model.source_embedding.weight[batch.source] + model.source_position.weight[:6]
    h = normed(h, model.encoder_norm)
    x = model.target_embedding.weight[batch.decoder_input] + model.target_position.weight[:6]
    seen = normed(x, model.self_norm)
    asked, keys, values = (linear(seen, *pair) for pair in zip(w, b, strict=True))
    for t in range(6):
        _, found = attention_by_hand(asked[:, t], keys[:, : t + 1], values[:, : t + 1])
        s = x[:, t] + model.self_attention.out_proj(found)
        torch.testing.assert_close(out.decoder_states[:, t], s, rtol=1e-4, atol=1e-4)
        query = model.query(normed(s, model.query_norm))
        alpha, context = attention_by_hand(query, model.key(h), model.value(h))
        torch.testing.assert_close(out.attention[:, :, t], alpha, rtol=1e-3, atol=1e-4)
        u = s + model.join(context)
        norm, first, _, second = model.feedforward
        u = u + second(first(normed(u, norm)).clamp(min=0))
        norm, last = model.output
        written = out.logits[:, t, [1, 2, *range(4, 11)]]
        torch.testing.assert_close(written, last(normed(u, norm)), rtol=1e-3, atol=1e-3)
        assert out.logits[:, t, [0, 3]].tolist() == [[-1e9, -1e9]] * 2


def test_the_lexical_probe_is_one_hot_attention() -> None:
    """Cell by cell: all heads look at one position at one step, and as they do at the others."""
    model, batch = lively(heads=3, encoder_layers=1), unequal()
    beta = probes.lexical_probe(model, batch, scale="log_probability")
    own = model(batch).attention
    for b, t, pos in probes.pair_mask(batch).nonzero().tolist():
        moved = own.clone()
        moved[b, :, t] = 0
        moved[b, :, t, pos] = 1
        said = model(batch, attention=moved).logits[b, t].log_softmax(-1)
        expected = said[batch.target[b, t]]
        torch.testing.assert_close(beta[b, t, pos], expected, rtol=1e-3, atol=1e-3)


def test_measurements_by_loop() -> None:
    model = lively(heads=3, encoder_layers=1)
    batch = TINY.task.sample(4, 6)
    alpha = model(batch).attention.mean(1)
    beta = probes.lexical_probe(model, batch, scale="log_probability")
    cells = [(b, t) for b in range(4) for t in range(5)]  # without the end symbol, which is at 5
    probed = sum(int(beta[b, t].argmax()) == t for b, t in cells) / 20
    follows = sum(int(alpha[b, t].argmax()) == int(beta[b, t].argmax()) for b, t in cells) / 20
    expected = {"probe_accuracy": probed, "follows_probe": follows}
    assert TINY.measure(model, batch) == {**copying.measure_copier(model, batch), **expected}


def test_the_recurrent_model_with_adam_is_the_ordinary_run() -> None:
    plain = copying.CopyingConfig(
        vocab=7, length=5, width=12, steps=4, evaluate_every=2, measured=3
    )
    adam = copying.extended(plain, transformer.OptimizedConfig)
    ours, theirs = copying.run_copying(adam, 4), copying.run_copying(plain, 4)
    assert tuple(r for r in ours.rows if r["metric"] not in NEW) == theirs.rows
    descent = copying.run_copying(replace(adam, optimizer="sgd"), 4)
    assert descent.rows[0] == ours.rows[0], "the same start"
    assert descent.last("held_out_loss") != ours.last("held_out_loss")

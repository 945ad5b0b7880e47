"""The Transformer: against loops, weights used by hand, and PyTorch's own attention."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, multi_head_attention_forward

from lessons_lib import models, probes
from lessons_lib.lab import copying
from lessons_lib.lab.transformer import (
    OptimizedConfig,
    Transformer,
    TransformerConfig,
    build_transformer,
    measure,
    run_optimized,
)
from lessons_lib.tasks import EOS, PAD, Batch

TINY = TransformerConfig(
    vocab=7, length=5, width=12, batch_size=9, learning_rate=1e-2, steps=4, evaluate_every=2,
    stop_at=2.0, measured=3,
)  # fmt: skip
NEW = ("probe_accuracy", "follows_probe")


def changed(**values: Any) -> TransformerConfig:
    return TransformerConfig.from_dict({**TINY.to_dict(), **values})


def lively(seed: int = 0, **values: Any) -> Transformer:
    """A Transformer whose attention is far from uniform and matters, without training.

    No weight keeps the special value, 0 or 1, with which PyTorch starts biases and norms.
    """
    model = build_transformer(changed(**values), seed).eval()
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


def test_padding_and_later_output_words_change_nothing() -> None:
    model, batch = lively(heads=2, encoder_layers=1), unequal()
    alone = model(Batch(batch.source[1:, :3], batch.target[1:]))
    torch.testing.assert_close(alone.logits, model(batch).logits[1:])
    short = model(Batch(batch.source[:1], batch.target[:1, :3]))
    torch.testing.assert_close(short.logits, model(batch).logits[:1, :3])
    batch = changed().task.sample(3, 1)
    before = model(batch)
    for t in range(5):
        target = batch.target.clone()
        target[:, t] = 4 + (target[:, t] - 3) % 7  # another word
        after = model(Batch(batch.source, target))
        # The word written at t is read at t + 1.
        assert torch.equal(after.logits[:, : t + 1], before.logits[:, : t + 1])
        assert torch.equal(after.attention[:, :, : t + 1], before.attention[:, :, : t + 1])
        assert bool((after.logits[:, t + 1] != before.logits[:, t + 1]).any(-1).all())


def test_a_pass_by_hand() -> None:
    """One head, no encoder layer: each step from the weights, with loops over positions."""
    model = lively(seed=3)
    batch = changed().task.sample(2, 4)
    out = model(batch)
    d = 12
    w_q, w_k, w_v = model.self_attention.in_proj_weight.chunk(3)
    b_q, b_k, b_v = model.self_attention.in_proj_bias.chunk(3)
    for b in range(2):
        h = [
            normed(
                model.source_embedding.weight[batch.source[b, pos]]
                + model.source_position.weight[pos],
                model.encoder_norm,
            )
            for pos in range(6)
        ]
        x = [
            model.target_embedding.weight[batch.decoder_input[b, t]]
            + model.target_position.weight[t]
            for t in range(6)
        ]
        seen = [normed(one, model.self_norm) for one in x]
        for t in range(6):
            asked = linear(seen[t], w_q, b_q)
            logits = [float(asked @ linear(one, w_k, b_k)) / math.sqrt(d) for one in seen[: t + 1]]
            total = sum(math.exp(a) for a in logits)
            found = torch.zeros(d)
            for a, one in zip(logits, seen, strict=False):
                found = found + math.exp(a) / total * linear(one, w_v, b_v)
            s = x[t] + model.self_attention.out_proj(found)
            torch.testing.assert_close(out.decoder_states[b, t], s, rtol=1e-4, atol=1e-4)
            query = model.query(normed(s, model.query_norm))
            logits = [float(query @ model.key(one)) / math.sqrt(d) for one in h]
            total = sum(math.exp(a) for a in logits)
            alpha = [math.exp(a) / total for a in logits]
            expected = torch.tensor(alpha)
            torch.testing.assert_close(out.attention[b, 0, t], expected, rtol=1e-3, atol=1e-4)
            context = torch.zeros(d)
            for weight, one in zip(alpha, h, strict=True):
                context = context + weight * model.value(one)
            u = s + model.join(context)
            norm, first, _, second = model.feedforward
            u = u + second(first(normed(u, norm)).clamp(min=0))
            norm, last = model.output
            logits = out.logits[b, t]
            written = [1, 2, *range(4, 11)]
            torch.testing.assert_close(logits[written], last(normed(u, norm)), rtol=1e-3, atol=1e-3)
            assert logits[[0, 3]].tolist() == [-1e9, -1e9]


def test_cross_attention_is_that_of_pytorch() -> None:
    model, batch = lively(heads=3, encoder_layers=1), unequal()
    out = model(batch)
    query = normed(out.decoder_states, model.query_norm).transpose(0, 1)
    states = out.encoder_states.transpose(0, 1)
    layers = (model.query, model.key, model.value)
    joined, alpha = multi_head_attention_forward(
        query, states, states, 12, 3,
        torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers]),
        None, None, False, 0.0, model.join.weight, model.join.bias,
        key_padding_mask=~batch.source_mask, average_attn_weights=False,
    )  # fmt: skip
    torch.testing.assert_close(out.attention, alpha)
    merged = model.merge(out.attention @ model.values(out.encoder_states))
    torch.testing.assert_close(model.join(merged), joined.transpose(0, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("heads", [1, 3])
def test_the_lexical_probe_is_one_hot_attention(heads: int) -> None:
    """Cell by cell: all heads look at one position at one step, and as they do at the others."""
    model, batch = lively(heads=heads, encoder_layers=1), unequal()
    beta = probes.lexical_probe(model, batch, scale="log_probability")
    own = model(batch).attention
    for b in range(2):
        for t in range(int(batch.target_mask[b].sum())):
            for pos in range(int(batch.source_mask[b].sum())):
                moved = own.clone()
                moved[b, :, t] = 0
                moved[b, :, t, pos] = 1
                said = model(batch, attention=moved).logits[b, t].softmax(-1)
                expected = said[batch.target[b, t]].log()
                torch.testing.assert_close(beta[b, t, pos], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("heads", [1, 3])
def test_measurements_by_loop(heads: int) -> None:
    model = lively(heads=heads, encoder_layers=1)
    batch = changed().task.sample(4, 6)
    alpha = model(batch).attention.mean(1)
    beta = probes.lexical_probe(model, batch, scale="log_probability")
    cells = [(b, t) for b in range(4) for t in range(5)]  # without the end symbol, which is at 5
    probed = sum(int(beta[b, t].argmax()) == t for b, t in cells) / 20
    follows = sum(int(alpha[b, t].argmax()) == int(beta[b, t].argmax()) for b, t in cells) / 20
    expected = {"probe_accuracy": probed, "follows_probe": follows}
    assert measure(model, batch) == {**copying.measure_copier(model, batch), **expected}


def test_a_run_is_gradient_descent_on_the_task() -> None:
    """Plain SGD, step by step in the open."""
    config = changed(optimizer="sgd", learning_rate=0.3, steps=3)
    found = run_optimized(config, 8)
    model = build_transformer(config, 8)
    for _, batch in zip(range(3), config.task.stream(9, 8), strict=False):
        loss = models.sequence_loss(model, batch)
        grads = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weights, grad in zip(model.parameters(), grads, strict=True):
                weights.sub_(0.3 * grad)
    held_out = config.task.sample(3, copying.HELD_OUT_SEED)
    for name, value in measure(model.eval(), held_out).items():
        assert found.last(name) == pytest.approx(value, abs=1e-5), name


def test_the_recurrent_model_with_adam_is_the_ordinary_run() -> None:
    values = {key: value for key, value in TINY.to_dict().items() if key != "encoder_layers"}
    ours = run_optimized(OptimizedConfig.from_dict(values), 4)
    del values["optimizer"]
    theirs = copying.run_copying(copying.CopyingConfig.from_dict(values), 4)
    assert tuple(r for r in ours.rows if r["metric"] not in NEW) == theirs.rows
    descent = run_optimized(OptimizedConfig.from_dict({**values, "optimizer": "sgd"}), 4)
    assert descent.rows[0] == ours.rows[0], "the same start"
    assert descent.last("held_out_loss") != ours.last("held_out_loss")

"""Interventions on the copier: what is given first, what is frozen, where attention is held.

KTIW (knowledge to translate individual words) is read off by the lexical probe
``beta_{t,l} = readout([s_t; V h_l])``, in which the query has no part. So holding attention leaves
KTIW free to be learned, and freezing all weights but the query freezes KTIW. A run has two stages:
the preparation, in which something is taught, and ordinary training with a fresh optimiser. Arms
share their start and the inputs of the second stage, seed by seed.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from lessons_lib import models, probes, training
from lessons_lib.config import refuse
from lessons_lib.lab import copying
from lessons_lib.lab.copying import PROBED, SMALL, CopyingConfig, extended
from lessons_lib.tasks import FIRST_WORD, PAD, Batch

PREPARATION_SEED = 2**29
"""Added to the seed of the inputs of the preparation: no ordinary run gets those."""

Preparation = Literal["nothing", "uniform-easy", "uniform-hard", "gold", "dictionary", "alignment"]
Group = Literal["ktiw", "attention", "shared"]


@dataclass(frozen=True)
class InterventionConfig(CopyingConfig):
    """A copying run with an intervention.

    What is taught first (``prepare``): ``"uniform-easy"``: to copy with attention held uniform,
    inputs drawn from all ``vocab + spare`` words; ``"uniform-hard"``: the same on the task itself;
    ``"gold"``: the task with attention held at the right position; ``"dictionary"``: see
    ``dictionary_loss``; ``"alignment"``: the query alone learns to look at the right position.
    """

    #: words of the model beside the ``vocab`` of the task: in some preparations, and silent then
    spare: int = 0
    prepare: Preparation = "nothing"
    prepare_steps: int = 0  #: updates of the preparation; they come on top of ``steps``
    #: ``"uniform-easy"`` or ``"dictionary"`` teaches ``wrong_dictionary`` instead.
    wrong_words: bool = False
    #: what keeps its values after the preparation. ``"ktiw"``: source embedding, values, readout:
    #: word in, word out (the encoder can still fit its states to them); ``"attention"``: the query;
    #: ``"shared"``: the recurrent networks and a target embedding of its own
    frozen: tuple[Group, ...] = ()
    #: where attention is held then; ``"snapshot"``: where the model at ``hold_from`` attends
    hold: Literal["nothing", "uniform", "gold", "snapshot"] = "nothing"
    hold_from: int = 0  #: updates after which the snapshot is taken; attention is free until then
    query_rate: float = 1.0  #: factor on the learning rate of the group ``attention``

    def __post_init__(self) -> None:
        super().__post_init__()
        steps, prepare, groups = self.prepare_steps, self.prepare, get_args(Group)
        frozen = f"frozen from {', '.join(groups)}, found {self.frozen}"
        taught = "prepare_steps above 0 with a preparation, else 0, found "
        taught += f"{steps} with prepare {prepare!r}"
        unknown = not set(self.frozen) <= set(groups)
        refuse({frozen: unknown, taught: (prepare != "nothing") != (steps > 0)})

    @property
    def model(self) -> models.Seq2SeqConfig:
        """The encoder-decoder, which has the spare words as well."""
        size = super().model.target_vocab + self.spare
        return replace(super().model, source_vocab=size, target_vocab=size)

    def inputs(self, seed: int, model: models.Seq2Seq) -> Iterator[Batch]:
        """Those of the seed; at ``hold_from`` attention is held as it is, if it is to be."""
        for step, batch in enumerate(super().inputs(seed, model)):
            if self.hold == "snapshot" and step == self.hold_from:
                hold(model, _snapshot(model))
            yield batch

    def rate_factors(self, model: models.Seq2Seq) -> training.RateFactors:
        """``query_rate`` for the query."""
        return [(list(model.query.parameters()), self.query_rate)]

    def measure(self, model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        """The metrics of ``copying.measure_copier``, and how KTIW stands.

        ``probe_accuracy``: how often the lexical probe is largest at the right position;
        ``misled_mass``: mean attention at the word that a wrong dictionary, if one was taught,
        turns into the right one.
        """
        gold = copying.word_positions(batch)
        beta = probes.lexical_probe(model, batch[:PROBED], scale="probability")
        found = super().measure(model, batch)
        found["probe_accuracy"] = probes.attention_accuracy(beta, gold[:PROBED])
        if self.wrong_words:
            with probes.evaluating(model):
                alpha = model(batch).attention.mean(1)  # b t l
            said = wrong_dictionary(self).to(batch.source.device)[batch.source]
            misled = said[:, None, :] == batch.target[:, :, None]
            words = (gold >= 0) & misled.any(-1)
            found["misled_mass"] = float((alpha * misled).sum(-1)[words].mean())
        return found


def hold(model: models.Seq2Seq, attention: Callable[[Batch], Tensor]) -> None:
    """Give all who call a model this attention in place of its own, unless they pass another."""

    def held(_: nn.Module, args: tuple[Batch], asked: dict[str, Tensor | None]) -> Any:
        passed = asked.get("attention")
        return args, {"attention": attention(*args) if passed is None else passed}

    model.register_forward_pre_hook(held, with_kwargs=True)


def uniform_attention(batch: Batch) -> Tensor:
    """``1/L`` at each of L positions, ``(batch, 1, 1, src)``."""
    return (batch.source_mask / batch.source_mask.sum(1, keepdim=True))[:, None, None]


def gold_attention(batch: Batch) -> Tensor:
    """All on the right position, ``(batch, 1, tgt, src)``; every output word needs one."""
    if batch.gold is None or bool((batch.gold < 0).any()):
        raise ValueError("expected a right position for each output word, found none for some")
    return one_hot(batch.gold, batch.source.shape[1])[:, None]


def wrong_dictionary(config: InterventionConfig) -> Tensor:
    """A wrong output word for each identifier: one cycle of the task's words, one of the spare."""
    parts = torch.arange(config.model.source_vocab).split([FIRST_WORD, config.vocab, config.spare])
    return torch.cat([parts[0], parts[1].roll(-1), parts[2].roll(-1)])


def preparation_batches(config: InterventionConfig, seed: int) -> Iterator[Batch]:
    """Inputs and targets of the preparation, without end."""
    vocab = config.vocab + (config.spare if config.prepare == "uniform-easy" else 0)
    task = replace(config.task, vocab=vocab, repetition=config.prepare == "dictionary")
    for batch in task.stream(config.batch_size, PREPARATION_SEED + seed):
        target = wrong_dictionary(config)[batch.target] if config.wrong_words else batch.target
        yield Batch(batch.source, target, batch.gold)


def dictionary_loss(model: models.Seq2Seq, batch: Batch) -> Tensor:
    """Cross-entropy of the word at each position from its value alone, in nats; not of the query.

    Decoder states are those of another input, whose words repeat at random: nothing else helps.
    """
    out = model(batch, attention=uniform_attention(batch))
    alone = model.merge(model.values(out.encoder_states))  # b l d: the context at each position
    logits = model.readout(out.decoder_states.roll(1, dims=0), alone)
    return cross_entropy(logits.flatten(0, 1), batch.target.flatten())


def held_loss(model: models.Seq2Seq, batch: Batch, attention: Tensor) -> Tensor:
    """``models.sequence_loss`` with this attention in place of the model's own."""
    logits = model(batch, attention=attention).logits
    return cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=PAD)


def alignment_loss(model: models.Seq2Seq, batch: Batch) -> Tensor:
    """Cross-entropy of attention at the right position in nats, mean over heads too, a scalar."""
    log_alpha: Tensor = model(batch).scores.log_softmax(-1)
    return -(log_alpha * gold_attention(batch)).sum(-1).mean()


def _freeze(model: models.Seq2Seq, frozen: tuple[Group, ...]) -> None:
    """Freeze the parameters of these groups, and no others."""
    groups = dict.fromkeys(("source_embedding", "value", "readout_layers"), "ktiw")
    groups["query"] = "attention"
    for name, parameter in model.named_parameters():  # a shared table once, as source_embedding
        group = groups.get(name.split(".")[0], "shared")
        parameter.requires_grad_(group not in frozen)


def run_intervention(config: InterventionConfig, seed: int) -> training.History:
    """Prepare one copier, then train it.

    While attention is held, that attention is measured. Steps count all updates, those of the
    preparation first; it is measured with attention left free, and its loss is left out.
    """
    model, before = _prepare(config, seed, config.measure)
    # Spare words are silent from here on: they have no row of the output layer.
    model.column[config.model.target_vocab - config.spare :] = config.model.written
    _freeze(model, config.frozen)
    if config.hold in ("uniform", "gold"):
        hold(model, uniform_attention if config.hold == "uniform" else gold_attention)

    history = copying.train_copier(model, config, seed)
    rows = (*before.rows, *({**r, "step": r["step"] + before.steps} for r in history.rows))
    seconds = before.wall_seconds + history.wall_seconds
    return replace(history, rows=rows, steps=before.steps + history.steps, wall_seconds=seconds)


def prepared_copier(config: InterventionConfig, seed: int) -> models.Seq2Seq:
    """The copier of ``run_intervention`` after its preparation: not held, and nothing frozen."""
    return _prepare(config, seed, None)[0]


def _prepare(
    config: InterventionConfig, seed: int, measure: copying.Measure | None
) -> tuple[models.Seq2Seq, training.History]:
    """The first stage, whose end is left to be measured as the beginning of the second."""
    model = config.build(seed)
    if config.prepare == "nothing":
        return model, training.History((), 0, False, 0.0, training.pick_device().type)
    losses = {"dictionary": dictionary_loss, "alignment": alignment_loss}
    held = gold_attention if config.prepare == "gold" else uniform_attention
    _freeze(model, ("ktiw", "shared") if config.prepare == "alignment" else ())
    history = training.train(
        model,
        preparation_batches(config, seed),
        losses.get(config.prepare, lambda model, batch: held_loss(model, batch, held(batch))),
        replace(config.schedule, steps=config.prepare_steps, stop_metric=None),
        evaluate=measure and (lambda copier: measure(copier, config.held_out)),
        seed=seed,
    )
    _freeze(model, ())
    kept = [r for r in history.rows if r["step"] < config.prepare_steps and r["metric"] != "loss"]
    return model, replace(history, rows=tuple(kept))


def _snapshot(model: models.Seq2Seq) -> Callable[[Batch], Tensor]:
    """Where the model as it is now attends, whatever becomes of it."""
    then = copy.deepcopy(model).eval()
    return torch.no_grad()(lambda batch: then(batch).attention)


INTERVENED = extended(SMALL, InterventionConfig)
"""The small hard distribution, not intervened in yet."""
SPARE = replace(INTERVENED, spare=8)
"""The same for a model that has eight more words, with which it can be taught words first."""


def ktiw_first() -> dict[str, InterventionConfig]:
    """Words given first, right or wrong or neither, and words frozen, right, wrong or at random."""
    bags = replace(SPARE, prepare="uniform-easy", prepare_steps=100)
    book = replace(SPARE, prepare="dictionary", prepare_steps=100)
    wrong = replace(book, wrong_words=True)
    return {
        "as-it-is": SPARE,
        "pretrained-uniform": bags,
        "pretrained-control": replace(bags, wrong_words=True),
        # Learns which words are spare ones, and no word.
        "pretrained-hard": replace(SPARE, prepare="uniform-hard", prepare_steps=100),
        "from-dictionary": book,
        "scrambled": wrong,
        "frozen-values": replace(SPARE, frozen=("ktiw",)),
        "frozen-all-but-query": replace(SPARE, frozen=("ktiw", "shared")),
        "frozen-dictionary": replace(book, frozen=("ktiw", "shared")),
        "frozen-scrambled": replace(wrong, frozen=("ktiw", "shared")),
    }


def attention_held() -> dict[str, InterventionConfig]:
    """Attention given first, and attention held for a while or throughout."""
    return {
        "as-it-is": INTERVENED,
        "attention-given": replace(INTERVENED, prepare="gold", prepare_steps=100),
        "attention-pretrained": replace(INTERVENED, prepare="alignment", prepare_steps=1000),
        "clamp-uniform-first": replace(INTERVENED, prepare="uniform-hard", prepare_steps=100),
        "clamp-uniform": replace(INTERVENED, hold="uniform"),
        "clamp-gold": replace(INTERVENED, hold="gold"),
        "clamp-snapshot-20": replace(INTERVENED, hold="snapshot", hold_from=20),
        "clamp-snapshot-60": replace(INTERVENED, hold="snapshot", hold_from=60),
    }


def query_rates() -> dict[str, InterventionConfig]:
    """The query's learning rate against that of all else."""
    rates = {"over-16": 1 / 16, "over-4": 1 / 4, "times-4": 4.0, "times-16": 16.0}
    found = {f"query-rate-{arm}": replace(INTERVENED, query_rate=r) for arm, r in rates.items()}
    return {"as-it-is": INTERVENED} | found


def asymmetry() -> dict[str, InterventionConfig]:
    """On the easy distribution, one of the two kept from being learned, and the other taught."""
    easy = replace(INTERVENED, vocab=24)
    frozen = replace(easy, frozen=("ktiw", "shared"))
    return {
        "as-it-is": easy,
        "clamp-uniform": replace(easy, hold="uniform"),
        "frozen-all-but-query": frozen,
        "frozen-values": replace(easy, frozen=("ktiw",)),
        "frozen-dictionary": replace(frozen, prepare="dictionary", prepare_steps=100),
        "frozen-aligned": replace(frozen, prepare="alignment", prepare_steps=1000),
    }

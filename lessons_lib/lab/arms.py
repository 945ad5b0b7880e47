"""What is compared with what: the settings of every experiment in the book.

Each function gives the arms of one experiment, name -> configuration. Settings were chosen on seeds
from 1000 on.
"""

from __future__ import annotations

from dataclasses import replace

from lessons_lib.lab import (
    classification,
    copying,
    heads,
    interventions,
    ladder,
    transformer,
    translation,
    translator,
    words_first,
)

PAPER = copying.CopyingConfig()
"""The authors' hard distribution: permutations of 40 words, LSTM of width 256, batch 128.

Theirs end after 200 updates and are measured on 50 fresh inputs; these go on to 400, stop when they
copy, and are measured on 64 fixed inputs. None of this changes a step of training."""
SMALL = copying.CopyingConfig(
    vocab=16, length=16, width=64, batch_size=32, learning_rate=4e-3, steps=500
)
"""The same, small enough to be trained while one reads. Chosen on seeds from 1000 on."""


ONE_HEAD = heads.HeadsConfig.from_dict(
    {**SMALL.to_dict(), "cell": "gru", "shared_embeddings": False, "steps": 600}
)
"""One head on a fixed body. As in the paper's multi-head experiment: GRU, separate embeddings."""


PAPER_HEAD = heads.HeadsConfig.from_dict(
    {**PAPER.to_dict(), "cell": "gru", "shared_embeddings": False, "steps": 200, "bfloat16": True}
)
"""The same at the paper's size, for as many updates as there."""
GOOD_HEADS = (
    *(3, 8, 10, 11, 12, 15, 16, 18, 20, 22, 24, 27, 28, 30, 32, 33, 34, 37, 41, 42, 46, 47),
    *(48, 51, 54, 60, 61),
)
"""Heads that aligned with three of three orders of the data, by the record of head_starts."""
BAD_HEADS = (1, 2, 5, 6, 7, 9, 25, 26, 35, 39, 40, 43, 49, 56, 63)
"""Heads that aligned with none of three, by the same record."""

INTERVENED = interventions.InterventionConfig.from_dict(SMALL.to_dict())
"""The small hard distribution, not intervened in yet."""
SPARE = replace(INTERVENED, spare=8)
"""The same for a model that has eight more words, with which it can be taught words first."""


_NEWS = {"world": "World", "sports": "Sports", "business": "Business", "scitech": "Sci/Tech"}
SIDES = {
    "sms_spam": ("sms_spam", "spam"),
    "sst2": ("sst2", "positive"),
    "subj": ("subj", "subjective"),
    **{f"ag_{short}": ("ag_news", name) for short, name in _NEWS.items()},
}
"""Each corpus of short texts, and each class of the news against the three others."""


def classifications() -> dict[str, classification.Classification]:
    """At the authors' size, the cheapest corpora first."""
    imdb = classification.Classification(
        corpus="imdb",
        positive="pos",
        max_words=400,
        chosen_on=500,
        reported_on=1000,
        proxy_learning_rate=5e-5,
    )
    return {
        arm: classification.Classification(corpus=corpus, positive=positive)
        for arm, (corpus, positive) in SIDES.items()
    } | {"imdb": imdb}


def short_classifications(*, bidirectional: bool) -> dict[str, classification.Classification]:
    """Short runs of a classifier that reads in one direction, or in both."""
    return {
        arm: classification.short(corpus=corpus, positive=positive, bidirectional=bidirectional)
        for arm, (corpus, positive) in SIDES.items()
    }


def translations() -> dict[str, translation.Translation]:
    """Captions in both directions and from Czech, and the embedded corpus with its gold."""
    return {
        "de-en": translation.Translation(),
        "en-de": translation.Translation(source="en", target="de"),
        "cs-en": translation.Translation(source="cs"),
        "toy-de-en": translation.Translation(corpus="toy"),
    }


def translators() -> dict[str, translator.Translator]:
    """The authors' translator on captions and on a pair in which position says little."""
    captions = replace(
        translator.Translator(), order="source", steps=18000, patience=4000, measured_on=300
    )
    return {
        "de-en": captions,
        "ja-en": replace(captions, corpus="small_parallel_enja", source="ja", steps=36000),
    }


def words_given() -> dict[str, words_first.WordsFirst]:
    """Captions; what differs is the table that a translator is prepared with."""
    base = words_first.WordsFirst(
        scaled_scores=False,
        learning_rate=1e-3,
        steps=2000,
        checkpoints=(50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 1000, 1250, 1500),
        reported_on=300,
    )
    names: tuple[words_first.Table, ...] = ("model1", "dictionary", "shuffled", "frequencies")
    return {name: replace(base, table=name) for name in names}


def odds() -> dict[str, copying.CopyingConfig]:
    """The small hard distribution with one ingredient changed at a time."""
    slow = replace(SMALL, steps=2000)
    return {
        "as-it-is": SMALL,
        "no-end-symbol": replace(SMALL, end_symbol=False),
        "separate-embeddings": replace(SMALL, shared_embeddings=False),
        "width-32": replace(slow, width=32),
        "width-128": replace(SMALL, width=128),
        "length-8": replace(SMALL, vocab=8, length=8),
        "length-32": replace(slow, vocab=32, length=32),
        "rate-1e-3": replace(slow, learning_rate=1e-3),
        "rate-2e-3": replace(slow, learning_rate=2e-3),
        "rate-8e-3": replace(SMALL, learning_rate=8e-3),
        "batch-128": replace(SMALL, batch_size=128),
        "uniform-start": replace(SMALL, query_scale=0.0),
        "scores-times-4": replace(SMALL, query_scale=4.0),
        "values-times-4": replace(SMALL, value_scale=4.0),
        "linear-readout": replace(SMALL, readout="linear"),
        "GRU": replace(SMALL, cell="gru"),
    }


def forks() -> dict[str, copying.ForkedConfig]:
    """The runs of eight seeds, each forked at several steps."""
    return {
        f"start-{start}-fork-{step}": copying.ForkedConfig.from_dict(
            {**SMALL.to_dict(), "start_seed": start, "fork_at": step}
        )
        for start in range(1, 9)
        for step in (0, 10, 20, 40, 60)
    }


def early_forks() -> dict[str, copying.ForkedConfig]:
    """At the paper's size: other inputs from the start, followed until the sign is plain."""
    return {
        f"start-{start}-fork-0": copying.ForkedConfig.from_dict(
            {**PAPER.to_dict(), "steps": 60, "start_seed": start, "fork_at": 0}
        )
        for start in range(1, 9)
    }


def several_heads() -> dict[str, copying.CopyingConfig]:
    """Both cells with 1 to 8 heads."""
    return {
        f"{cell}-{count}": replace(SMALL, cell=cell, heads=count, steps=600)
        for cell in ("lstm", "gru")
        for count in (1, 2, 4, 8)
    }


def assembled() -> dict[str, heads.HeadsConfig]:
    """Models put together from good, bad and random heads; the inputs are those of the run."""
    eight = replace(ONE_HEAD, heads=8)
    everyone = tuple(range(1, 65))
    return {
        "one-bad": replace(ONE_HEAD, pool=BAD_HEADS, drawn=1),
        "one-good": replace(ONE_HEAD, pool=GOOD_HEADS, drawn=1),
        "eight-bad": replace(eight, pool=BAD_HEADS, drawn=8),
        "seven-bad-one-good": replace(
            eight, pool=BAD_HEADS, drawn=7, second_pool=GOOD_HEADS, second_drawn=1
        ),
        "eight-random": replace(eight, pool=everyone, drawn=8),
    }


def head_controls() -> dict[str, heads.HeadsConfig]:
    """Eight heads with one thing changed at a time, and one head with their parameters."""
    eight = replace(ONE_HEAD, heads=8)
    return {
        "one": ONE_HEAD,
        "one-wide": replace(ONE_HEAD, inner=4 * ONE_HEAD.width),
        "tied": replace(eight, tied_until=eight.steps),
        "untied-20": replace(eight, tied_until=20),
        "untied-60": replace(eight, tied_until=60),
        "eight": eight,
        "concatenated": replace(eight, merge="concatenate"),
    }


def phases() -> dict[str, copying.CopyingConfig]:
    """Spare words, length and width, all combined."""
    return {
        f"width-{width}-L-{length}-V-{length + spare}": replace(
            SMALL, vocab=length + spare, length=length, width=width, steps=1000
        )
        for width in (32, 64, 128)
        for length in (8, 16, 32)
        for spare in (0, 1, 2, 4)
    }


def ktiw_first() -> dict[str, interventions.InterventionConfig]:
    """KTIW given first, right or wrong or neither, and KTIW frozen, right, wrong or at random.

    The model has words that do not occur in the task, and to learn this takes steps as well.
    ``pretrained-hard`` learns this first, and no word: co-occurrence is silent there.
    """
    bags = replace(SPARE, prepare="uniform-easy", prepare_steps=100)
    book = replace(SPARE, prepare="dictionary", prepare_steps=100)
    return {
        "as-it-is": SPARE,
        "pretrained-uniform": bags,
        "pretrained-control": replace(bags, wrong_words=True),
        "pretrained-hard": replace(SPARE, prepare="uniform-hard", prepare_steps=100),
        "from-dictionary": book,
        "scrambled": replace(book, wrong_words=True),
        "frozen-values": replace(SPARE, frozen=("ktiw",)),
        "frozen-all-but-query": replace(SPARE, frozen=("ktiw", "shared")),
        "frozen-dictionary": replace(book, frozen=("ktiw", "shared")),
        "frozen-scrambled": replace(book, wrong_words=True, frozen=("ktiw", "shared")),
    }


def attention_held() -> dict[str, interventions.InterventionConfig]:
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


def query_rates() -> dict[str, interventions.InterventionConfig]:
    """The query's learning rate against that of all else."""
    return {
        "as-it-is": INTERVENED,
        "query-rate-over-16": replace(INTERVENED, query_rate=1 / 16),
        "query-rate-over-4": replace(INTERVENED, query_rate=1 / 4),
        "query-rate-times-4": replace(INTERVENED, query_rate=4.0),
        "query-rate-times-16": replace(INTERVENED, query_rate=16.0),
    }


def asymmetry() -> dict[str, interventions.InterventionConfig]:
    """On the easy distribution, one of the two kept from being learned, and the other taught."""
    easy = replace(INTERVENED, vocab=24)
    aligned = replace(easy, prepare="alignment", prepare_steps=1000)
    return {
        "as-it-is": easy,
        "clamp-uniform": replace(easy, hold="uniform"),
        "frozen-all-but-query": replace(easy, frozen=("ktiw", "shared")),
        "frozen-values": replace(easy, frozen=("ktiw",)),
        "frozen-dictionary": replace(
            easy, prepare="dictionary", prepare_steps=100, frozen=("ktiw", "shared")
        ),
        "frozen-aligned": replace(aligned, frozen=("ktiw", "shared")),
    }


RUNG = ladder.LadderConfig.from_dict({**SMALL.to_dict(), "steps": 1000, "evaluate_every": 5})
"""The small hard distribution, nothing taken away yet."""
TRANSFORMER = transformer.TransformerConfig.from_dict(
    {**SMALL.to_dict(), "learning_rate": 2e-3, "steps": 600}
)
"""The small hard distribution for a Transformer: states that know one word and its position."""


def rungs() -> dict[str, ladder.LadderConfig]:
    """From the copier to the reduced model, one part at a time."""
    free = replace(RUNG, attention="free", attention_rate=25.0)
    bare = replace(free, decoder="positions", reads_state=False, readout="linear")
    return {
        "copier": RUNG,
        "words-read": replace(RUNG, reads="words"),
        "free": free,
        "free-words-read": replace(free, reads="words"),
        "free-no-memory": replace(free, decoder="positions"),
        "free-linear-readout": replace(free, readout="linear"),
        "reduced": replace(bare, reads="embeddings"),
        "reduced-with-neighbours": bare,
    }


def local_query_rates() -> dict[str, ladder.LadderConfig]:
    """The query's learning rate where what is read knows one word only."""
    local = replace(RUNG, reads="words", evaluate_every=10)
    return {
        "query-rate-over-16": replace(local, attention_rate=1 / 16),
        "as-it-is": local,
        "query-rate-times-4": replace(local, attention_rate=4.0),
    }


def transformers() -> dict[str, transformer.TransformerConfig]:
    """Easy, hard and one spare word; several heads; states that carry neighbours."""
    near = replace(TRANSFORMER, encoder_layers=1)
    return {
        "easy": replace(TRANSFORMER, vocab=24),
        "hard": TRANSFORMER,
        "one-spare": replace(TRANSFORMER, vocab=17),
        "four-heads": replace(TRANSFORMER, heads=4),
        "easy-neighbours": replace(near, vocab=24),
        "hard-neighbours": near,
        "one-spare-neighbours": replace(near, vocab=17),
    }


def descents() -> dict[str, transformer.OptimizedConfig]:
    """Plain SGD on both models; Adam is in the other records."""
    sgd = {"optimizer": "sgd", "learning_rate": 1.0, "evaluate_every": 25}
    lstm = transformer.OptimizedConfig.from_dict({**SMALL.to_dict(), **sgd, "steps": 1500})
    other = transformer.TransformerConfig.from_dict({**SMALL.to_dict(), **sgd, "steps": 1000})
    return {
        "lstm-easy": replace(lstm, vocab=24),
        "lstm-hard": lstm,
        "transformer-easy": replace(other, vocab=24),
        "transformer-hard": other,
    }

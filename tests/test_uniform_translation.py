"""What a model with uniform attention learns of words, on a handful of sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lessons_lib.corpora import loaders
from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.toy_language import toy_parallel
from lessons_lib.lab.translation import UniformTranslation, uniform_translation
from lessons_lib.training import History

pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")

TINY = UniformTranslation(
    corpus="toy",
    max_words=9,
    vocab_size=60,
    d_embed=7,
    d_hidden=5,
    batch_size=8,
    steps=6,
    evaluate_every=3,
    pairs_measured=19,
    proxy_steps=10,
    dictionary_words=11,
    pairs_per_word=2,
)


@pytest.fixture(autouse=True)
def few_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = toy_parallel(240, seed=3)
    parts = {"train": slice(180), "val": slice(180, 240)}

    def load_parallel(name: str, source: str, target: str, split: str = "train") -> ParallelCorpus:
        assert (name, source, target) == ("toy", "de", "en")
        rows = parts[split]
        return replace(
            corpus, source=corpus.source[rows], target=corpus.target[rows], alignment=None
        )

    monkeypatch.setattr(loaders, "load_parallel", load_parallel)


def values(history: History, metric: str) -> dict[int, float]:
    return {row["step"]: row["value"] for row in history.rows if row["metric"] == metric}


def test_every_metric_is_there_and_a_seed_gives_the_same_again() -> None:
    history = uniform_translation(TINY, 3)
    measured = {"token_accuracy", "gold", "proxy", "model1", "words"}
    once = {
        *("proxy/gold", "proxy/words", "model1/gold", "model1/words"),
        *("diagonal/gold", "diagonal/proxy", "chance"),
    }
    assert {row["metric"] for row in history.rows} == measured | once | {"loss"}
    for name in measured:
        assert list(values(history, name)) == [0, 3, 6], name
    for name in once:
        assert list(values(history, name)) == [0], name
    assert all(0 <= row["value"] <= 1 for row in history.rows if row["metric"] != "loss")
    assert uniform_translation(TINY, 3).rows == history.rows
    assert uniform_translation(TINY, 4).rows != history.rows

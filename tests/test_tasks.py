import torch

from lessons_lib.tasks import (
    BOS,
    EOS,
    FIRST_WORD,
    PAD,
    Batch,
    Copying,
    Keyword,
    LabelledBatch,
    generator,
)


def test_what_copying_draws() -> None:
    source = Copying(vocab=11, length=5, end_symbol=False).sample(13, seed=0).source
    assert all(len(set(row)) == 5 for row in source.tolist()), "no word is repeated"
    assert len({frozenset(row) for row in source.tolist()}) > 1, "bags should differ"
    assert FIRST_WORD <= int(source.min()) <= int(source.max()) < FIRST_WORD + 11

    batch = Copying(vocab=2, length=9, repetition=True).sample(3, seed=1)
    assert set(batch.source[:, :-1].flatten().tolist()) == {FIRST_WORD, FIRST_WORD + 1}
    assert torch.equal(batch.source, batch.target)
    assert (batch.target[:, -1] == EOS).all()
    assert batch.gold is not None
    assert batch.gold.tolist() == [list(range(10))] * 3


def test_every_permutation_is_about_equally_likely() -> None:
    draws = Copying(vocab=3, length=3, end_symbol=False).sample(6000, seed=0).source
    counts = draws.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 6
    # 1000 expected each, standard deviation 29: five of them either way
    assert 855 < counts.min() <= counts.max() < 1145


def test_draws_depend_on_the_seed_alone_and_advance_a_generator() -> None:
    copying, keyword = Copying(vocab=30, length=20), Keyword()
    for draw in (copying.sample, keyword.sample, keyword.sample_labelled):
        first = draw(5, 8).source
        torch.rand(5)
        assert torch.equal(draw(5, 8).source, first)
        assert not torch.equal(draw(5, 9).source, first)
        rng = generator(8)
        assert torch.equal(draw(5, rng).source, first)
        assert not torch.equal(draw(5, rng).source, first)
    stream = copying.stream(2, seed=0)
    assert not torch.equal(next(stream).source, next(stream).source)


def test_masks_decoder_input_and_rows_by_hand() -> None:
    pair = Batch(torch.tensor([[5, 6, PAD]]), torch.tensor([[7, EOS, PAD, PAD]]))
    assert pair.source_mask.tolist() == [[True, True, False]]
    assert pair.target_mask.tolist() == [[True, True, False, False]]
    assert pair.decoder_input.tolist() == [[BOS, 7, EOS, PAD]]
    source = torch.tensor([[4, 5, 6], [7, PAD, PAD], [8, 9, PAD], [5, 5, PAD]])
    texts = LabelledBatch(source, torch.tensor([1, 0, 0, 1]))
    part = texts[1:4].to("cpu")
    assert part.source.tolist() == [[7, PAD, PAD], [8, 9, PAD], [5, 5, PAD]]  # padding is kept
    assert part.label.tolist() == [0, 0, 1]
    gold = Batch(source, source, source)[2:].gold
    assert gold is not None
    assert gold.tolist() == [[8, 9, PAD], [5, 5, PAD]]


def test_one_keyword_in_each_input_is_the_output_and_gold_is_its_place() -> None:
    task = Keyword(keywords=3, fillers=5, length=7)
    batch = task.sample(200, seed=2)
    found = task.is_keyword(batch.source)
    assert batch.source.shape == (200, 7)
    assert batch.target.shape == (200, 1)
    assert (found.sum(1) == 1).all()
    assert batch.gold is not None
    assert torch.equal(found.int().argmax(1, keepdim=True), batch.gold)
    assert torch.equal(batch.source.gather(1, batch.gold), batch.target)
    assert set(batch.source.flatten().tolist()) == set(range(FIRST_WORD, task.vocab_size))
    assert set(batch.gold.flatten().tolist()) == set(range(7))
    special = Keyword(keywords=2, fillers=1).is_keyword(torch.tensor([PAD, EOS, 4, 5, 6]))
    assert special.tolist() == [False, False, True, True, False]


def test_half_of_the_labelled_inputs_have_a_keyword() -> None:
    task = Keyword(keywords=3, fillers=5, length=7)
    batch = task.sample_labelled(13, seed=4)
    counts = task.is_keyword(batch.source).sum(1)
    assert torch.equal(counts, batch.label)
    assert int(counts.sum()) == 7
    assert set(batch.source[:6].flatten().tolist()) <= set(range(FIRST_WORD + 3, FIRST_WORD + 8))

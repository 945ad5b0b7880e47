"""What the playground makes of settings and messages, in headless Chromium."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from site_browser import TALK, Script, in_browser

pytestmark = in_browser
DEFAULTS: dict[str, Any] = {
    **{"vocab": 10, "length": 10, "heads": 1, "optimizer": "sgd", "rate": 10, "scale": 0.1},
    **{"seed": 1, "startA": 0, "startB": 0, "mirror": "off", "batch": 32},
}


@pytest.mark.parametrize(
    ("address", "changed", "said"),
    [
        ("", {}, None),
        (
            "v=7&l=2&h=6&m=turned&o=adam&r=0.0123456789&s=1e-7&seed=0&a=-0.1234567&b=3",
            {"vocab": 7, "length": 2, "heads": 6, "mirror": "turned", "optimizer": "adam"}
            | {"rate": 0.0123456789, "scale": 1e-7, "seed": 0, "startA": -0.1234567, "startB": 3},
            None,
        ),
        ("v=5&l=9", {"vocab": 5, "length": 5}, "5 words fill 5 places at most"),
        ("v=1e999", {"vocab": 20}, "“1e999” is above the largest value, so 20"),
        ("h=2.6", {"heads": 3}, "“2.6” is not a whole number, so 3"),
        ("h=", {}, "“” is not a number, so 1"),
        ("o=Adam", {"optimizer": "adam", "rate": 0.05}, None),
        ("m=pairs&h=3", {"mirror": "pairs", "heads": 4}, "pairs need an even number, so 4"),
        ("m=x", {}, "“x” is not one of off, turned, pairs, so off"),
        ("banana", {}, "no setting “banana”"),
        ("preset=spare&l=5&seed=4", {"vocab": 20, "length": 5, "seed": 4}, None),
        (f"seed={'9' * 400}", {"seed": 999999}, f"“{'9' * 20}…” is above"),
    ],
)
def test_an_address_gives_the_nearest_valid_settings_and_says_what_changed(
    script: Script, address: str, changed: dict[str, Any], said: str | None
) -> None:
    found, own, again = script(
        """
        const { fromAddress, toAddress } = await import("/playground/settings.js");
        const found = fromAddress(given);
        const own = toAddress(found.config);
        return [found, own, fromAddress(`#${own}`)];
        """,
        address,
    )
    assert found["config"] == DEFAULTS | changed
    assert len(found["notes"]) == (said is not None)
    for note in found["notes"]:
        assert said in note
        assert note.endswith(".")
    assert again == {"config": found["config"], "notes": []}, "it survives its address"
    assert (own == "") == (found["config"] == DEFAULTS)


def test_what_the_presets_promise_comes_true(script: Script) -> None:
    """Seeds 1 to 6 of each story, with as many steps as a tally takes."""
    found = script(
        """
        const { DEFAULTS, PRESETS, tallySteps } = await import("/playground/settings.js");
        const { Run } = await import("/playground/run.js");
        const { branch } = await import("/playground/model.js");
        const play = (config) => {
          const ends = [];
          for (let seed = 1; seed <= 6; seed++) {
            const run = new Run({ ...config, seed });
            run.advance(tallySteps(config));
            const end = run.measure();
            ends.push([branch(end.rightAttention, config.length), end.tokenAccuracy]);
          }
          return ends;
        };
        const wide = { ...DEFAULTS, vocab: 11, scale: 1 }; // the text of "one-spare"
        const stories = PRESETS.filter(({ id }) => id !== "heads"); // takes too long here
        return {
          ends: Object.fromEntries(stories.map(({ id, config }) => [id, play(config)])),
          wide: play(wide),
        };
        """
    )
    branches = {name: [end[0] for end in ends] for name, ends in found["ends"].items()}
    for name in ("spare", "words-first", "attention-first", "mirror"):
        assert branches[name] == ["aligned"] * 6, name
    assert branches["against"] == ["elimination"] * 6
    for name in ("permutation", "adam"):
        assert set(branches[name]) == {"aligned", "elimination"}, name
    assert all(accuracy == 1 for _, accuracy in found["ends"]["against"])  # right all the same
    assert branches["one-spare"].count("aligned") >= 5
    assert {end[0] for end in found["wide"]} == {"aligned", "elimination"}


def test_step_advances_exactly_and_the_same_seed_gives_the_same_numbers(script: Script) -> None:
    found = script(
        TALK
        + """
        const config = { ...DEFAULTS, vocab: 7, length: 5, heads: 2 };
        // Without the history: how many reports it is divided into depends on the machine.
        const plain = ({ history, ...rest }) => JSON.parse(JSON.stringify(rest, (_, value) =>
          ArrayBuffer.isView(value) ? Array.from(value) : value));
        const first = plain(await steps(config, 37));
        const again = plain(await steps(config, 37));
        const other = plain(await steps({ ...config, seed: 2 }, 37));
        worker.terminate();
        const rows = heard.filter(({ type }) => type === "snapshot").flatMap((one) => one.history);
        return { first, again, other, rows: rows.map(({ step }) => step) };
        """
    )
    first = found["first"]
    assert first == found["again"]
    assert first["table"] != found["other"]["table"]
    attention = np.reshape(first["attention"], (2, 5, 5))
    right = np.trace(attention, axis1=1, axis2=2) / 5
    assert first["rightAttention"] == pytest.approx(right, abs=1e-6)
    probabilities = np.reshape(first["example"]["probabilities"], (5, 7))
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(5))
    # A report has a row of its own; on a busy machine there are some between.
    assert [row for row in found["rows"] if row % 5 == 0] == [*range(0, 40, 5)] * 3
    assert found["rows"][-1] == 37

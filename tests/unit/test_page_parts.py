"""Parts of the web page that need no browser."""

import json

import pytest

from sonimate.apps.page.page_texts import LANGUAGES, TEXTS, language_of
from sonimate.apps.page.results import Results, differing
from sonimate.apps.page.time_left import Size, TimeLeft, seconds_a_unit


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ({}, "", "en"),
        ({}, "de-DE,zh-TW;q=0.8,en;q=0.5", "zh"),
        ({}, "en-GB,zh;q=0.9", "en"),
        ({"lang": "zh"}, "en", "zh"),
        ({"lang": "<script>"}, "zh", "zh"),
    ],
)
def test_language(query, accepted, language):
    assert language_of(query, {"accept-language": accepted}) == language


def test_every_text_is_in_both_languages():
    for key, texts in TEXTS.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(texts), key
        assert texts[0].count("{") == texts[1].count("{"), key


def test_progress_grows_and_the_time_left_becomes_the_true_one():
    """A job that takes twice as long as the last one in every stage: once a stage runs, its rest is right."""
    size = Size(seconds=4.0, steps=8, pixels=512 * 512, loaded=True)
    report = {
        "seconds": 4.0, "width": 512, "height": 512, "options": {"steps": 8}, "model_loads": 1,
        "stages": {"read": 1.0, "load": 3.0, "listen": 1.0, "move": 4.0, "draw": 6.0},
    }  # fmt: skip
    rates = seconds_a_unit(report)
    left = TimeLeft({name: rates[name] * units for name, units in size.units().items()})
    assert sum(left.expected.values()) == pytest.approx(12)  # without the load
    now, shares = 0.0, []
    for stage, seconds in (("read", 2.0), ("listen", 2.0), ("move", 8.0), ("draw", 12.0)):
        for done in range(5):
            share, seconds_left = left.update(stage, done, 4, now + seconds * done / 4)
            shares.append(share)
        now += seconds
        if stage == "draw":
            assert seconds_left == pytest.approx(0)
            assert share == pytest.approx(1)
    assert shares[-3:] == sorted(shares[-3:])
    assert left.update("draw", 1, 2, now - 6)[1] == pytest.approx(6)


def test_results_that_are_not_whole_are_left_out(tmp_path):
    results = Results(tmp_path / "videos")
    for name, content in {"a": '{"settings": {"steps": 2}, "report": {}}', "b": "{", "c": "[]"}.items():
        (results.folder / f"{name}.json").write_text(content)
        (results.folder / f"{name}.mp4").touch()
    (results.folder / "d.json").write_text(json.dumps({"settings": {}, "report": {}}))  # no video
    assert [result.name for result in results.all()] == ["a"]
    assert results.get("../a") is None


def test_differing_settings():
    assert differing({"steps": 2, "seed": 1}, {"steps": 2, "seed": 3, "face": 1}) == [
        ("face", None, 1),
        ("seed", 1, 3),
    ]

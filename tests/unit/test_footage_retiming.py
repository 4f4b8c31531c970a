"""Clips whose lags are known are re-timed: by their own lag, by their source's, or not at all."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from sonimate.evaluate.face_curves import FaceCurves, ShapeCurves
from sonimate.evaluate.lips import Clip
from sonimate.footage.retiming import (
    KEPT,
    MEDIAN,
    MIN_CERTAIN_CLIPS,
    OWN,
    UNCERTAIN,
    UNSURE,
    choose_retimings,
    delayed,
    medians_of,
    retime,
    retime_clips,
    retimed_sound,
)
from sonimate.footage.sample import rounded
from sonimate.footage.sources import read_collections
from sonimate.footage.sync import Reading, read_lag
from sonimate.media.wav import write_wav
from sonimate.types import Waveform

FRAMES = 150


def mouth(late_ms: float = 0.0, seed: int = 4, frames: int = FRAMES) -> np.ndarray:
    """An opening of rates from 1 to 5 Hz, late by any time: (frames,) at 25 fps."""
    rng = np.random.default_rng(seed)
    rates, phases = rng.uniform(1, 5, 12), rng.uniform(0, 2 * np.pi, 12)
    seconds = np.arange(frames) / 25 - late_ms / 1000
    return np.sin(2 * np.pi * rates * seconds[:, None] + phases).sum(1)


def certain(late_ms: float, seed: int = 4) -> Reading:
    return read_lag(mouth(late_ms, seed), mouth(seed=seed))


def uncertain(late_ms: float = 0.0) -> Reading:
    """The second half is 80 ms later than the first."""
    half = FRAMES // 2
    halves = [mouth(late_ms - 40)[:half], mouth(late_ms + 40)[half:]]
    return read_lag(np.concatenate(halves), mouth())


@pytest.mark.parametrize("late_ms", [-302, -147, -47, -13, 0, 9, 20, 67, 114, 300])
def test_a_clip_is_retimed_by_its_own_lag_to_within_5_ms(late_ms):
    (retiming,) = choose_retimings([certain(late_ms)], ["alone"])
    assert retiming is not None
    assert retiming.by == OWN
    assert retiming.delay_ms == pytest.approx(late_ms, abs=5)


def test_halves_that_disagree_get_the_median_of_their_source_or_nothing():
    lags = (35, 40, 60)
    assert len(lags) == MIN_CERTAIN_CLIPS
    readings = [*(certain(late, seed) for seed, late in enumerate(lags)), uncertain(40), uncertain(40)]
    *_, known, unknown = choose_retimings(readings, [*["a"] * 4, "b"])
    assert not readings[-1].is_certain
    assert known is not None
    assert known.by == MEDIAN
    assert known.delay_ms == pytest.approx(40, abs=5)
    assert unknown is None


def test_too_few_certain_clips_give_no_median():
    readings = [certain(30, 1), certain(40, 2), uncertain(35)]
    assert choose_retimings(readings, ["a"] * 3)[-1] is None


def test_a_median_at_which_the_mouth_does_not_follow_the_sound_is_not_used():
    readings = [*(certain(-300, seed) for seed in range(3)), uncertain(0)]
    assert readings[-1].follows
    assert choose_retimings(readings, ["a"] * 4)[-1] is None


def record(name: str, reading: Reading, rejection: dict[str, str] | None = None) -> dict:
    return {
        "source": name,
        "frames": FRAMES,
        "sync": rounded(asdict(reading)),
        "rejection": rejection,
    }


def test_records_say_what_was_done_and_why_a_clip_is_left_out():
    other = {"stage": "buckets", "reason": "moves too much", "detail": ""}
    raw = [record("a", certain(20)), record("b", uncertain()), record("c", certain(0), other)]
    raw.append({"source": "d", "rejection": {"stage": "probe", "reason": "no sound", "detail": ""}})
    before = json.dumps(raw)
    done = retime(raw, dict(zip("abcd", "wxyz", strict=True)))
    assert json.dumps(raw) == before
    assert [found["collection"] for found in done] == list("wxyz")
    assert done[0]["sync"]["by"] == OWN
    assert done[0]["sync"]["lag_ms"] == raw[0]["sync"]["lag_ms"] == done[0]["sync"]["delay_ms"]
    assert (done[1]["rejection"]["stage"], done[1]["rejection"]["reason"]) == ("sync", UNCERTAIN)
    assert "halves" in done[1]["rejection"]["detail"]
    assert done[2]["rejection"] == other
    kept = retime(raw, dict.fromkeys("abcd", "one"), move=False)
    assert [(found["sync"]["by"], found["sync"]["delay_ms"]) for found in kept[:2]] == [(KEPT, 0.0)] * 2
    assert medians_of(kept) == {}


def test_the_sound_that_is_cut_out_is_later_by_the_delay(tmp_path: Path):
    margin = 3 * 640
    whole = np.zeros(FRAMES * 640 + 2 * margin, np.float32)
    whole[margin + 5000] = 0.5
    write_wav(tmp_path / "raw.wav", Waveform(whole, 16_000))
    for delay_ms, samples in ((0.0, 0), (12.5, 200), (-47.25, -756)):
        cut = retimed_sound(tmp_path / "raw.wav", {"frames": FRAMES, "sync": {"delay_ms": delay_ms}}).samples
        assert len(cut) == FRAMES * 640
        assert cut.argmax() == 5000 + samples


def test_a_delayed_sound_keeps_its_length_and_is_silent_where_it_has_nothing():
    sound = np.arange(1, 101, dtype=np.float32)
    np.testing.assert_array_equal(delayed(sound, 1.0), [*[0] * 16, *sound[:84]])
    np.testing.assert_array_equal(delayed(sound, -1.0), [*sound[16:], *[0] * 16])
    np.testing.assert_array_equal(delayed(sound, 0.0), sound)


def test_real_clips_are_retimed_before_they_are_compared_with():
    """The predicted opening is the level of the sound, frame by frame."""
    level = np.repeat(mouth(), 640).astype(np.float32)

    def clip(name: str, opening: np.ndarray) -> Clip:
        zeros = np.zeros((FRAMES, 3))
        curves = FaceCurves(opening, zeros[:, 0], zeros, zeros[:, :2], np.zeros((FRAMES, 468, 2)), 100.0)
        shapes = ShapeCurves(
            opening=opening, width=opening, lips=zeros, brows=opening, gaze=zeros, eyes=opening
        )
        return Clip(name, name, name, np.zeros((8, 8, 3), np.uint8), Waveform(level, 16_000), curves, shapes)

    half = FRAMES // 2
    torn = np.concatenate([mouth(-60)[:half], mouth(60)[half:]])
    late, unsure, foreign = retime_clips(
        [clip("late", mouth(60)), clip("torn", torn), clip("foreign", mouth(0, seed=5))],
        {"late": "a", "torn": "b", "foreign": "c"},
        lambda samples: samples.reshape(-1, 640).mean(1),
    )
    assert late.delay_ms == pytest.approx(60, abs=5)
    assert late.retimed_by == OWN
    np.testing.assert_array_equal(late.waveform.samples, delayed(level, late.delay_ms))
    assert abs(unsure.delay_ms) <= 65
    assert unsure.retimed_by == UNSURE
    assert foreign.delay_ms == 0
    assert foreign.retimed_by == KEPT


def test_a_collection_is_a_column_of_the_manifest_or_the_top_folder(tmp_path: Path):
    names = ["a.mp4", "b.mp4", "tv/news/c.mp4", "tv/d.mp4"]
    assert list(read_collections(tmp_path, names).values()) == ["a.mp4", "b.mp4", "tv", "tv"]
    (tmp_path / "MANIFEST.tsv").write_text("file\tsource\na.mp4\tGRID\ntv/d.mp4\tfilm\n")
    assert list(read_collections(tmp_path, names).values()) == ["GRID", "b.mp4", "tv", "film"]

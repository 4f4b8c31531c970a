"""Metrics see each video once, whatever its name, and score what the package's measures give."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media_samples import encode_video
from talking_clips import talking_landmarks

from sonimate.errors import OptionOutOfRange, UnusableClip
from sonimate.evaluate.feature_cache import FeatureCache
from sonimate.evaluate.lip_metrics import LANDMARKS, lip_shapes
from sonimate.evaluate.metric import ClipMetric, Detect, Detector, Features
from sonimate.evaluate.metric_table import all_metrics, metrics_named
from sonimate.evaluate.viewing import SeenClip, View


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return encode_video(tmp_path / "a.mp4", range(0, 400, 40))


class Levels:
    """A detector of brightness that counts the clips it has seen."""

    def __init__(self) -> None:
        self.seen = 0

    def load(self) -> Detect:
        def see(clip: SeenClip) -> Features:
            self.seen += 1
            levels = np.array([frame.mean() for frame in clip.frames()])
            if levels[0] > 200:
                raise UnusableClip("too bright")
            return {"level": levels, "mean": np.array(levels.mean())}

        return see

    @property
    def detector(self) -> Detector:
        return Detector(name="levels", version="1", load=self.load)


def test_a_video_is_seen_once_under_any_name(video, tmp_path):
    levels, cache = Levels(), FeatureCache(tmp_path / "cache")
    first = cache.features(SeenClip(video, View()), levels.detector)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(video.read_bytes())
    again = FeatureCache(tmp_path / "cache").features(SeenClip(copy, View()), levels.detector)
    assert levels.seen == 1
    np.testing.assert_array_equal(first["level"], again["level"])
    assert first["mean"].shape == again["mean"].shape == ()


@pytest.mark.parametrize("view", [View(fps=5.0), View(seconds=0.2), View(size_px=32), View(crop="centre")])
def test_another_view_or_version_is_seen_anew(video, tmp_path, view):
    levels, cache = Levels(), FeatureCache(tmp_path / "cache")
    cache.features(SeenClip(video, View()), levels.detector)
    cache.features(SeenClip(video, view), levels.detector)
    cache.features(SeenClip(video, View()), replace(levels.detector, version="2"))
    assert levels.seen == 3


def test_a_clip_that_cannot_be_measured_is_remembered(tmp_path):
    bright = encode_video(tmp_path / "b.mp4", [0, 40], frames=[np.full((48, 64, 3), 250, np.uint8)] * 2)
    levels = Levels()
    for _ in range(2):
        with pytest.raises(UnusableClip, match="too bright"):
            FeatureCache(tmp_path / "cache").features(SeenClip(bright, View()), levels.detector)
    assert levels.seen == 1


def test_features_that_a_disk_has_damaged_are_made_again(video, tmp_path):
    levels, cache, clip = Levels(), FeatureCache(tmp_path / "cache"), SeenClip(video, View())
    whole = cache.features(clip, levels.detector)
    path = cache.path(clip, levels.detector)
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(cache.features(clip, levels.detector)["level"], whole["level"])
    assert levels.seen == 2


def test_a_view_sets_rate_length_and_size(video):
    frames = list(SeenClip(video, View(fps=12.5, seconds=0.24, crop="centre", size_px=32)).frames())
    assert [frame.shape for frame in frames] == [(32, 32, 3)] * 3


def test_metrics_have_names_of_their_own_and_are_found_by_them():
    assert [metric.name for metric in metrics_named(["CADENCE", "lip-r"])] == ["cadence", "lip-r"]
    assert len({metric.name for metric in all_metrics()}) == len(all_metrics())
    with pytest.raises(OptionOutOfRange, match=r"no metric liprr.*lip-r"):
        metrics_named(["liprr"])


def test_lips_agree_with_themselves_and_not_with_another_time():
    (metric,) = metrics_named(["lip-r"])
    assert isinstance(metric, ClipMetric)
    assert metric.detector is LANDMARKS
    real = lip_shapes({"landmarks": talking_landmarks()})
    assert metric.score(real, real) == pytest.approx(1)
    assert metric.score(real[3:], real) < 0.8

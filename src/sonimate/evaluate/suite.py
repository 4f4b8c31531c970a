"""Folders of generated videos against the real clips -> a figure with its interval for every metric and
folder.

First every video is seen once, by any number of processes or machines, whose features go to the cache; then
the features are read clip by clip, and only numbers and merged statistics are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.errors import SonimateError
from sonimate.evaluate.feature_cache import FeatureCache
from sonimate.evaluate.intervals import GROUPS, Interval, jackknife_interval, mean_interval, merge_all
from sonimate.evaluate.metric import UNUSABLE, ClipMetric, Detector, Metric, SetMetric
from sonimate.evaluate.video_pairs import Paired
from sonimate.evaluate.viewing import SeenClip, View

REAL = "real video"
Runner = Callable[[Sequence[Path], "WatchClips"], Iterator[Path]]
"""Sees all videos in any order, and yields each when its features are in the cache."""


@dataclass(frozen=True)
class WatchClips:
    """Sees one video with every detector; the features, or why there are none, stay in the cache."""

    cache: Path
    view: View
    detectors: tuple[Detector, ...]
    _open: list[FeatureCache] = field(default_factory=list[FeatureCache], compare=False)

    def __call__(self, path: Path) -> Path:
        if not self._open:
            self._open.append(FeatureCache(self.cache))
        for detector in self.detectors:
            try:
                self._open[0].features(SeenClip(path, self.view), detector)
            except UNUSABLE:
                continue
        return path


def watch_here(paths: Sequence[Path], watch: WatchClips) -> Iterator[Path]:
    """One after another in this process."""
    yield from map(watch, paths)


_watching: list[WatchClips] = []


def watch_in_processes(paths: Sequence[Path], watch: WatchClips, *, jobs: int) -> Iterator[Path]:
    """In `jobs` processes, each with detectors of its own."""
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_start_watching, initargs=(watch,)) as pool:
        try:
            for done in as_completed([pool.submit(_watch_one, path) for path in paths]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_watching(watch: WatchClips) -> None:
    _watching.append(watch)


def _watch_one(path: Path) -> Path:
    return _watching[0](path)


@dataclass(frozen=True)
class Figure:
    """Of one folder and metric. clips: how many it is of. values: by clip, for metrics of clips."""

    value: float
    interval: Interval
    clips: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """figures[folder][metric]; differences[(folder, other folder)][metric]: the first less the second, over
    the clips that both have. absent: metrics without their network file or package, and why. skipped: videos
    that cannot be measured, and why. unpaired: by folder."""

    metrics: tuple[Metric, ...]
    figures: dict[str, dict[str, Figure]]
    differences: dict[tuple[str, str], dict[str, tuple[float, Interval]]]
    absent: dict[str, str]
    skipped: dict[str, str]
    unpaired: dict[str, tuple[str, ...]]

    @property
    def absences(self) -> list[str]:
        """A line for each reason: the metrics that are absent for it, and the reason."""
        reasons = dict.fromkeys(self.absent.values())
        return [
            f"{', '.join(name for name, why in self.absent.items() if why == reason)}: {reason}"
            for reason in reasons
        ]


def usable_metrics(metrics: Sequence[Metric], asked_for: bool) -> tuple[tuple[Metric, ...], dict[str, str]]:
    """Those whose files and packages are there, and the reasons for the others. Raises a reason where the
    user has asked for the metrics by name."""
    there: list[Metric] = []
    absent: dict[str, str] = {}
    ready: dict[str, Detector] = {}
    for metric in metrics:
        name = metric.detector.name
        try:
            ready[name] = ready.get(name) or metric.detector.required()
            there.append(replace(metric, detector=ready[name]))
        except SonimateError as error:
            if asked_for:
                raise
            absent[metric.name] = str(error)
    return tuple(there), absent


def evaluate_folders(
    folders: Mapping[str, Paired],
    real: Mapping[str, Path],
    metrics: Sequence[Metric],
    *,
    view: View,
    cache: Path,
    run: Runner = watch_here,
    asked_for: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure every folder, and the real clips themselves as the row REAL. Raises SonimateError."""
    used, absent = usable_metrics(metrics, asked_for)
    detectors = tuple({metric.detector.name: metric.detector for metric in used}.values())
    clips = sorted({clip for paired in folders.values() for clip in paired.generated})
    sources = {REAL: dict(real), **{name: paired.generated for name, paired in folders.items()}}
    videos = sorted({source[clip] for source in sources.values() for clip in clips if clip in source})
    for done, _ in enumerate(run(videos, WatchClips(cache, view, detectors)), start=1):
        progress(done, len(videos))
    tables = {name: _Sums(used) for name in sources}
    skipped: dict[str, str] = {}
    reader = FeatureCache(cache)
    for index, clip in enumerate(clips):
        for detector in detectors:
            truth = _reading(reader, real[clip], view, detector, skipped)
            for name, source in sources.items():
                if clip not in source or truth is None:
                    continue
                seen = truth if name == REAL else _reading(reader, source[clip], view, detector, skipped)
                if seen is not None:
                    tables[name].add(clip, index % GROUPS, detector, seen, truth)
    figures = {name: {metric.name: table.figure(metric) for metric in used} for name, table in tables.items()}
    names = list(folders)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    differences = {
        (one, other): {metric.name: tables[one].difference(tables[other], metric) for metric in used}
        for one, other in pairs
    }
    unpaired = {name: paired.unpaired for name, paired in folders.items()}
    return Evaluation(used, figures, differences, absent, skipped, unpaired)


def _reading(
    cache: FeatureCache, path: Path, view: View, detector: Detector, skipped: dict[str, str]
) -> Any | None:
    try:
        return detector.reading(cache.features(SeenClip(path, view), detector))
    except UNUSABLE as error:
        skipped[str(path)] = str(error)
        return None


class _Sums:
    """What is kept of a folder: numbers by clip, and statistics by group of clips."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self.values: dict[str, dict[str, float]] = {metric.name: {} for metric in metrics}
        self.groups: dict[str, dict[int, tuple[Any, Any]]] = {metric.name: {} for metric in metrics}
        self.scores: dict[tuple[str, tuple[int, ...]], float] = {}

    def add(self, clip: str, group: int, detector: Detector, seen: Any, truth: Any) -> None:
        for metric in self.metrics:
            if metric.detector.name != detector.name:
                continue
            if isinstance(metric, ClipMetric):
                self.values[metric.name][clip] = float(metric.score(seen, truth))
                continue
            pair = metric.statistic(seen), metric.statistic(truth)
            sums = self.groups[metric.name]
            known = sums.get(group)
            sums[group] = (known[0].merged(pair[0]), known[1].merged(pair[1])) if known else pair
            self.values[metric.name][clip] = math.nan

    def figure(self, metric: Metric) -> Figure:
        by_clip = self.values[metric.name]
        if isinstance(metric, SetMetric):
            value, interval = self._set(metric, None)
            return Figure(value, interval, len(by_clip), {})
        values = _finite(by_clip.values())
        mean = float(values.mean()) if len(values) else math.nan
        return Figure(mean, mean_interval(values), len(values), by_clip)

    def difference(self, other: _Sums, metric: Metric) -> tuple[float, Interval]:
        if isinstance(metric, SetMetric):
            return self._set(metric, other)
        mine, theirs = self.values[metric.name], other.values[metric.name]
        values = _finite(mine[clip] - theirs[clip] for clip in mine if clip in theirs)
        return (float(values.mean()) if len(values) else math.nan), mean_interval(values)

    def _set(self, metric: SetMetric, less: _Sums | None) -> tuple[float, Interval]:
        """The score, less that of another folder if it is given, over the groups that both have."""
        groups = self.groups[metric.name]
        shared = [group for group in groups if less is None or group in less.groups[metric.name]]
        if not shared:
            return math.nan, (math.nan, math.nan)

        def without(left_out: int | None) -> float:
            kept = tuple(group for place, group in enumerate(shared) if place != left_out)
            return self._score(metric, kept) - (less._score(metric, kept) if less else 0.0)

        value = without(None)
        return value, jackknife_interval(value, len(shared), without)

    def _score(self, metric: SetMetric, kept: tuple[int, ...]) -> float:
        """Of these groups together, once: a Fréchet distance of FID takes seconds."""
        key = metric.name, kept
        if key not in self.scores:
            groups = self.groups[metric.name]
            generated, real = (merge_all([groups[group][side] for group in kept]) for side in (0, 1))
            self.scores[key] = float(metric.score(generated, real))
        return self.scores[key]


def _finite(values: Any) -> np.ndarray:
    array = np.array(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def in_processes(jobs: int) -> Runner:
    """The runner for this machine."""
    return watch_here if jobs == 1 else partial(watch_in_processes, jobs=jobs)

"""Table 4 of the paper: how a long video is divided into windows, its run time and its cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sonimate.audio.duration import window_count
from sonimate.clock import LATENT_FPS
from sonimate.configs import SamplingOptions
from sonimate.diffusion.plan import frame_predictions
from sonimate.evaluate.crossed_table import Figures, Measure, table_of_measures
from sonimate.evaluate.evaluation_report import markdown_table
from sonimate.evaluate.lips import Clip
from sonimate.evaluate.motion_figures import animated_landmarks, lip_figures, seam_figure
from sonimate.media.folders import FolderRecord
from sonimate.pipeline import SonicPipeline
from sonimate.types import Progress

OVERLAP = 8
"""Latent frames; the paper's."""
STRATEGIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "shift": {"windows": "shift"},
        "motion frames": {"windows": "motion-frames", "overlap": OVERLAP},
        "overlap": {"windows": "overlap", "overlap": OVERLAP},
        "independent": {"windows": "independent"},
    }
)
MEASURES = (
    Measure("opening r ↑", ("opening r",)),
    Measure("width r ↑", ("width r",)),
    Measure("motion at window borders over elsewhere", ("seam",)),
    Measure("sampling, s per s of video ↓", ("seconds per second",)),
    Measure("frame predictions per latent frame ↓", ("predictions per frame",)),
)


@dataclass
class MoveTime:
    """A progress callback that measures the sampling alone. seconds: so far."""

    seconds: float = 0.0
    _started: float = field(default=0.0, repr=False)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == "move":
            now = time.perf_counter()
            self._started = self._started if done else now
            self.seconds = now - self._started


def measure_strategies(
    pipeline: SonicPipeline,
    clips: Sequence[Clip],
    out: Path,
    *,
    sampling: SamplingOptions,
    progress: Progress,
) -> Mapping[str, Figures]:
    """Animate every clip by every strategy; what is measured stays in OUT/figures, so that a stopped run goes
    on. Raises the pipeline's errors and OutputNotWritable."""
    rows: dict[str, dict[str, Mapping[str, float]]] = {name: {} for name in STRATEGIES}
    work = [(clip, name) for clip in clips for name in STRATEGIES]
    for done, (clip, name) in enumerate(work):
        progress("clips", done, len(work))
        key = f"{name.replace(' ', '-')}/{clip.key}"
        record = FolderRecord(out / "figures" / f"{key}.json")
        figures = record.read()
        if figures is None:
            options = replace(sampling, **STRATEGIES[name])
            figures = strategy_figures(pipeline, clip, out / "videos" / f"{key}.mp4", options)
            record.write(figures)
        rows[name][clip.name] = figures
    progress("clips", len(work), len(work))
    return rows


def strategy_figures(
    pipeline: SonicPipeline, clip: Clip, video: Path, options: SamplingOptions
) -> dict[str, float]:
    """The figures of MEASURES for one clip."""
    clock = MoveTime()
    landmarks = animated_landmarks(pipeline, clip, video, sampling=options, progress=clock)
    windows = window_count(len(clip.waveform.samples), LATENT_FPS, options.window_frames)
    frames = windows * options.window_frames
    return lip_figures(landmarks, clip) | {
        "seam": seam_figure(landmarks, options.window_frames),
        "seconds per second": clock.seconds / clip.seconds,
        "predictions per frame": frame_predictions(options, frames) / frames,
    }


def strategies_report(rows: Mapping[str, Figures], facts: Sequence[str]) -> str:
    """Table 4 as markdown."""
    by_seed = {name: [figures] for name, figures in rows.items()}
    return (
        "\n\n".join(
            [
                "# Table 4: windows",
                markdown_table(table_of_measures(MEASURES, by_seed)),
                "## Differences, paired by clip",
                markdown_table(table_of_measures(MEASURES, by_seed, "shift")),
                "\n".join(f"* {fact}" for fact in facts),
            ]
        )
        + "\n"
    )

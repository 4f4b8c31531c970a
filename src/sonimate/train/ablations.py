"""Table 3 of the paper at the compact size: what temporal audio attention, motion controller and position
shift contribute, on real clips of sources that no model saw.

OUT holds the runs, one folder a variant, seed and piece of training, and the figures of every row and seed;
each is finished once, so that a stopped table goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.codecs.mesh.codec import canonical_expression
from sonimate.configs import COMPACT, MAX_BUCKET, MotionOptions
from sonimate.evaluate.crossed_table import (
    Figures,
    Measure,
    agreement,
    measured,
    own_less_other,
    table_of_measures,
)
from sonimate.evaluate.evaluation_report import markdown_table
from sonimate.evaluate.face_curves import face_curves, shape_curves
from sonimate.evaluate.lips import Clip, pairing
from sonimate.evaluate.motion_figures import animated_landmarks, lip_figures, seam_figure
from sonimate.evaluate.prosody_following import SCALES_SECONDS, all_following, upper_motion
from sonimate.face.pose import fit_pose, to_canonical
from sonimate.footage.bucket_labels import bucket_labels
from sonimate.media.folders import FolderRecord
from sonimate.pipeline import SonicPipeline
from sonimate.speech.prosody import prosody_curves
from sonimate.train.run import train
from sonimate.types import Progress

PIECE: Mapping[str, Any] = {
    "steps": 500,
    "batch_size": 16,
    "real_share": 0.5,
    "warmup_steps": 20,
    "bucket_steps": 0,  # the clips' own buckets are given, so that no model predicts them
}
"""Settings of one piece of training that differ from the recipe. Each piece starts from the one before it."""
TARGET_R = 0.5
"""Of the full variant's opening, mean over held-out clips and seeds: below it, lips follow the voice so
little that parts of the model cannot show what they are for."""
REAL = "real clips"
_log = logging.getLogger("sonimate")


@dataclass(frozen=True)
class Variant:
    """A row: a model, or a way to sample the full one.

    training: settings of the recipe. sampling: fields of SamplingOptions.
    """

    name: str
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])


FULL_VARIANT = Variant("full")
MODELS = (
    FULL_VARIANT,
    Variant("without temporal audio", {"temporal_audio": False}),
    Variant("without motion controller", {"motion_controller": False}),
)
WITHOUT_SHIFT = Variant("without shift", sampling={"windows": "independent"})
SEAMS = (
    Variant("0.5 s, shift", sampling={"window_frames": 6}),
    Variant("0.5 s, independent", sampling={"window_frames": 6, "windows": "independent"}),
    Variant("1 s, shift", sampling={"window_frames": 12}),
    Variant("1 s, independent", sampling={"window_frames": 12, "windows": "independent"}),
    Variant("2 s, shift"),
    Variant("2 s, independent", sampling={"windows": "independent"}),
)
"""Windows of latents at 12.5 a second; the full model's are of 25. Seams are measured where independent
windows of that length meet."""
MEASURES = (
    Measure("opening r ↑", ("opening r",)),
    Measure("width r ↑", ("width r",)),
    Measure("amplitude ≈ 1", ("amplitude",)),
    Measure("r of head buckets, reached and asked for ↑", ("head", "head asked"), agreement),
    Measure("r of expression buckets ↑", ("expression", "expression asked"), agreement),
)
SEAM_MEASURES = (
    Measure("motion at window borders over elsewhere", ("seam",)),
    Measure("opening r ↑", ("opening r",)),
)
FOLLOWING = tuple(
    Measure(f"{part}, {voice}, {scale:g} s ↑", (name, f"{name} other"), own_less_other)
    for part in ("head", "brows")
    for voice in ("energy", "pitch")
    for scale in SCALES_SECONDS
    for name in (f"{part} {voice} {scale:g}",)
)
"""How well head and brows follow the voice, less how well they follow another clip's."""


@dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """data, recipe, changes: of `train`. seeds: of training. pieces: at most. target_r: see TARGET_R."""

    data: Path
    recipe: str | Path = "compact"
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seeds: tuple[int, ...] = (0, 1, 2)
    pieces: int = 8
    target_r: float = TARGET_R

    def settings(self, variant: Variant, seed: int, piece: int) -> dict[str, Any]:
        """Of one piece. Variants of one seed see the same windows in the same order."""
        return {**PIECE, **self.changes, **variant.training, "seed": 1000 * seed + piece}


@dataclass(frozen=True)
class AblationClip:
    """A held-out clip. buckets: (m_t, m_e) of the real motion. voice, other_voice: prosody of its sound, and
    of the sound of another speaker's clip."""

    clip: Clip
    buckets: tuple[float, float]
    voice: Mapping[str, np.ndarray]
    other_voice: Mapping[str, np.ndarray]


def ablation_clips(clips: Sequence[Clip], landmarks: Sequence[np.ndarray]) -> list[AblationClip]:
    """landmarks: tracked, (n, 478, 3) of each clip. Raises OptionOutOfRange if all are of one speaker."""
    voices = [prosody_curves(clip.waveform, len(clip.curves)) for clip in clips]
    others = pairing([clip.speaker for clip in clips])
    found: list[AblationClip] = []
    for clip, seen, voice, other in zip(clips, landmarks, voices, others, strict=True):
        repeated = {name: np.resize(curve, len(clip.curves)) for name, curve in voices[other].items()}
        found.append(AblationClip(clip, buckets_of(seen), voice, repeated))
    return found


def buckets_of(landmarks: np.ndarray) -> tuple[float, float]:
    """(m_t, m_e) of landmarks (n, 478, 3), by the definition of the training data's labels."""
    points = landmarks.astype(np.float64)
    head, expression = bucket_labels(points, canonical_expression(to_canonical(points, fit_pose(points))))
    return min(float(head), MAX_BUCKET), min(float(expression), MAX_BUCKET)


def ablation_figures(landmarks: np.ndarray, held_out: AblationClip, window_frames: int) -> dict[str, float]:
    """All figures of one clip, animated or real, by the names in the measures."""
    upper = upper_motion(face_curves(landmarks), shape_curves(landmarks))
    own, other = (all_following(upper, voice) for voice in (held_out.voice, held_out.other_voice))
    head, expression = buckets_of(landmarks)
    figures = lip_figures(landmarks, held_out.clip) | {
        "head": head,
        "expression": expression,
        "head asked": held_out.buckets[0],
        "expression asked": held_out.buckets[1],
        "seam": seam_figure(landmarks, window_frames),
    }
    for part, voice, scale in own:
        name = f"{part} {voice} {scale:g}"
        figures |= {name: own[part, voice, scale], f"{name} other": other[part, voice, scale]}
    return figures


class AblationRun:
    """Trains and measures in a folder, each thing once. The caller holds the folder's lock."""

    def __init__(
        self, plan: AblationPlan, clips: Sequence[AblationClip], out: Path, progress: Progress
    ) -> None:
        self.plan, self.clips, self.out, self.progress = plan, clips, out, progress

    def rows(self) -> tuple[dict[str, list[Figures]], int]:
        """Figures of every row by seed, and how many pieces every model was trained for: until the full one
        reaches the target. Raises the errors of `train` and of the pipeline."""
        reached, pieces = 0.0, 0
        while pieces < self.plan.pieces and reached < self.plan.target_r:
            pieces += 1
            reached = measured(MEASURES[0], self._row(FULL_VARIANT, FULL_VARIANT, pieces))[0]
            _log.info("piece %d: the full model's opening r is %.3f", pieces, reached)
        if reached < self.plan.target_r:
            _log.warning("opening r %.3f is below %g: give more --pieces", reached, self.plan.target_r)
        rows = {model.name: self._row(model, model, pieces) for model in MODELS}
        for variant in (WITHOUT_SHIFT, *SEAMS):
            rows[variant.name] = self._row(FULL_VARIANT, variant, pieces)
        return rows, pieces

    def _row(self, model: Variant, variant: Variant, pieces: int) -> list[Figures]:
        return [self._figures(model, variant, seed, pieces) for seed in self.plan.seeds]

    def _figures(self, model: Variant, variant: Variant, seed: int, pieces: int) -> Figures:
        name = f"{_file_name(model, variant)}-seed{seed}-piece{pieces}"
        record = FolderRecord(self.out / "figures" / f"{name}.json")
        known = record.read()
        if known is None:
            pipeline = SonicPipeline.from_pretrained(self._trained(model, seed, pieces))
            sampling = replace(COMPACT, seed=COMPACT.fixed_seed + seed, **variant.sampling)
            known = {}
            for done, held_out in enumerate(self.clips):
                self.progress(f"measure {name}", done, len(self.clips))
                motion = MotionOptions(head_motion=held_out.buckets[0], expression=held_out.buckets[1])
                landmarks = animated_landmarks(
                    pipeline, held_out.clip, self.out / "unused.mp4", sampling=sampling, motion=motion
                )
                known[held_out.clip.name] = ablation_figures(landmarks, held_out, sampling.window_frames)
            self.progress(f"measure {name}", len(self.clips), len(self.clips))
            record.write(known)
        return known

    def _trained(self, model: Variant, seed: int, piece: int) -> Path:
        """The model after `piece` pieces of training, which are done if they are not yet."""
        run = self.out / "runs" / f"{_file_name(model, model)}-seed{seed}-piece{piece}"
        finished = FolderRecord(run / "finished.json")
        if finished.read() is None:
            start = str(self._trained(model, seed, piece - 1)) if piece > 1 else None

            def progress(stage: str, done: int, total: int) -> None:
                self.progress(f"{run.name} {stage}", done, total)

            settings = self.plan.settings(model, seed, piece)
            train(self.plan.recipe, self.plan.data, run, init=start, changes=settings, progress=progress)
            finished.write({"piece": piece})
        return run / "model"


def ablation_report(rows: Mapping[str, Sequence[Figures]], real: Figures, facts: Sequence[str]) -> str:
    """The tables as markdown. real: figures of the real clips themselves."""
    models = {name: rows[name] for name in (*(model.name for model in MODELS), WITHOUT_SHIFT.name)}
    seams = {variant.name: rows[variant.name] for variant in SEAMS}
    trained = {model.name: rows[model.name] for model in MODELS}
    parts = ["# Table 3: parts of the model", markdown_table(table_of_measures(MEASURES, models))]
    parts += ["## Differences, paired by clip and seed"]
    parts += [markdown_table(table_of_measures(MEASURES, models, FULL_VARIANT.name))]
    parts += ["## Head and brows that follow the voice", FOLLOWING_TEXT]
    parts += [markdown_table(_turned(table_of_measures(FOLLOWING, {REAL: [real], **trained})))]
    parts += [markdown_table(_turned(table_of_measures(FOLLOWING, trained, FULL_VARIANT.name)))]
    parts += ["## Seams between windows", markdown_table(table_of_measures(SEAM_MEASURES, seams))]
    return "\n\n".join([*parts, "\n".join(f"* {fact}" for fact in facts)]) + "\n"


FOLLOWING_TEXT = (
    "Largest |r| of head speed or brow height with loudness or pitch around a period, less the same with "
    "another clip's sound: 0 is chance."
)


def _turned(cells: list[list[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*cells, strict=True)]


def _file_name(model: Variant, variant: Variant) -> str:
    """By what is sampled, so that rows of the same samples are measured once."""
    changed = [f"{name}-{value}" for name, value in sorted(variant.sampling.items())]
    return "-".join([model.name.replace(" ", "-"), *changed])

"""How much the head, the face and the mouth move at each value of a control."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sonimate.configs import AUTOMATIC, MotionOptions
from sonimate.evaluate.curves import amplitude_ratio, correlation
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.generation import generate_motion
from sonimate.evaluate.statistics import deformation, spread
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

CONTROLS = ("head_motion", "expression", "audio_guidance")


@dataclass(frozen=True)
class Case:
    """A portrait and a sound. real_mouth: (n,) the real opening when the portrait is the first frame of a
    clip, else (0,)."""

    name: str
    portrait: Portrait
    waveform: Waveform
    real_mouth: np.ndarray


@dataclass(frozen=True)
class ControlScore:
    """Means over cases and seeds at one value of a control.

    head_degrees, head_heights: spread of the head's rotation and translation. expression: root mean square
    spread of the pose-normalised face, cm. mouth: standard deviation of its opening in face heights.
    mouth_gain: that over the automatic setting's with the same seed.
    r_default: correlation with the mouth of the automatic setting and the same seed. r_real: correlation with
    the real mouths, NaN when there are none.
    """

    control: str
    value: float
    head_degrees: float
    head_heights: float
    expression: float
    mouth: float
    mouth_gain: float
    r_default: float
    r_real: float


def measure_control(
    pipeline: SonicPipeline,
    cases: Sequence[Case],
    control: str,
    values: Sequence[float],
    seeds: Sequence[int],
) -> Iterator[ControlScore]:
    """Animate all cases at each of `values` of one of CONTROLS; all other controls stay automatic."""
    default = {(case.name, seed): _animate(pipeline, case, seed)[0] for case in cases for seed in seeds}
    for value in values:
        rows: list[tuple[float, ...]] = []
        r_real: list[float] = []
        for case in cases:
            for seed in seeds:
                curves, expression = _animate(pipeline, case, seed, **{control: value})
                rows.append(
                    (
                        spread(curves.rotation),
                        spread(curves.translation),
                        expression,
                        float(curves.mouth.std()),
                        amplitude_ratio(curves.mouth, default[case.name, seed].mouth),
                        correlation(curves.mouth, default[case.name, seed].mouth),
                    )
                )
                if len(case.real_mouth):
                    r_real.append(correlation(curves.mouth, case.real_mouth))
        rotation, translation, expression, mouth, gain, r_default = np.mean(rows, axis=0).tolist()
        agreement = float(np.mean(r_real)) if r_real else math.nan
        yield ControlScore(
            control, value, rotation, translation, expression, mouth, gain, r_default, agreement
        )


def _animate(pipeline: SonicPipeline, case: Case, seed: int, **control: Any) -> tuple[FaceCurves, float]:
    sampling = replace(pipeline.sampling, seed=seed)
    motion = AUTOMATIC
    if "audio_guidance" in control:
        sampling = replace(sampling, **control)
    elif control:
        motion = MotionOptions(**control)
    generated = generate_motion(pipeline, case.portrait, case.waveform, sampling=sampling, motion=motion)
    return generated.curves, deformation(generated.drawn.vertices)

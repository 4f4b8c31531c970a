"""Do the controls act: movement, expression, mouth and lip correlation along each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sonimate.configs import AUTOMATIC, MotionOptions
from sonimate.evaluate import thresholds as targets
from sonimate.evaluate.curves import correlation
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.performance import mesh_codec, perform
from sonimate.evaluate.statistics import deformation, spread
from sonimate.evaluate.tables import Check
from sonimate.pipeline import SonicPipeline
from sonimate.types import Portrait, Waveform

CONTROLS = ("head_motion", "expression", "audio_guidance")


@dataclass(frozen=True)
class Case:
    """A portrait and a sound. real_mouth: (n,) the true opening where the portrait is a clip's first
    frame, else (0,)."""

    name: str
    portrait: Portrait
    waveform: Waveform
    real_mouth: np.ndarray


@dataclass(frozen=True)
class Reading:
    """Means over cases and seeds at one value of a control.

    head_degrees, head_heights: spread of the head. expression: root mean square spread of the
    pose-normalised face, cm. mouth: standard deviation of its opening. r_default: the mouth against that
    of the automatic setting with the same seed; r_real: against the real mouths, NaN when there are none.
    """

    control: str
    value: float
    head_degrees: float
    head_heights: float
    expression: float
    mouth: float
    r_default: float
    r_real: float


def read_control(
    pipeline: SonicPipeline,
    cases: Sequence[Case],
    control: str,
    values: Sequence[float],
    seeds: Sequence[int],
) -> Iterator[Reading]:
    """Turn one of CONTROLS through `values`, everything else automatic."""
    default = {(case.name, seed): _perform(pipeline, case, seed)[0] for case in cases for seed in seeds}
    for value in values:
        rows, r_real = [], []
        for case in cases:
            for seed in seeds:
                curves, expression = _perform(pipeline, case, seed, **{control: value})
                rows.append(
                    (
                        spread(curves.rotation),
                        spread(curves.translation),
                        expression,
                        curves.mouth.std(),
                        correlation(curves.mouth, default[case.name, seed].mouth),
                    )
                )
                if len(case.real_mouth):
                    r_real.append(correlation(curves.mouth, case.real_mouth))
        rotation, translation, expression, mouth, r_default = np.mean(rows, axis=0).tolist()
        agreement = float(np.mean(r_real)) if r_real else math.nan
        yield Reading(control, value, rotation, translation, expression, mouth, r_default, agreement)


def control_checks(readings: Sequence[Reading]) -> list[Check]:
    """The readings of all controls against the targets."""
    by_control = {name: [reading for reading in readings if reading.control == name] for name in CONTROLS}
    checks = []
    head = {reading.value: reading for reading in by_control["head_motion"]}
    if {16.0, 64.0} <= set(head):
        low, high = head[16.0], head[64.0]
        name = "r_default" if math.isnan(high.r_real) else "r_real"
        change = abs(getattr(high, name) - getattr(low, name))
        checks = [
            Check(
                name="head movement at --head-motion 64 over 16",
                value=high.head_degrees / low.head_degrees,
                low=targets.MIN_HEAD_MOTION_GAIN,
            ),
            Check(name=f"change of {name} from 16 to 64", value=change, high=targets.MAX_CONTROL_R_CHANGE),
        ]
    for control, quantity in (("expression", "expression"), ("audio_guidance", "mouth")):
        series = [getattr(reading, quantity) for reading in by_control[control]]
        if len(series) > 1:
            values = [reading.value for reading in by_control[control]]
            gain, order = series[-1] / series[0], correlation(ranks(values), ranks(series))
            checks += [
                Check(
                    name=f"{quantity}, last over first {control}", value=gain, low=targets.MIN_CONTROL_GAIN
                ),
                Check(name=f"ranks of {quantity} and {control}", value=order, low=targets.MIN_CONTROL_RANK),
            ]
    return checks


def ranks(values: Sequence[float]) -> np.ndarray:
    """The place of each value in ascending order, from 0."""
    return np.argsort(np.argsort(values))


def _perform(pipeline: SonicPipeline, case: Case, seed: int, **control: float) -> tuple[FaceCurves, float]:
    sampling = replace(pipeline.sampling, seed=seed)
    motion = AUTOMATIC
    if "audio_guidance" in control:
        sampling = replace(sampling, **control)
    elif control:
        motion = MotionOptions(**control)
    done = perform(pipeline, case.portrait, case.waveform, sampling=sampling, motion=motion)
    return done.curves, deformation(mesh_codec(pipeline).displacement(done.motion.expression))

"""How movement changes with the controls, on synthetic faces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from moved_faces import living_face

from lib.targets import control_checks
from sonimate.evaluate import controls
from sonimate.evaluate.controls import ControlScore
from sonimate.evaluate.face_curves import FaceCurves


def scored(control: str, value: float, **changes: float) -> ControlScore:
    values = {
        "head_degrees": 1.0,
        "head_heights": 0.01,
        "expression": 0.1,
        "mouth": 0.03,
        "mouth_gain": 1.0,
        "r_default": 0.9,
        "r_real": 0.4,
    }
    return ControlScore(control, value, **(values | changes))


def test_scores_average_cases_and_compare_with_automatic_and_real_mouths(monkeypatch: pytest.MonkeyPatch):
    alive = living_face()
    unused: Any = None

    def fake(
        pipeline: object, case: controls.Case, seed: int, head_motion: float = 32.0
    ) -> tuple[FaceCurves, float]:
        mouth = alive.mouth if case.name == "clip" or head_motion == 32 else -alive.mouth
        return replace(alive, mouth=mouth, rotation=alive.rotation * head_motion / 32), 0.1 * (seed + 1)

    monkeypatch.setattr(controls, "_animate", fake)
    cases = [
        controls.Case("clip", unused, unused, -alive.mouth[:300]),
        controls.Case("portrait", unused, unused, np.empty(0)),
    ]
    slow, fast = controls.measure_control(unused, cases, "head_motion", [16.0, 64.0], [0, 1])
    assert fast.head_degrees == pytest.approx(4 * slow.head_degrees)
    assert slow.expression == pytest.approx(0.15)
    assert slow.r_default == pytest.approx(0)
    assert slow.mouth_gain == pytest.approx(1)
    assert slow.r_real == pytest.approx(-1)
    (alone,) = controls.measure_control(unused, cases[1:], "head_motion", [16.0], [0])
    assert alone.r_default == pytest.approx(-1)
    assert np.isnan(alone.r_real)


def test_controls_that_act_pass_and_dead_ones_are_named():
    acting = [scored("head_motion", value, head_degrees=value / 16) for value in (16.0, 64.0)]
    acting += [scored("expression", value, expression=value) for value in (16.0, 32.0, 64.0)]
    acting += [scored("audio_guidance", value, mouth=value) for value in (1.0, 2.0)]
    assert all(check.met for check in control_checks(acting))
    dead = [replace(row, head_degrees=1.0, mouth=0.03 - 1e-3 * row.value) for row in acting]
    assert [check.name for check in control_checks(dead) if not check.met] == [
        "head movement at --head-motion 64 over 16",
        "head_degrees, last over first head_motion",
        "mouth, last over first audio_guidance",
        "least growth of mouth between two values of audio_guidance",
    ]
    jumbled = [replace(row, expression=(row.value - 33) ** 2) for row in acting]
    assert "least growth of expression between two values of expression" in [
        check.name for check in control_checks(jumbled) if not check.met
    ]


@pytest.mark.parametrize("gain", [0.5, 1.3])
def test_a_head_that_changes_the_mouth_is_named(gain: float):
    still = [
        scored("head_motion", value, head_degrees=value, mouth_gain=1.1) for value in (16.0, 64.0, 100.0)
    ]
    assert all(check.met for check in control_checks(still))
    changed = [*still[:2], replace(still[2], mouth_gain=gain)]
    assert [check.name for check in control_checks(changed) if not check.met] == [
        "change of the mouth at --head-motion 100"
    ]


def test_lip_correlation_lost_to_head_motion_is_named():
    rows = [
        scored("head_motion", 16.0, head_degrees=1.0),
        scored("head_motion", 64.0, head_degrees=3.0, r_real=0.25),
    ]
    assert [check.name for check in control_checks(rows) if not check.met] == [
        "change of r_real from 16 to 64"
    ]
    without = [replace(row, r_real=float("nan")) for row in rows]
    assert all(check.met for check in control_checks(without))

"""Blinks, head motion, drift, jitter and rest of synthetic faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moved_faces import SPEECH_SECONDS, living_face

from lib.targets import life_checks
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.life import measure_life, real_acceleration


def missed(curves: FaceCurves, real: float) -> list[str]:
    checks = life_checks(measure_life("face", curves, SPEECH_SECONDS), real)
    return [check.name.removeprefix("face, ") for check in checks if not check.met]


def test_a_living_face_passes_and_its_numbers_are_right():
    alive = living_face()
    real = real_acceleration([alive])
    life = measure_life("face", alive, SPEECH_SECONDS)
    assert life.blinks == 5
    assert life.blinks_per_minute == pytest.approx(15)
    assert life.head_degrees == pytest.approx(2, rel=0.01)
    assert life.silent_opening == pytest.approx(0.003)
    assert life.acceleration == pytest.approx(real, rel=0.01)
    assert missed(alive, real) == []


def test_each_lack_of_life_is_named():
    alive = living_face()
    real = real_acceleration([alive])
    count = len(alive)
    ramp = np.linspace(0, 1, count)[:, None]
    assert missed(replace(alive, eyes=np.full(count, 0.3)), real) == ["blinks a minute"]
    assert missed(replace(alive, rotation=alive.rotation / 10), real) == ["head rotation in degrees"]
    assert missed(replace(alive, rotation=alive.rotation + 15 * ramp), real) == ["drift in degrees"]
    assert missed(replace(alive, translation=0.3 * ramp * [1, 0]), real) == ["drift in face heights"]
    assert missed(replace(alive, points=2 * alive.points), real) == ["acceleration over that of real clips"]
    assert missed(replace(alive, mouth=alive.mouth + 0.03), real) == ["mouth opening in silence"]


def test_the_mouth_may_take_half_a_second_to_close():
    alive = living_face()
    mouth = alive.mouth.copy()
    mouth[500:512] = 0.1
    assert missed(replace(alive, mouth=mouth), real_acceleration([alive])) == []
    mouth[500:540] = 0.1
    assert missed(replace(alive, mouth=mouth), real_acceleration([alive])) == ["mouth opening in silence"]

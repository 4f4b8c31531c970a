"""Life and controls on synthetic faces; the report; every benchmark script answers --help."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sonimate.clock import VIDEO_FPS
from sonimate.evaluate import controls
from sonimate.evaluate.controls import Reading, control_checks
from sonimate.evaluate.face_curves import FaceCurves
from sonimate.evaluate.life import life_checks, measure_life, real_acceleration
from sonimate.evaluate.tables import Check, markdown_table, publish

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPEECH_SECONDS, SILENT_SECONDS = 20.0, 2.0


@pytest.fixture
def alive() -> FaceCurves:
    """Speaks for 20 s, blinks every 4 s, sways by 2 degrees, then rests with its mouth closed."""
    count = round((SPEECH_SECONDS + SILENT_SECONDS) * VIDEO_FPS)
    speaking = round(SPEECH_SECONDS * VIDEO_FPS)
    rng = np.random.default_rng(0)
    mouth = np.abs(rng.normal(size=count)) * 0.04
    mouth[speaking + 10 :] = 0.003
    eyes = np.full(count, 0.3)
    eyes[50::100] = eyes[51::100] = 0.05
    sway = np.sin(2 * np.pi * np.arange(count)[:, None] / 50)
    return FaceCurves(
        mouth,
        eyes,
        2 * np.sqrt(2) * sway * [1.0, 0.0, 0.0],
        0.01 * sway * [1.0, 1.0],
        1e-3 * rng.normal(size=(count, 468, 2)),
        300.0,
    )


def missed(curves: FaceCurves, real: float) -> list[str]:
    checks = life_checks(measure_life("face", curves, SPEECH_SECONDS), real)
    return [check.name.removeprefix("face, ") for check in checks if not check.met]


def test_a_living_face_passes_and_its_numbers_are_right(alive: FaceCurves):
    real = real_acceleration([alive])
    life = measure_life("face", alive, SPEECH_SECONDS)
    assert life.blinks == 5
    assert life.blinks_per_minute == pytest.approx(15)
    assert life.head_degrees == pytest.approx(2, rel=0.01)
    assert life.silent_opening == pytest.approx(0.003)
    assert life.acceleration == pytest.approx(real, rel=0.01)
    assert missed(alive, real) == []


def test_each_lack_of_life_is_named(alive: FaceCurves):
    real = real_acceleration([alive])
    count = len(alive)
    ramp = np.linspace(0, 1, count)[:, None]
    assert missed(replace(alive, eyes=np.full(count, 0.3)), real) == ["blinks a minute"]
    assert missed(replace(alive, rotation=alive.rotation / 10), real) == ["head rotation in degrees"]
    assert missed(replace(alive, rotation=alive.rotation + 15 * ramp), real) == ["drift in degrees"]
    assert missed(replace(alive, translation=0.3 * ramp * [1, 0]), real) == ["drift in face heights"]
    assert missed(replace(alive, points=2 * alive.points), real) == ["acceleration over that of real clips"]
    assert missed(replace(alive, mouth=alive.mouth + 0.03), real) == ["mouth opening in silence"]


def test_the_mouth_may_take_half_a_second_to_close(alive: FaceCurves):
    mouth = alive.mouth.copy()
    mouth[500:512] = 0.1
    assert missed(replace(alive, mouth=mouth), real_acceleration([alive])) == []
    mouth[500:540] = 0.1
    assert missed(replace(alive, mouth=mouth), real_acceleration([alive])) == ["mouth opening in silence"]


def reading(control: str, value: float, **changes: float) -> Reading:
    values = {
        "head_degrees": 1.0,
        "head_heights": 0.01,
        "expression": 0.1,
        "mouth": 0.03,
        "r_default": 0.9,
        "r_real": 0.4,
    }
    return Reading(control, value, **(values | changes))


def test_readings_average_cases_and_compare_with_automatic_and_real_mouths(monkeypatch, alive: FaceCurves):
    def fake(pipeline, case, seed, head_motion=32.0):
        mouth = alive.mouth if case.name == "clip" or head_motion == 32 else -alive.mouth
        return replace(alive, mouth=mouth, rotation=alive.rotation * head_motion / 32), 0.1 * (seed + 1)

    monkeypatch.setattr(controls, "_perform", fake)
    cases = [
        controls.Case("clip", *[None] * 2, -alive.mouth[:300]),  # type: ignore[arg-type]
        controls.Case("portrait", *[None] * 2, np.empty(0)),  # type: ignore[arg-type]
    ]
    slow, fast = controls.read_control(None, cases, "head_motion", [16.0, 64.0], [0, 1])  # type: ignore[arg-type]
    assert fast.head_degrees == pytest.approx(4 * slow.head_degrees)
    assert slow.expression == pytest.approx(0.15)
    assert slow.r_default == pytest.approx(0)
    assert slow.r_real == pytest.approx(-1)
    (alone,) = controls.read_control(None, cases[1:], "head_motion", [16.0], [0])  # type: ignore[arg-type]
    assert alone.r_default == pytest.approx(-1)
    assert np.isnan(alone.r_real)


def test_controls_that_act_pass_and_dead_ones_are_named():
    acting = [reading("head_motion", value, head_degrees=value / 16) for value in (16.0, 64.0)]
    acting += [reading("expression", value, expression=value) for value in (16.0, 32.0, 64.0)]
    acting += [reading("audio_guidance", value, mouth=value) for value in (1.0, 2.0)]
    assert all(check.met for check in control_checks(acting))
    dead = [replace(row, head_degrees=1.0, mouth=0.03 - 1e-3 * row.value) for row in acting]
    names = [check.name for check in control_checks(dead) if not check.met]
    assert names[0] == "head movement at --head-motion 64 over 16"
    assert names[1:] == ["mouth, last over first audio_guidance", "ranks of mouth and audio_guidance"]
    jumbled = [replace(row, expression=(row.value - 33) ** 2) for row in acting]
    assert "ranks of expression and expression" in [c.name for c in control_checks(jumbled) if not c.met]


def test_lip_correlation_lost_to_head_motion_is_named():
    rows = [
        reading("head_motion", 16.0, head_degrees=1.0),
        reading("head_motion", 64.0, head_degrees=3.0, r_real=0.25),
    ]
    assert [check.name for check in control_checks(rows) if not check.met] == [
        "change of r_real from 16 to 64"
    ]
    without = [replace(row, r_real=float("nan")) for row in rows]
    assert all(check.met for check in control_checks(without))


def test_checks_include_their_bounds():
    assert Check(name="x", value=0.4, low=0.4).met
    assert not Check(name="x", value=0.51, high=0.5).met
    assert not Check(name="x", value=float("nan"), low=0.4).met
    assert str(Check(name="x", value=0.3, low=0.4)) == "MISSED x: 0.3 (at least 0.4)"


def test_reports_are_read_by_people_and_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    check = Check(name="speed", value=2.0, high=2.5)
    path = publish("name", tmp_path / "new", rows=[{"clip": "a", "r": 0.5}], checks=[check])
    told = json.loads(path.read_text())
    assert told["rows"] == [{"clip": "a", "r": 0.5}]
    assert told["checks"] == [{"name": "speed", "value": 2.0, "met": True, "high": 2.5}]
    assert "| a    | 0.500 |" in capsys.readouterr().out


def test_tables_align():
    lines = markdown_table([{"a": "long name", "b": 0.00123}, {"a": "x", "b": 12.0}]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "0.00123" in lines[2]


@pytest.mark.parametrize("script", sorted(path.name for path in BENCHMARKS.glob("*.py")))
def test_scripts_answer_help(script: str, capsys: pytest.CaptureFixture[str]):
    main = runpy.run_path(str(BENCHMARKS / script), run_name="benchmark")["main"]
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    assert "usage" in capsys.readouterr().out

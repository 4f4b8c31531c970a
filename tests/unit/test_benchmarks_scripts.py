"""The reports of the benchmarks; every script answers --help."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lib.report import Check, markdown_table, publish

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_checks_include_their_bounds():
    assert Check("x", 0.4, low=0.4).met
    assert not Check("x", 0.51, high=0.5).met
    assert not Check("x", float("nan"), low=0.4).met
    assert str(Check("x", 0.3, low=0.4)) == "MISSED x: 0.3 (at least 0.4)"


def test_reports_are_printed_and_written_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    check = Check("speed", 2.0, high=2.5)
    path = publish("name", tmp_path / "new", rows=[{"clip": "a", "r": 0.5}], checks=[check])
    report = json.loads(path.read_text())
    assert report["rows"] == [{"clip": "a", "r": 0.5}]
    assert report["checks"] == [{"name": "speed", "value": 2.0, "met": True, "high": 2.5}]
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


def test_scripts_run_by_their_path_from_any_folder(tmp_path: Path):
    line = [sys.executable, BENCHMARKS / "against.py", "--help"]
    assert "usage" in subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

"""A list of jobs: all good ones are made, bad ones are reported, and what is done is not done again."""

import json
import shutil
from pathlib import Path

from command import PORTRAIT

from sonimate.apps.cli import main


def batch(folder: Path, jobs: list[dict[str, object]], *more: str) -> int:
    (folder / "jobs.jsonl").write_text("\n".join(map(json.dumps, jobs)) + "\n")
    return main(["batch", str(folder / "jobs.jsonl"), "-o", str(folder / "out"), *more])


def job(sound: Path, name: str, **options: object) -> dict[str, object]:
    return {
        "portrait": str(PORTRAIT),
        "audio": str(sound),
        "output": name,
        "size": 256,
        "steps": 2,
        "duration": 0.3,
    } | options


def report(folder: Path) -> dict:
    return json.loads((folder / "out/report.json").read_text())


def test_a_list_is_made_once(words, tmp_path, capsys):
    good = [job(words, f"{index}.mp4", seed=index) for index in range(3)]
    bad = job(words, "no face.mp4", portrait=str(words)) | {"steps": 0}
    missing = job(words, "sub/missing.mp4", portrait="missing.png")
    outside = job(words, "../outside.mp4")
    assert batch(tmp_path, [*good, bad, missing, outside], "--jobs", "1") == 1
    first = report(tmp_path)
    assert (first["succeeded"], first["failed"], first["made_by_this_run"]) == (3, 3, 3)
    reasons = {result["output"]: result["error"]["message"] for result in first["results"][3:]}
    assert "steps" in reasons["no face.mp4"]
    assert "missing.png" in reasons["sub/missing.mp4"]
    assert "outside" in reasons["../outside.mp4"]
    assert sorted(result["model_loads"] for result in first["results"][:3]) == [0, 0, 1]
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.mp4")}
    assert sorted(written) == ["0.mp4", "1.mp4", "2.mp4"]
    assert "of 6 jobs failed" in capsys.readouterr().err

    log = (tmp_path / "out/state.jsonl").read_text()
    assert batch(tmp_path, [*good, bad, missing, outside]) == 1
    assert (tmp_path / "out/state.jsonl").read_text() == log
    assert report(tmp_path)["failed"] == 3

    (tmp_path / "out/1.mp4").unlink()
    assert batch(tmp_path, good) == 0
    assert report(tmp_path)["made_by_this_run"] == 1
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.mp4")}
    assert {name for name in written if again[name] == written[name]} == {"0.mp4", "2.mp4"}
    assert batch(tmp_path, good) == 0
    assert report(tmp_path)["made_by_this_run"] == 0


def test_speakers_of_a_line_have_their_own_sounds(words, pair, tmp_path):
    sound = Path(shutil.copy(words, tmp_path))
    two = job(words, "two.mp4", portrait=str(pair), speaker={"1": str(sound), "2": str(sound)})
    one = two | {"output": "one.mp4", "speaker": {"1": str(words)}}
    del two["audio"], one["audio"]
    assert batch(tmp_path, [two, one], "--jobs", "1") == 0, report(tmp_path)
    assert batch(tmp_path, [two, one]) == 0
    assert report(tmp_path)["made_by_this_run"] == 0
    sound.touch()
    assert batch(tmp_path, [two, one | {"audio": str(words)}], "--jobs", "1") == 1
    assert report(tmp_path)["made_by_this_run"] == 1
    assert "not both" in report(tmp_path)["results"][1]["error"]["message"]

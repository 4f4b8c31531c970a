"""Footage whose motion is known goes through all stages into shards; killed, repeated or spread over
processes, the shards are the same bytes."""

import argparse
import hashlib
import json
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from footage import CAST, FRAMES, OPTIONS, make_footage, opening, voice
from processes import child_process

from sonimate.apps import prepare as command
from sonimate.errors import ExtraMissing, FileMissing, OutdatedData
from sonimate.face.regions import mouth_opening
from sonimate.footage.clip_id import ClipId
from sonimate.footage.prepare_report import Report
from sonimate.footage.preparer import list_sources, prepare
from sonimate.footage.retiming import delayed
from sonimate.footage.shards import CLIPS, REJECTED, read_shards, write_shards
from sonimate.media.video import read_frames


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    make_footage(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("prepared")
    return out, prepare(footage, out, OPTIONS)


def digests(out: Path) -> dict[str, str]:
    """sha256 of all shards and reports."""
    files = [*sorted(out.glob("*.tar")), out / "report.json", out / "report.md", out / "distributions.png"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_sample_is_accepted_or_has_its_reason_counted(prepared):
    out, report = prepared
    decisions = {(sample["source"], sample["decision"]) for sample in report.samples}
    assert decisions == {
        ("two.mp4", "accepted"),
        ("still.mp4", "quality: mouth does not move"),
        ("brief.mp4", "probe: too short"),
        ("mute.mp4", "probe: no sound"),
        ("torn.mp4", "probe: UnreadableVideo"),
    }
    assert (report.sources, report.clips, report.seconds) == (5, 2, 2 * FRAMES / 25)
    stages = {stage["stage"]: stage for stage in json.loads((out / "report.json").read_text())["stages"]}
    assert stages["probe"]["reasons"] == {"UnreadableVideo": 1, "no sound": 1, "too short": 1}
    assert (stages["quality"]["entered"], stages["quality"]["rejected"]) == (3, 1)
    assert "mouth does not move (1)" in (out / "report.md").read_text()
    assert (out / "distributions.png").read_bytes().startswith(b"\x89PNG")


def test_shards_hold_what_was_acted_shot_by_shot(prepared, tmp_path):
    out, _ = prepared
    clips = list(read_shards(out))
    assert [clip.record["start_seconds"] for clip in clips] == [0, FRAMES / 25]
    for clip, name in zip(clips, CAST, strict=True):
        record, landmarks = clip.record, clip.landmarks()
        assert (record["source"], record["speaker"], record["rejection"]) == ("two.mp4", "actor", None)
        assert np.corrcoef(mouth_opening(landmarks), opening(voice(name)))[0, 1] > 0.7
        moved = delayed(voice(name), record["sync"]["delay_ms"])
        assert np.corrcoef(clip.sound(), moved)[0, 1] > 0.9
        assert landmarks.shape == (FRAMES, 478, 3)
        assert landmarks.dtype == np.float32
        assert abs(record["sync"]["lag_ms"]) <= 40
        assert record["sync"]["delay_ms"] == record["sync"]["lag_ms"]
        assert 0 < record["buckets"]["head"] < 128
        x0, y0, x1, y1 = record["face_box"]["box"]
        np.testing.assert_allclose((x0, x1), (landmarks[..., 0].min(), landmarks[..., 0].max()), atol=1e-3)
        assert 0 < y0 < y1 < OPTIONS.size_px
        video = tmp_path / f"{name}.mp4"
        video.write_bytes(clip.read(".mp4"))
        frames = list(read_frames(video))
        assert len(frames) == FRAMES
        assert frames[0].shape == (OPTIONS.size_px, OPTIONS.size_px, 3)


def test_rejected_samples_are_kept_apart_with_their_reasons(prepared):
    out, _ = prepared
    rejected = {clip.record["source"]: clip for clip in read_shards(out, REJECTED)}
    assert set(rejected) == {"brief.mp4", "mute.mp4", "still.mp4", "torn.mp4"}
    assert rejected["still.mp4"].record["rejection"]["reason"] == "mouth does not move"
    assert set(rejected["still.mp4"].members) == {".json", ".landmarks.npy"}
    assert len(rejected["still.mp4"].landmarks()) == FRAMES
    assert set(rejected["torn.mp4"].members) == {".json"}


def test_files_whose_names_look_alike_are_all_there_each_a_speaker_of_its_own(tmp_path):
    names = ["a.partial.mp4", "a/b.mp4", "a_b.mp4", "c/b.mp4"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no video")
    prepare(tmp_path, tmp_path / "out", OPTIONS)
    rejected = list(read_shards(tmp_path / "out", REJECTED))
    assert [clip.clip_id for clip in rejected] == [ClipId(name) for name in names]
    assert [clip.record["speaker"] for clip in rejected] == names
    assert [clip.key for clip in rejected] == [clip.clip_id.key for clip in rejected]


def test_shards_of_an_earlier_version_are_refused(tmp_path):
    (tmp_path / "a-0123-000000.json").write_text('{"clip": "a.mp4#0@1.0v0", "source": "a.mp4"}')
    write_shards(tmp_path, CLIPS, [tmp_path / "a-0123-000000"], max_bytes=1)
    with pytest.raises(OutdatedData, match="Run `sonimate prepare` again"):
        next(read_shards(tmp_path))


def test_preparing_again_into_another_folder_gives_the_same_bytes(prepared, footage, tmp_path):
    out, report = prepared
    assert prepare(footage, tmp_path, OPTIONS) == report
    assert digests(tmp_path) == digests(out)


def test_preparing_again_into_the_same_folder_does_nothing_twice_and_changes_no_byte(prepared, footage):
    out, report = prepared
    before, done = digests(out), []
    (out / "clips-000007.tar").write_bytes(b"of an older run")
    assert prepare(footage, out, OPTIONS, progress=lambda *step: done.append(step)) == report
    assert digests(out) == before
    assert done == []


def test_a_second_run_into_a_folder_of_the_footage_leaves_out_what_the_first_has_made(footage, tmp_path):
    shutil.copytree(footage, tmp_path / "footage", ignore=shutil.ignore_patterns("two.mp4"))
    out = tmp_path / "footage" / "shards"
    report = prepare(tmp_path / "footage", out, OPTIONS)
    next(path for path in (out / "cache").iterdir()).joinpath("crop.mp4").write_bytes(b"a crop")
    assert prepare(tmp_path / "footage", out, OPTIONS) == report


def test_a_stopped_run_shows_no_shard_and_is_finished_by_the_next(prepared, footage, tmp_path):
    out, _ = prepared

    def stop(done: int, total: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(footage, tmp_path, OPTIONS, progress=stop)
    assert not list(tmp_path.glob("*.tar"))
    left = []
    prepare(footage, tmp_path, OPTIONS, progress=lambda done, total, name: left.append(done))
    assert left == [3, 4, 5]
    assert digests(tmp_path) == digests(out)


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_next(prepared, footage, tmp_path):
    """SIGKILL while a file is being tracked, when others are done."""
    out, _ = prepared
    code = (
        "import sys; from pathlib import Path; from sonimate.footage.preparer import *; "
        f"prepare(Path(sys.argv[1]), Path(sys.argv[2]), {OPTIONS!r})"
    )
    with child_process((sys.executable, "-c", code, footage, tmp_path)) as process:
        while not list(tmp_path.glob("cache/.*/*.landmarks.npy")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert list(tmp_path.glob("cache/.*"))
    assert not list(tmp_path.glob("*.tar"))
    prepare(footage, tmp_path, OPTIONS)
    assert digests(tmp_path) == digests(out)


def test_finished_work_is_known_by_the_file_and_the_options(footage):
    first, second, *_ = list_sources(footage)
    assert first.fingerprint(OPTIONS) == first.fingerprint(replace(OPTIONS, shard_bytes=1))
    others = [replace(OPTIONS, size_px=64), replace(OPTIONS, min_face_px=65)]
    prints = {first.fingerprint(options) for options in (OPTIONS, *others)}
    assert len(prints | {second.fingerprint(OPTIONS)}) == 4


def test_a_folder_without_videos_is_an_error(tmp_path):
    with pytest.raises(FileMissing, match="No videos"):
        prepare(tmp_path, tmp_path / "out", OPTIONS)
    with pytest.raises(FileMissing, match="holds no shards"):
        next(read_shards(tmp_path))


def test_a_missing_package_is_named_with_its_extra(monkeypatch, footage, tmp_path):
    monkeypatch.delitem(sys.modules, "sonimate.distributed.prepare_ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExtraMissing, match=r"pip install -e '\.\[ray\]'"):
        command.run(parsed(footage, tmp_path, "--ray", "local"))


def test_a_package_that_only_the_report_needs_is_missed_before_any_work(monkeypatch, footage, tmp_path):
    for name in ("sonimate.footage.preparer", "sonimate.footage.prepare_report"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ExtraMissing, match=r"matplotlib is not installed.*pip install -e '\.\[prepare\]'"):
        command.run(parsed(footage, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def parsed(footage: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["prepare", str(footage), "-o", str(out), *more])

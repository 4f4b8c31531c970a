"""A folder belongs to one run, and one process at a time writes to it."""

import json

import pytest

from sonimate.errors import FolderInUse, FolderOfAnotherRun, OutputNotWritable
from sonimate.media.folders import FolderRecord, differences, files_fingerprint, fingerprint, locked


def test_a_record_agrees_with_its_own_values_and_names_what_differs(tmp_path):
    record = FolderRecord(tmp_path / "run" / "run.json")
    with pytest.raises(FolderOfAnotherRun, match=r"holds results, but no run\.json\. Choose another folder"):
        record.check({"seed": 1})
    record.write({"seed": 1, "shape": (2, 3), "made": ["a"]})
    record.check({"seed": 1, "shape": (2, 3)})
    with pytest.raises(FolderOfAnotherRun, match=r"differs in seed \(1 there, 2 here\)\. Start again\."):
        record.check({"seed": 2, "shape": (2, 3)}, advice="Start again.")
    with pytest.raises(FolderOfAnotherRun, match=r"size \(None there, 5 here\)"):
        record.check({"size": 5})


def test_a_record_that_cannot_be_written_is_an_error_for_users(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        FolderRecord(tmp_path / "file" / "run.json").write({})


def test_differences_enter_settings_and_leave_out_long_values():
    old = {"settings": {"steps": 1, "unet": {"a": 1}}, "data": "x" * 200}
    new = {"settings": {"steps": 2, "unet": {"a": 2}}, "data": "y" * 200}
    assert differences(old, new) == ["steps (1 there, 2 here)", "unet", "data"]
    assert differences(old, json.loads(json.dumps(old))) == []


def test_one_process_at_a_time_holds_a_folder(tmp_path):
    with (
        locked(tmp_path / "out"),
        pytest.raises(FolderInUse, match="Another run is writing to"),
        locked(tmp_path / "out"),
    ):
        pass
    with locked(tmp_path / "out"):
        pass


def test_fingerprints_change_with_each_part_and_each_file(tmp_path):
    assert fingerprint("a", 1) == fingerprint("a", 1) != fingerprint("a", 2)
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(bytes(3_000_000))
    before = files_fingerprint(tmp_path, "*.safetensors")
    (tmp_path / "notes.txt").write_text("of no account")
    assert files_fingerprint(tmp_path, "*.safetensors") == before
    (tmp_path / "b.safetensors").write_bytes(bytes(2_999_999) + b"1")
    assert files_fingerprint(tmp_path, "*.safetensors") != before

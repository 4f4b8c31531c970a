"""The files of footage and their speakers; footage that cannot be prepared is an error before any work."""

import re
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import sonimate
from sonimate.apps.cli import main
from sonimate.errors import FileMissing, FolderInUse, InvalidManifest
from sonimate.footage import preparer
from sonimate.footage.prepare_options import PrepareOptions
from sonimate.footage.preparer import Preparer, own_videos, prepare
from sonimate.footage.sources import find_footage, read_speakers
from sonimate.media.folders import LOCK

OPTIONS = PrepareOptions()


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    (folder / "more").mkdir(parents=True)
    for name in ("a.mp4", "more/b.MOV"):
        (folder / name).write_bytes(b"no video")
    return folder


def names(folder: Path, out: Path) -> set[str]:
    found = find_footage(folder, without=own_videos(folder, out))
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.mark.parametrize("inside", [".", "shards", "more/shards", "../elsewhere", ".."])
def test_what_prepare_writes_is_no_footage_wherever_it_lies(footage, inside):
    out = footage / inside
    (out / "cache" / "0123").mkdir(parents=True)
    (out / "cache" / "0123" / "clip.mp4").write_bytes(b"a crop")
    assert names(footage, out) == {"a.mp4", "more/b.MOV"}


def test_speakers_are_read_of_what_spreadsheets_write(footage):
    (footage / "MANIFEST.tsv").write_bytes("\ufefffile\tspeaker\r\na.mp4\tZoë\r\n".encode())
    assert read_speakers(footage) == {"a.mp4": "Zoë"}


MANIFESTS = {
    "no column `file`": b"name\tspeaker\na.mp4\tsomeone\n",
    "Save it as UTF-8": "file\tspeaker\na.mp4\tZo\u00eb\n".encode("latin-1"),
}


@pytest.mark.parametrize("message", MANIFESTS)
def test_a_manifest_that_cannot_be_read_is_an_error(footage, message):
    (footage / "MANIFEST.tsv").write_bytes(MANIFESTS[message])
    with pytest.raises(InvalidManifest, match=message):
        read_speakers(footage)


def test_a_file_in_place_of_the_output_folder_ends_with_exit_code_2(footage, tmp_path, capsys):
    out = tmp_path / "out"
    out.write_bytes(b"a file")
    assert main(["prepare", str(footage), "-o", str(out)]) == 2
    assert f"{out} cannot be written" in capsys.readouterr().err
    assert out.read_bytes() == b"a file"


def test_a_second_run_in_the_same_folder_is_refused_and_touches_nothing(footage, tmp_path):
    work = tmp_path / "out" / "cache" / ".0123.77"
    work.mkdir(parents=True)
    with FileLock(tmp_path / "out" / LOCK), pytest.raises(FolderInUse, match="Another run is writing"):
        prepare(footage, tmp_path / "out", OPTIONS)
    assert work.exists()


def test_files_that_a_file_manager_puts_into_the_cache_do_not_stop_a_run(footage, tmp_path):
    cache = tmp_path / "out" / "cache"
    cache.mkdir(parents=True)
    for name in (".DS_Store", "Thumbs.db"):
        (cache / name).write_bytes(b"icons")
    assert prepare(footage, tmp_path / "out", OPTIONS).sources == 2
    assert not {".DS_Store", "Thumbs.db"} & {path.name for path in cache.iterdir()}


def test_only_the_command_sets_thread_counts_and_gives_them_back(footage, tmp_path):
    """Nothing that is imported may change how many threads the rest of a program computes with."""
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    seen = []
    try:
        Preparer(OPTIONS)
        seen.append(torch.get_num_threads())
        assert main(["prepare", str(footage), "-o", str(tmp_path / "out")]) == 0
        seen.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(threads)
    assert seen == [3, 3]


def test_no_module_but_apps_sets_thread_counts():
    package = Path(sonimate.__file__).parent
    setting = re.compile(r"set_num_threads|set_num_interop_threads|OMP_NUM_THREADS|cv2\.setNumThreads")
    modules = {
        path.relative_to(package) for path in package.rglob("*.py") if setting.search(path.read_text())
    }
    assert {path.parts[0] for path in modules} <= {"apps", "distributed"}


def test_the_command_has_the_defaults_of_its_options(monkeypatch, tmp_path):
    seen: list[PrepareOptions] = []

    def stop(footage: Path, out: Path, options: PrepareOptions, **_: object) -> None:
        seen.append(options)
        raise FileMissing("stop")

    monkeypatch.setattr(preparer, "prepare", stop)
    assert main(["prepare", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert seen == [PrepareOptions()]

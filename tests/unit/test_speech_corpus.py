"""A folder holds one corpus: a run that would mix two, or that lacks voices, is refused."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sonimate.apps.cli import main
from sonimate.errors import FileMissing, FolderOfAnotherRun
from sonimate.speech import corpus, voices
from sonimate.speech.corpus import RECORD, VERSION, claim, plan_utterances
from sonimate.speech.phones import Phone
from sonimate.speech.recordings import ASTERISK_FOLDERS
from sonimate.speech.utterances import Phrase, find_utterances, save_pool, utterance_path
from sonimate.types import Waveform


def phrase(seconds: float) -> Phrase:
    samples = np.zeros(round(seconds * 16_000), np.float32)
    return Phrase(Waveform(samples, 16_000), [Phone("aa", 0.0, seconds)], "someone", "en", "ah")


def with_utterances(folder: Path, count: int, seed: int) -> Path:
    """The folder after a run."""
    for index in range(count):
        utterance_path(folder, index).touch()
    (folder / RECORD).write_text(json.dumps({"seed": seed, "version": VERSION}))
    return folder


def run(out: Path, *more: object) -> int:
    """The command, on a machine without any recording."""
    nowhere = out.parent / "nowhere"
    folders = ["--recordings", nowhere, "--transcripts", nowhere, "--testdata", nowhere]
    return main(["speech", "-o", *map(str, [out, *folders, *more])])


def test_without_recordings_their_packages_are_named_and_nothing_is_left(tmp_path, capsys):
    assert run(tmp_path / "out") == 2
    message = capsys.readouterr().err
    for language in ASTERISK_FOLDERS:
        assert f" asterisk-core-sounds-{language} asterisk-core-sounds-{language}-g722" in message
    assert " pocketsphinx-testdata" in message
    assert not (tmp_path / "out").exists()


def test_without_a_voice_its_package_is_named_and_nothing_is_left(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    for language in ASTERISK_FOLDERS:
        save_pool([phrase(1.0)], Counter(), out / f"pool-{language}.npz")
    before = sorted(out.iterdir())
    monkeypatch.setattr(voices.shutil, "which", lambda name: None if name == "festival" else name)
    assert run(out) == 2
    assert "apt install festival festvox-kallpc16k festvox-us-slt-hts" in capsys.readouterr().err
    assert sorted(out.iterdir()) == before


def test_an_empty_pool_of_an_earlier_version_is_not_used(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(corpus, "require_engines", lambda: None)
    for language in ASTERISK_FOLDERS:
        save_pool([], Counter(), tmp_path / f"pool-{language}.npz")
    assert run(tmp_path) == 2
    assert "pool-en.npz holds no phrases" in capsys.readouterr().err
    with pytest.raises(FileMissing, match="holds no utterances"):
        find_utterances(tmp_path)


@pytest.mark.parametrize("record", [None, {"seed": 0}, {"seed": 0, "version": VERSION - 1}])
def test_utterances_of_an_earlier_version_are_not_mixed_with_new_ones(tmp_path, record):
    (with_utterances(tmp_path, 3, 0) / RECORD).unlink()
    if record:
        (tmp_path / RECORD).write_text(json.dumps(record))
    with pytest.raises(FolderOfAnotherRun, match="same version of sonimate go on here"):
        claim(tmp_path, seed=0, count=3)


def test_another_seed_in_the_same_folder_is_refused(tmp_path):
    with_utterances(tmp_path, 3, 0)
    with pytest.raises(FolderOfAnotherRun, match=r"seed \(0 there, 1 here\)"):
        claim(tmp_path, seed=1, count=3)


def test_fewer_utterances_than_there_are_is_refused(tmp_path):
    with_utterances(tmp_path, 3, 0)
    with pytest.raises(FolderOfAnotherRun, match="3 utterances, more than the 2"):
        claim(tmp_path, seed=0, count=2)


def test_the_same_seed_goes_on_and_may_add(tmp_path):
    with_utterances(tmp_path, 3, 0)
    for count in (3, 5):
        claim(tmp_path, seed=0, count=count)
    assert json.loads((tmp_path / RECORD).read_text()) == {"seed": 0, "version": VERSION}


def test_what_is_added_is_what_a_longer_run_would_have_made():
    pools = {"en": [phrase(1 + 0.1 * k) for k in range(20)], "it": [phrase(2.0), phrase(3.0)]}
    assert plan_utterances(pools, 100, seed=2)[:40] == plan_utterances(pools, 40, seed=2)


def test_an_empty_folder_takes_any_seed(tmp_path):
    claim(tmp_path, seed=1, count=3)
    claim(tmp_path, seed=2, count=3)
    with_utterances(tmp_path, 3, 2)


def test_unfinished_utterances_are_none(tmp_path):
    with_utterances(tmp_path, 2, 0)
    (tmp_path / "0002.part.npz").touch()
    assert [path.name for path in find_utterances(tmp_path)] == ["0000.npz", "0001.npz"]


def corpus_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in find_utterances(folder)}


def test_a_corpus_is_made_by_several_processes_and_more_minutes_add_to_it(tmp_path, capsys, monkeypatch):
    """Only human phrases: their pools are there, and no engine is needed."""
    monkeypatch.setattr(corpus, "SHARES", {"human": 1.0})
    monkeypatch.setattr(corpus, "require_engines", lambda: None)
    for language in ASTERISK_FOLDERS:
        save_pool(
            [phrase(1 + 0.1 * k) for k in range(20)], Counter(noisy=1), tmp_path / f"pool-{language}.npz"
        )
    assert run(tmp_path, "--minutes", "0.4", "--jobs", "2") == 0
    first = corpus_files(tmp_path)
    assert list(first) == ["0000.npz", "0001.npz", "0002.npz"]
    assert run(tmp_path, "--minutes", "0.7") == 0
    assert {name: corpus_files(tmp_path)[name] for name in first} == first
    assert len(find_utterances(tmp_path)) == 5
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [facts["index"] for facts in manifest["utterances"]] == list(range(5))
    assert manifest["rejected_recordings"]["ru"] == {"noisy": 1}
    assert "5 utterances" in capsys.readouterr().out
    assert not list(tmp_path.glob(".*"))

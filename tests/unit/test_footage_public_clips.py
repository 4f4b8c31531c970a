"""Public clips arrive whole or are named; what is there already is kept."""

import hashlib
import logging
from http.client import IncompleteRead

import pytest

from sonimate.errors import DownloadCorrupted, FileMissing
from sonimate.footage import public_clips
from sonimate.footage.sources import read_collections, read_speakers, read_terms

CLIPS = [
    {
        "file": f"{name}.mp4",
        "speaker": f"of {name}",
        "repository": "people/clips",
        "commit": "main",
        "path": f"some folder/{name}.mp4",
        "sha256": hashlib.sha256(name.encode()).hexdigest(),
        "terms": "CC BY 4.0",
        "cleared": "yes" if name == "two" else "no",
    }
    for name in ("one", "two")
]


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A folder in a web server's place."""
    monkeypatch.setattr(public_clips, "public_clips", lambda: CLIPS)
    repository = tmp_path / "host" / "people" / "clips" / "main" / "some folder"
    repository.mkdir(parents=True)
    for name in ("one", "two"):
        (repository / f"{name}.mp4").write_bytes(name.encode())
    return tmp_path / "host"


def test_clips_arrive_with_their_speakers_and_are_not_fetched_twice(host, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "clips"
    public_clips.fetch_clips(folder, host.as_uri(), uncleared=True)
    assert {path.name for path in folder.iterdir()} == {"one.mp4", "two.mp4", "MANIFEST.tsv"}
    assert (folder / "one.mp4").read_bytes() == b"one"
    assert read_speakers(folder) == {"one.mp4": "of one", "two.mp4": "of two"}
    assert "people/clips: CC BY 4.0" in caplog.messages
    public_clips.fetch_clips(folder, (tmp_path / "nowhere").as_uri(), uncleared=True)


def test_only_cleared_clips_are_fetched_unless_others_are_asked_for(host, tmp_path):
    folder = tmp_path / "clips"
    public_clips.fetch_clips(folder, host.as_uri())
    assert {path.name for path in folder.iterdir()} == {"two.mp4", "MANIFEST.tsv"}
    assert read_collections(folder, ["two.mp4"]) == {"two.mp4": "people/clips"}
    assert read_terms(folder, ["two.mp4", "x.mp4"]) == {"two.mp4": "CC BY 4.0", "x.mp4": ""}


def test_a_missing_clip_is_named_and_the_others_kept(host, tmp_path):
    (host / "people/clips/main/some folder/two.mp4").unlink()
    with pytest.raises(FileMissing, match=r"two\.mp4 cannot be downloaded"):
        public_clips.fetch_clips(tmp_path / "clips", host.as_uri(), uncleared=True)
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["one.mp4"]


def test_a_connection_that_ends_early_is_an_error_for_users(monkeypatch, tmp_path):
    def cut_off(*_: object, **__: object) -> None:
        raise IncompleteRead(b"a", 9)

    monkeypatch.setattr(public_clips, "urlopen", cut_off)
    with pytest.raises(FileMissing, match=r"cannot be downloaded \(IncompleteRead"):
        public_clips.fetch_clips(tmp_path / "clips")


def test_another_file_under_the_same_name_is_refused(host, tmp_path):
    (host / "people/clips/main/some folder/one.mp4").write_bytes(b"changed")
    with pytest.raises(DownloadCorrupted, match="not the file"):
        public_clips.fetch_clips(tmp_path / "clips", host.as_uri(), uncleared=True)
    assert list((tmp_path / "clips").iterdir()) == []


def test_every_public_clip_has_an_address_a_checksum_and_terms():
    rows = public_clips.public_clips()
    assert len({row["file"] for row in rows}) == len(rows) == 102
    cleared = [row for row in rows if row["cleared"] == "yes"]
    assert len(cleared) == 89
    assert all(row["terms"].startswith("CC BY 4.0") for row in cleared)
    assert not any(row["terms"].startswith("CC BY 4.0") for row in rows if row not in cleared)
    assert all(len(row["sha256"]) == 64 and row["terms"] and row["speaker"] for row in rows)
    assert all(row["repository"].count("/") == 1 and row["path"] and row["commit"] for row in rows)

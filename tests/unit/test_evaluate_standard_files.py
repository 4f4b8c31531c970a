from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_networks import published
from torch import nn

from sonimate.errors import InvalidCheckpoint, NetworkFileMissing, WrongNetworkFile
from sonimate.evaluate.standard.standard_files import (
    ARCFACE,
    FOLDER_VARIABLE,
    RECORD,
    STANDARD_FILES,
    SYNCNET,
    StandardFile,
    find_standard,
)
from sonimate.evaluate.standard.weights import filled, published_tensors


@pytest.mark.parametrize("file", STANDARD_FILES, ids=lambda file: file.names[0])
def test_a_missing_file_is_named_with_its_source_and_its_place(
    file: StandardFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with pytest.raises(NetworkFileMissing) as missing:
        find_standard(file, tmp_path)
    for part in (file.names[0], file.published, str(tmp_path), file.licence, file.measure):
        assert part in str(missing.value)
    with pytest.raises(NetworkFileMissing, match=FOLDER_VARIABLE):
        find_standard(file, None)


@pytest.mark.parametrize(
    "file", [file for file in STANDARD_FILES if file.sha256], ids=lambda file: file.names[0]
)
def test_another_file_of_the_same_name_is_refused(file: StandardFile, tmp_path: Path) -> None:
    assert len(bytes.fromhex(file.sha256)) == 32
    for name in file.names:
        (tmp_path / name).write_bytes(b"another network")
        with pytest.raises(WrongNetworkFile, match=file.sha256):
            find_standard(file, tmp_path)
        (tmp_path / name).unlink()


def test_the_folder_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = published(SYNCNET, tmp_path, {})
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert find_standard(file, None) == tmp_path / file.names[0]


def test_a_file_of_unknown_hash_is_recorded_at_first_and_compared_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not ARCFACE.sha256
    path = tmp_path / ARCFACE.names[1]
    path.write_bytes(b"weights")
    with caplog.at_level("WARNING", logger="sonimate"):
        find_standard(ARCFACE, tmp_path)
    assert "not checked" in caplog.text
    caplog.clear()
    assert find_standard(ARCFACE, tmp_path) == path
    assert not caplog.text
    path.write_bytes(b"other weights")
    with pytest.raises(WrongNetworkFile, match=RECORD):
        find_standard(ARCFACE, tmp_path)


def test_only_tensors_are_unpickled_and_all_must_fit(tmp_path: Path) -> None:
    path = tmp_path / "network.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(InvalidCheckpoint, match="cannot be read"):
        published_tensors(path)
    for content in (b"", b"no network"):
        path.write_bytes(content)
        with pytest.raises(InvalidCheckpoint, match="cannot be read"):
            published_tensors(path)
    with pytest.raises(InvalidCheckpoint, match="does not fit Linear"):
        filled(nn.Linear(2, 2), nn.Linear(2, 3).state_dict(), path)


def test_every_hash_is_of_one_file() -> None:
    hashes = [file.sha256 for file in STANDARD_FILES if file.sha256]
    assert len(hashes) == len(set(hashes))
    assert replace(ARCFACE, sha256="00").sha256 == "00"

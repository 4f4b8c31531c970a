"""Checkpoint files as streams: the values torch.load gives, and refusal of all that is damaged or unsafe."""

import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonimate.checkpoints import stream
from sonimate.checkpoints.stream import OldPickle, SafetensorsFile, TorchArchive, open_tensors
from sonimate.errors import InvalidCheckpoint

OLD = {"_use_new_zipfile_serialization": False}


def tensors() -> dict[str, Tensor]:
    """All kinds of views: transposed, sliced, shared, of one buffer, and of every type."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(3, 4, generator=generator)
    buffer = torch.randn(40, generator=generator)
    return {
        "whole": matrix,
        "transposed": torch.randn(5, 2, generator=generator).T,
        "tied": matrix,
        "column": matrix[:, 1],
        "last_of_buffer": buffer[30:].view(2, 5),
        "first_of_buffer": buffer[:6],
        "expanded": torch.randn(1, 3, generator=generator).expand(4, 3),
        "scalar": torch.tensor(0.5),
        "half": matrix.half(),
        "bfloat": matrix.bfloat16(),
        "double": matrix.double(),
        "parameter": torch.nn.Parameter(matrix + 1),
    }


def flip(path: Path, values: Tensor) -> None:
    """Change one bit of a tensor's stored values."""
    stored = values.detach().contiguous().numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(stored) + 1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("options", "kind"), [({}, TorchArchive), (OLD, OldPickle)])
def test_pickles_are_read_as_torch_reads_them(tmp_path: Path, options: dict[str, bool], kind: type) -> None:
    path = tmp_path / "a.pth"
    torch.save(tensors(), path, **options)
    file = open_tensors(path)
    assert isinstance(file, kind)
    read = dict(file.read(file.shapes))
    assert read.keys() == tensors().keys()
    for name, expected in torch.load(path, weights_only=True).items():
        assert read[name].dtype == expected.dtype
        assert file.shapes[name] == tuple(expected.shape)
        assert torch.equal(read[name], expected), name


def test_safetensors_are_read_as_the_library_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors().items()}, path)
    file = open_tensors(path)
    assert isinstance(file, SafetensorsFile)
    read = dict(file.read(file.shapes))
    for name, expected in load_file(path).items():
        assert read[name].dtype == expected.dtype
        assert torch.equal(read[name], expected), name


def test_only_wanted_tensors_are_read(tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / "a.pth")
    assert [name for name, _ in open_tensors(tmp_path / "a.pth").read(["half"])] == ["half"]


@pytest.mark.parametrize("name", ["half", "parameter", "double"])
def test_one_flipped_bit_in_an_archive_is_refused_with_the_tensors_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pth"
    torch.save(tensors(), path)
    flip(path, tensors()[name])
    with pytest.raises(InvalidCheckpoint, match=rf"a\.pth is damaged at {name} \(Bad CRC-32"):
        list(open_tensors(path).read(tensors()))


def test_a_flipped_bit_in_an_unused_part_of_a_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    buffer = torch.randn(100)
    torch.save({"part": buffer[:3]}, path)
    flip(path, buffer[50:])
    with pytest.raises(InvalidCheckpoint, match="damaged at part"):
        list(open_tensors(path).read(["part"]))


class RunsCode:
    """Unpickling this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("options", [{}, OLD])
def test_a_pickle_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    torch.save({"a": torch.ones(1), "b": RunsCode(tmp_path / "made")}, tmp_path / "a.pth", **options)
    with pytest.raises(InvalidCheckpoint, match=r"unsafe or damaged: loading it would run \w+\.mkdir\. "):
        open_tensors(tmp_path / "a.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("options", [{}, OLD])
def test_every_truncation_is_refused(tmp_path: Path, options: dict[str, bool]) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(9), "b": torch.ones(7)}, path, **options)
    whole = path.read_bytes()
    for size in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(InvalidCheckpoint, match=r"is damaged|or damaged"):
            list(open_tensors(path).read(["a", "b"]))


@pytest.mark.parametrize(
    "content",
    [b"<html>not found</html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"PK\x03\x04"],
)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidCheckpoint, match=rf"{name} is no checkpoint"):
        open_tensors(tmp_path / name)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"state_dict": {"a": torch.ones(1)}}, "'state_dict'"),
        ({"a": torch.ones(1), "epoch": 3}, "'epoch'"),
        ({"a": torch.ones(3).to_sparse()}, "'a'|is no checkpoint"),
        ({7: torch.ones(3)}, "7"),
        ([torch.ones(1)], "no tensors by name"),
    ],
)
def test_anything_but_tensors_by_name_is_refused(tmp_path: Path, value: object, named: str) -> None:
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(InvalidCheckpoint, match=named):
        open_tensors(tmp_path / "a.pth")


def test_wrappers_are_removed_where_they_are_expected(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {"a": torch.ones(1)}}, tmp_path / "a.pth")
    assert open_tensors(tmp_path / "a.pth", wrappers=("state_dict",)).shapes == {"a": (1,)}


def test_a_view_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    """The pickle says how long a tensor is; the record says how many bytes there are."""
    torch.save({"a": torch.ones(2), "b": torch.ones(2)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as source,
        zipfile.ZipFile(tmp_path / "b.pth", "w") as target,
    ):
        for record in source.infolist():
            short = record.filename.endswith("data/1")
            target.writestr(record.filename, source.read(record)[: 4 if short else None])
    with pytest.raises(InvalidCheckpoint):
        list(open_tensors(tmp_path / "b.pth").read(["b"]))


def test_old_pickles_that_would_fill_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a": torch.ones(9)}, tmp_path / "a.pkl", **OLD)
    monkeypatch.setattr(stream, "MAX_PICKLE_BYTES", 100)
    with pytest.raises(InvalidCheckpoint, match=r"too large to load whole\. Save it anew"):
        open_tensors(tmp_path / "a.pkl")


def test_safetensors_whose_header_lies_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(4)}, path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    for changed in (
        content[:-1],
        content + b"\0",
        content.replace(b"[0,16]", b"[4,16]"),
        content.replace(b'"shape":[4]', b'"shape":[5]'),
        struct.pack("<Q", length + 1) + content[8:],
    ):
        path.write_bytes(changed)
        with pytest.raises(InvalidCheckpoint, match="no checkpoint, or is damaged"):
            open_tensors(path)


def test_integers_in_safetensors_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1), "positions": torch.arange(3)}, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    assert dict(file.read(["a"]))["a"] == 1
    with pytest.raises(InvalidCheckpoint, match="positions has the type I64"):
        list(file.read(["positions"]))

"""The streaming writer: what it writes the library reads, with checksums, or nothing is left."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonimate.checkpoints.stream import SafetensorsFile, write_tensors
from sonimate.errors import InvalidCheckpoint, OutputNotWritable

SHAPES = {"b.weight": (3, 5), "a": (2,), "scalar": ()}


def values(dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_library_reads_what_is_written_in_any_order(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "m.safetensors"
    expected = values(dtype)
    write_tensors(path, SHAPES, dtype, reversed(expected.items()))
    assert os.listdir(tmp_path) == ["m.safetensors"]
    read = load_file(path)
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        assert read[name].dtype == dtype
        assert torch.equal(read[name], tensor)
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["format"] == "pt"
    file = SafetensorsFile(path)
    for name, tensor in read.items():
        file.check(name, tensor)
    assert file.checksums.keys() == read.keys()


def test_views_are_written_in_row_major_order(tmp_path: Path) -> None:
    tensor = torch.arange(6.0).view(2, 3).T
    write_tensors(tmp_path / "m.safetensors", {"a": (3, 2)}, torch.float32, [("a", tensor)])
    assert torch.equal(load_file(tmp_path / "m.safetensors")["a"], tensor)


def test_checksums_are_zlibs_of_the_stored_bytes(tmp_path: Path) -> None:
    tensor = torch.frombuffer(bytearray(b"12345678"), dtype=torch.float32)
    write_tensors(tmp_path / "m.safetensors", {"a": (2,)}, torch.float32, [("a", tensor)])
    assert SafetensorsFile(tmp_path / "m.safetensors").checksums == {"a": zlib.crc32(b"12345678")}


def test_a_flipped_bit_is_refused_with_the_tensors_name(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_tensors(path, SHAPES, torch.float16, values(torch.float16).items())
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # the scalar is last, in two bytes, after two halves
    path.write_bytes(content)
    with pytest.raises(InvalidCheckpoint, match=r"m\.safetensors is damaged: a differs from its checksum"):
        SafetensorsFile(path).check("a", load_file(path)["a"])


def test_files_without_checksums_pass(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors")
    assert SafetensorsFile(tmp_path / "m.safetensors").checksums == {}
    SafetensorsFile(tmp_path / "m.safetensors").check("a", torch.zeros(1))


@pytest.mark.parametrize("checksums", ["[]!", '{"b": 1}', "[1]", '{"a": 1, "b": 2}'])
def test_damaged_checksums_are_refused(tmp_path: Path, checksums: str) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors", metadata={"crc32": checksums})
    with pytest.raises(InvalidCheckpoint, match="is damaged"):
        SafetensorsFile(tmp_path / "m.safetensors")


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, Tensor]]:
        yield "a", torch.ones(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tensors(tmp_path / "m.safetensors", SHAPES, torch.float32, broken())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "given",
    [
        {"a": torch.ones(2)},
        {"a": torch.ones(3)},
        {"a": torch.ones(2).half()},
        {"a": torch.ones(2), "b.weight": torch.ones(5, 3)},
    ],
)
def test_other_tensors_than_announced_are_a_mistake(tmp_path: Path, given: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"was not expected|no values for"):
        write_tensors(tmp_path / "m.safetensors", SHAPES, torch.float32, given.items())
    assert os.listdir(tmp_path) == []


def test_a_failing_disk_is_an_error_of_the_output_and_leaves_nothing(tmp_path: Path) -> None:
    """The system refuses files above 64 KB here, as it refuses what a full disk does not hold."""
    resource = pytest.importorskip("resource", reason="no limits on this system")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    try:
        with pytest.raises(OutputNotWritable, match=r"m\.safetensors cannot be written"):
            write_tensors(
                tmp_path / "m.safetensors", {"a": (99_999,)}, torch.float32, [("a", torch.ones(99_999))]
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []

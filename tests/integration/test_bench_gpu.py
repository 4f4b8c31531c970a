"""`make bench-gpu` at tiny width on the CPU: every part runs, and what cannot run is named."""

import json
import subprocess
import sys
from itertools import islice

import pytest
import torch

import gpu
from lib.command import REPOSITORY
from lib.golden_cases import golden_cases
from lib.random_model import FULL_SIZE, TINY_SIZE, random_unet

TINY = ("--size", "tiny", "--device", "cpu")
PARTS = {"agreement", "UNet step", "drawing", "clip", "peak memory", "training", "UNet step, compiled"}


def bench(folder, *arguments):
    gpu.main([*TINY, "--out", str(folder), *arguments])
    return json.loads((folder / "gpu.json").read_text())


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_every_part_measures_something(tmp_path):
    found = bench(tmp_path, "--budget", "100000")
    rows = found["rows"]
    assert {row["part"] for row in rows} == PARTS
    assert all(row["value"] > 0 for row in rows), rows
    cases = {row["case"]: row for row in rows if row["part"] == "UNet step"}
    assert set(cases) == {"sonimate, bfloat16", "diffusers without audio, bfloat16"}
    assert {row["case"].split(",")[0] for row in rows if row["part"] == "agreement"} == {
        *("unet_a 16x16", "unet_a 16x24", "unet_b 16x16", "audio tokens", "RIFE", "decoding"),
    }
    options = " ".join(row["case"] for row in rows if row["part"] == "peak memory")
    for option in ("--sequential-guidance", "--offload", "--decode-chunk", "--dtype float32"):
        assert option in options
    assert found["checks"][0]["value"] < 1e-4
    assert found["summary"]["torch"] == torch.__version__


def test_golden_numbers_that_differ_are_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "MAX_GOLDEN_ERROR", 1e-9)
    monkeypatch.setattr(gpu, "golden_cases", lambda: islice(golden_cases(), 1))
    with pytest.raises(SystemExit):
        bench(tmp_path, "--parts", "agreement")


def test_a_budget_that_is_spent_skips_and_says_so(tmp_path):
    rows = bench(tmp_path, "--budget", "0")["rows"]
    assert len(rows) == len(gpu.PARTS)
    assert all(row["value"] is None and "budget" in row["note"] for row in rows)


def test_a_part_is_cut_off_when_its_time_is_over(tmp_path):
    def endless(_):
        while True:
            try:
                sum(range(1000))
            except Exception:  # the compiler catches these
                raise AssertionError from None

    measured = gpu.Bench(TINY_SIZE, torch.device("cpu"))
    gpu.run_part(measured, endless, 0.05)
    assert [row["note"] for row in measured.rows] == ["cut off after 0 s"]


def test_a_missing_package_skips_its_part_only(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers.models.unets.unet_spatio_temporal_condition", None)
    rows = bench(tmp_path, "--parts", "unet_step", "training")["rows"]
    (skipped,) = [row for row in rows if row["value"] is None]
    assert skipped["part"] == "unet_step"
    assert "diffusers" in skipped["note"]
    assert {row["part"] for row in rows} == {"UNet step", "unet_step", "training"}


def test_a_machine_with_few_packages_measures_what_it_can(tmp_path):
    """Without those for files and faces, the whole clip is skipped; the UNet is measured."""
    program = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "for name in ('av', 'soxr', 'ai_edge_litert', 'cv2', 'PIL', 'psutil', 'rich', 'diffusers'):\n"
        "    sys.modules[name] = None\n"
        "import gpu; gpu.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, *TINY, "--out", str(tmp_path), "--parts", "unet_step", "clip"]
    subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row["case"] for row in rows if row["value"]] == ["sonimate, bfloat16"]
    assert {row["part"] for row in rows if row["note"].startswith("skipped:")} == {
        *("unet_step", "clip"),
    }


def test_a_defect_of_one_part_is_named_and_fails_the_command(tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("a defect")

    monkeypatch.setattr(gpu, "random_batch", broken)
    with pytest.raises(SystemExit):
        bench(tmp_path, "--parts", "training")
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert row["note"] == "failed: ValueError: a defect"


def test_without_a_gpu_the_command_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="No NVIDIA GPU"):
        gpu.main([])


def test_the_full_size_is_the_released_one():
    unet = random_unet(FULL_SIZE, torch.device("meta"), torch.float16)
    assert sum(parameter.numel() for parameter in unet.parameters()) == 1_575_741_162
    assert FULL_SIZE.halves == ("float16", "bfloat16")

"""One process or two, killed or not: the same loss curve. Each run is a command, as users start it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from processes import child_process
from train_samples import CONFIG, write_data, write_recipe

from sonimate.train.recipes import find_recipe
from sonimate.train.run_folder import LOSSES, RunFolder

STEPS, DIES_AT = 20, 11
HERE = Path(__file__).parent
CALM = replace(
    CONFIG,
    steps=STEPS,
    batch_size=4,
    warmup_steps=5,
    learning_rate=1e-3,
    checkpoint_every=4,
    bucket_steps=0,
    audio_tokens=CONFIG.audio_tokens | {"dropout": 0.0},
    reference_encoder=CONFIG.reference_encoder | {"dropout": 0.0, "noise": 0.0},
)
"""Without dropout, which every process draws for its own rows."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and recipe of a tiny compact model."""
    folder = tmp_path_factory.mktemp("prepared")
    write_data(folder)
    write_recipe(folder / "recipe.yaml", CALM)
    return folder


@contextmanager
def start(
    prepared: Path,
    out: Path,
    processes: int = 1,
    *,
    program: tuple[str, ...] = ("-m", "sonimate"),
    settings: tuple[str, ...] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[list[subprocess.Popen[str]]]:
    """`sonimate train` in one process, or in several as `accelerate launch` and torchrun start them."""
    command = [sys.executable, *program, "train", str(prepared / "recipe.yaml")]
    command += ["--data", str(prepared), "--output", str(out), *(["--set", *settings] if settings else [])]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with ExitStack() as stack:
        started = []
        for rank in range(processes):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(processes)}
            every = os.environ | common | dict(variables) | (group | own if processes > 1 else {})
            started.append(stack.enter_context(child_process(command, env=every, **pipes)))
        yield started


def run(*arguments: Any, code: int = 0, **options: Any) -> list[str]:
    """Start processes and wait for their exit code; returns the standard error of each."""
    with start(*arguments, **options) as processes:
        errors = [process.communicate(timeout=270)[1] for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), errors
    return errors


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Losses of one process that nobody kills."""
    out = tmp_path_factory.mktemp("alone")
    run(prepared, out)
    return RunFolder(out).losses()


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(prepared, alone, tmp_path):
    run(prepared, tmp_path, processes=2)
    assert list(alone) == list(range(STEPS))
    assert RunFolder(tmp_path).losses() == pytest.approx(alone, abs=1e-4)
    assert (tmp_path / "model" / "model_index.json").exists()


@pytest.mark.slow
def test_a_killed_run_has_the_losses_of_an_uninterrupted_one(prepared, alone, tmp_path):
    with start(prepared, tmp_path) as (process,):
        while len(RunFolder(tmp_path).losses()) < DIES_AT:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert DIES_AT <= len(RunFolder(tmp_path).losses()) < STEPS
    checkpoint = json.loads((tmp_path / "checkpoint" / "step.json").read_text())["step"]
    assert 0 < checkpoint <= len((tmp_path / LOSSES).read_text().splitlines())
    run(prepared, tmp_path)
    assert RunFolder(tmp_path).losses() == pytest.approx(alone, abs=1e-6)


@pytest.mark.slow
def test_both_stages_run_in_several_processes_and_under_fsdp(prepared, tmp_path):
    """FSDP with the settings of fsdp.yaml: the second stage has none of the parts to gather."""
    settings = ("steps=6", "bucket_steps=4", "bucket_batch_size=4", "mixed_precision=bf16")
    fsdp = yaml.safe_load(find_recipe("fsdp").read_text())["fsdp_config"]
    fsdp["fsdp_transformer_cls_to_wrap"] = fsdp.pop("fsdp_transformer_layer_cls_to_wrap")
    variables = {name.upper(): str(value) for name, value in fsdp.items()} | {"ACCELERATE_USE_FSDP": "true"}
    sharded = (str(HERE / "fsdp_on_cpu.py"),)
    run(prepared, tmp_path / "plain", 2, settings=settings)
    run(prepared, tmp_path / "fsdp", 2, program=sharded, settings=settings, variables=variables)
    assert (tmp_path / "fsdp" / "checkpoint" / "pytorch_model_fsdp_0").is_dir()
    for stage, steps in ((".", 6), ("audio_to_bucket", 4)):
        one, other = (RunFolder(tmp_path / name / stage).losses() for name in ("plain", "fsdp"))
        assert list(one) == list(range(steps))
        assert other == pytest.approx(one, rel=0.02)
    run(prepared, tmp_path / "fsdp", 2, program=sharded, settings=settings, variables=variables)


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_in_one_process_ends_all(prepared, tmp_path):
    program = (str(HERE / "gradient_of_one_process.py"),)
    for errors in run(prepared, tmp_path, 2, program=program, settings=("accumulation=2",), code=2):
        assert "gradient's norm is nan at step 3, of a batch of " in errors

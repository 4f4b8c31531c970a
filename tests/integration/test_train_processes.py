"""One process or two, killed or not: the same loss curve. Each run is a command, as users start it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from train_samples import CONFIG, DATA

from sonimate.data.compact.features import save_reducers
from sonimate.train.record import LOSSES, read_losses

STEPS, DIES_AT = 20, 11
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
    (folder / "samples").mkdir()
    for sample in DATA.samples:
        sample.save(folder / "samples")
    DATA.codec.save(folder / "codec")
    save_reducers(folder / "reducers.npz", *DATA.reducers)
    recipe = {"model": "compact"} | asdict(CALM) | {"held_out": []}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def start(prepared: Path, out: Path, processes: int = 1) -> list[subprocess.Popen]:
    """`sonimate train` in one process, or in several as `accelerate launch` and torchrun start them."""
    command = [sys.executable, "-m", "sonimate", "train", str(prepared / "recipe.yaml")]
    command += ["--data", str(prepared), "--out", str(out)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    started = []
    for rank in range(processes):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(processes)}
        variables = os.environ | common | (group | own if processes > 1 else {})
        started.append(subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL))
    return started


def finish(processes: list[subprocess.Popen]) -> None:
    try:
        assert [process.wait(timeout=270) for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Losses of one process that nobody kills."""
    out = tmp_path_factory.mktemp("alone")
    finish(start(prepared, out))
    return read_losses(out)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(prepared, alone, tmp_path):
    finish(start(prepared, tmp_path, processes=2))
    assert list(alone) == list(range(STEPS))
    assert read_losses(tmp_path) == pytest.approx(alone, abs=1e-4)
    assert (tmp_path / "model" / "model_index.json").exists()


@pytest.mark.slow
def test_a_run_that_was_killed_has_the_losses_of_one_that_was_not(prepared, alone, tmp_path):
    (process,) = start(prepared, tmp_path)
    try:
        deadline = time.monotonic() + 270
        while len(read_losses(tmp_path)) < DIES_AT and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert DIES_AT <= len(read_losses(tmp_path)) < STEPS
    checkpoint = json.loads((tmp_path / "checkpoint" / "step.json").read_text())["step"]
    assert 0 < checkpoint <= len((tmp_path / LOSSES).read_text().splitlines())
    finish(start(prepared, tmp_path))
    assert read_losses(tmp_path) == pytest.approx(alone, abs=1e-6)

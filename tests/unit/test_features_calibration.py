"""Motion buckets are converted to the unit of the model that training starts from (fault 18)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from latent_data import DIM, write_latent_data

from sonimate.apps.cli import main
from sonimate.checkpoints.registry import AUDIO_TO_BUCKET
from sonimate.checkpoints.store import load_network, save_network
from sonimate.errors import InvalidCheckpoint, TooFewClips
from sonimate.features.calibration import calibrate_buckets, is_calibrated, predicted_buckets, proportion
from sonimate.features.latents import RECORD, read_latents
from sonimate.models.audio_networks import AudioToBucket, AudioToBucketConfig

WIDTH = 8


def write_model(folder: Path, *, bias: float = 0.0) -> Path:
    """The part of a full model that predicts buckets, with random weights."""
    config = AudioToBucketConfig(channels=DIM, intermediate_dim=16, clip_channels=WIDTH)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = AudioToBucket(config)
    with torch.no_grad():
        network.proj3.bias.add_(bias)
    save_network(folder, AUDIO_TO_BUCKET, network, torch.float32)
    return folder


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_the_factor_is_found_among_wild_points(factor):
    rng = np.random.default_rng(0)
    labels = rng.uniform(5, 60, 200)
    predictions = factor * labels + rng.normal(size=200)
    predictions[:60] = rng.uniform(0, 500, 60)
    assert proportion(labels, predictions) == pytest.approx(factor, rel=0.1)
    # least squares would be far off
    assert abs(labels @ predictions / (labels @ labels) / factor - 1) > 0.3


def test_no_other_factor_has_smaller_deviations():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 50, 31), rng.uniform(0, 80, 31)
    x[0] = 0.0

    def deviations(factor: float) -> float:
        return np.abs(y - factor * x).sum()

    found = deviations(proportion(x, y))
    assert all(found <= deviations(factor) + 1e-9 for factor in np.linspace(0, 10, 2001))


def test_training_reads_labels_in_the_unit_of_the_model(tmp_path):
    """With random weights, as nobody's release is at hand: the stored factors are those that fit the
    predictions best, and all later reads apply them."""
    model = write_model(tmp_path / "model")
    before = write_latent_data(tmp_path / "data", count=12, width=WIDTH, model=model)
    assert not is_calibrated(tmp_path / "data")
    network = load_network(model, AUDIO_TO_BUCKET).eval()
    predictions = np.stack([predicted_buckets(network, clip) for clip in before])
    assert predictions.std(0).min() > 0
    factors = calibrate_buckets(tmp_path / "data", model)
    for column, factor in enumerate(factors):
        labels = np.array([clip.buckets[column] for clip in before])
        best = np.abs(predictions[:, column] - factor * labels).sum()
        for other in (0.9 * factor, 1.1 * factor):
            assert np.abs(predictions[:, column] - other * labels).sum() > best
    after = read_latents(tmp_path / "data", model)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other.buckets, one.buckets * factors, rtol=1e-6)
    assert is_calibrated(tmp_path / "data")
    assert calibrate_buckets(tmp_path / "data", model) == factors


def test_clips_beyond_the_range_of_buckets_are_left_out(tmp_path, caplog):
    model = write_model(tmp_path / "model")
    write_latent_data(tmp_path / "data", count=3, width=WIDTH, model=model)
    record = json.loads((tmp_path / "data" / RECORD).read_text())
    (tmp_path / "data" / RECORD).write_text(json.dumps(record | {"bucket_scale": [1.0, 4.2]}))
    assert len(read_latents(tmp_path / "data", model)) == 1  # expression 30, 31 and 32
    assert "2 clips move too much" in caplog.text


def test_what_cannot_be_calibrated_is_refused(tmp_path):
    untrained = write_model(tmp_path / "model", bias=-5.0)
    write_latent_data(tmp_path / "few", count=7, width=WIDTH, model=untrained)
    with pytest.raises(TooFewClips, match="7 clips; a calibration needs 8"):
        calibrate_buckets(tmp_path / "few", untrained)
    write_latent_data(tmp_path / "data", count=8, width=WIDTH, model=untrained)
    with pytest.raises(InvalidCheckpoint, match="no positive motion buckets"):
        calibrate_buckets(tmp_path / "data", untrained)
    assert not is_calibrated(tmp_path / "data")


def test_options_of_one_model_are_refused_for_the_other(tmp_path, capsys):
    shards = [str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(["features", *shards, "--calibrate-buckets"]) == 2
    assert "--calibrate-buckets is an option of the full model" in capsys.readouterr().err
    assert main(["features", *shards, "--model", "compact", "--seed", "1"]) == 2
    assert "--seed is an option of the compact model" in capsys.readouterr().err

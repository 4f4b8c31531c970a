from pathlib import Path

import numpy as np
import pytest
import torch
from package_modules import module_of
from random_networks import published, randomised

from sonimate.evaluate.frechet import FeatureMoments, frechet_distance
from sonimate.evaluate.standard.inception import InceptionFeatures, InceptionV3
from sonimate.evaluate.standard.standard_files import INCEPTION


def test_features_equal_those_of_torch_fidelity_on_equal_random_weights(tmp_path: Path) -> None:
    theirs = module_of("torch_fidelity", "feature_extractor_inceptionv3")
    network = randomised(InceptionV3())
    published(INCEPTION, tmp_path, network.state_dict())
    extractor = theirs.FeatureExtractorInceptionV3("x", ["2048"], str(tmp_path / INCEPTION.names[0]))
    pixels = torch.randint(
        256, (1, 3, 299, 299), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    with torch.inference_mode():
        ours = network((pixels.float() - 128) / 128)
        assert torch.allclose(ours, extractor(pixels)[0], rtol=0, atol=1e-4)
    assert ours.std() > 0.01


def test_frames_become_a_distance_with_random_weights(tmp_path: Path) -> None:
    """The whole path from a file to FID: equal frames are at 0, others are not."""
    file = published(INCEPTION, tmp_path, randomised(InceptionV3()).state_dict())
    measure = InceptionFeatures(tmp_path, file=file)
    frames = np.random.default_rng(0).integers(256, size=(2, 40, 60, 3), dtype=np.uint8)
    features = measure(frames)
    assert features.shape == (2, 2048)
    real = FeatureMoments.of(features)
    assert frechet_distance(real, FeatureMoments.of(measure(frames))) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(real, FeatureMoments.of(measure(frames // 2))) > 1e-3

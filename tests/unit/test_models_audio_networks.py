"""The audio networks' optional reduction, noise and dropout (compact model), and the null tokens."""

import pytest
import torch
from torch.testing import assert_close

from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)

TOKENS = AudioTokensConfig(channels=6, intermediate_dim=16, output_dim=8, context_tokens=3, reduced_dim=4)


def reduced_network(config: AudioTokensConfig) -> AudioToTokens:
    torch.manual_seed(0)
    network = AudioToTokens(config)
    network.reducer_mean.normal_()
    network.reducer_components.normal_()
    return network


def test_reduction_is_affine_per_step_and_stored_but_not_trained():
    network = reduced_network(TOKENS)
    windows = torch.randn(2, 7, 10, 5, 6)
    features = network.reduce(windows)
    assert features.shape == (2, 7, 40)
    step = network.reducer_components @ (windows[1, 2, 3].flatten() - network.reducer_mean)
    assert_close(features[1, 2].view(10, 4)[3], step)
    assert {"reducer_mean", "reducer_components"} <= network.state_dict().keys()
    assert not {"reducer_mean", "reducer_components"} & dict(network.named_parameters()).keys()
    assert_close(network.eval()(windows), network.project(features))


def test_null_tokens_are_those_of_an_all_zero_reduced_window():
    network = reduced_network(TOKENS).eval()
    mean_sound = network.reducer_mean.view(5, 6).expand(1, 10, 5, 6)
    assert_close(network(mean_sound)[0], network.null_tokens())
    assert network.null_tokens().abs().max() > 0.1


def test_null_tokens_learn():
    network = reduced_network(TOKENS)
    network.null_tokens().square().mean().backward()
    gradient = network.proj3.weight.grad
    assert gradient is not None
    assert gradient.any()


@pytest.mark.parametrize("setting", [{"dropout": 0.5}, {"feature_noise": 0.5}])
def test_noise_and_dropout_act_in_training_only(setting):
    network = reduced_network(AudioTokensConfig(**(vars(TOKENS) | setting)))
    windows = torch.randn(1, 10, 5, 6)
    assert not torch.equal(network(windows), network(windows))
    network.eval()
    assert torch.equal(network(windows), network(windows))
    assert_close(network.project(torch.zeros(40)), network.null_tokens())


def test_buckets_hear_the_sound_and_see_the_portrait():
    torch.manual_seed(0)
    config = AudioToBucketConfig(channels=6, intermediate_dim=16, clip_channels=4, reduced_dim=3)
    network = AudioToBucket(config).eval()
    network.reducer_components.normal_()
    windows, image = torch.randn(2, 7, 50, 1, 6), torch.randn(2, 4)
    buckets = network(windows, image)
    assert buckets.shape == (2, 7, 2)
    assert not torch.allclose(network(windows.flip(1), image), buckets)
    changed = network(windows, image + torch.tensor([[0.0], [1.0]]))
    assert torch.equal(changed[0], buckets[0])
    assert not torch.allclose(changed[1], buckets[1])

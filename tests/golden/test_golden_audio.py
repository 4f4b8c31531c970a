"""Resampling, mel, hidden states, windows and tokens against the official code's numbers."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sonimate.audio.whisper import WhisperHiddenStates, log_mel, mel_filters
from sonimate.audio.windows import bucket_windows, frame_count, token_windows
from sonimate.checkpoints.store import load_audio_encoder
from sonimate.clock import SAMPLES_PER_HIDDEN_STATE as ROW_SAMPLES
from sonimate.conditioning import AudioConditions, audio_conditions
from sonimate.media.audio import resample
from sonimate.models.audio_networks import (
    AudioToBucket,
    AudioToBucketConfig,
    AudioTokensConfig,
    AudioToTokens,
)

MODULES = Path(__file__).parent / "modules"
META = json.loads((MODULES / "audio_meta.json").read_text())
FPS = 12.5
PIECE_SAMPLES = 480_000
NAMES = ["1.3s", "7.7s", "31s"]


def golden(name: str) -> dict[str, torch.Tensor]:
    return load_file(MODULES / f"audio_{name}.safetensors")


def pcm(name: str) -> torch.Tensor:
    """int16 samples; the long recording is put together from the short ones, see audio_meta.json."""
    if name != "31s":
        return golden(name)["pcm_int16"]
    short, long = golden("1.3s")["pcm_int16"], golden("7.7s")["pcm_int16"]
    halved, third = long.div(2, rounding_mode="floor"), long.div(3, rounding_mode="floor")
    return torch.cat([long, long.flip(0), halved, third.flip(0), short])[: META["31s"]["n_samples"]]


def sound(name: str) -> torch.Tensor:
    return pcm(name).float() / 2**15


def padded_pieces(name: str) -> list[torch.Tensor]:
    return [
        torch.nn.functional.pad(piece, (0, PIECE_SAMPLES - len(piece)))
        for piece in sound(name).split(PIECE_SAMPLES)
    ]


def tiny(network_type, config_type, name):
    config = json.loads((MODULES / f"{name}_config.json").read_text())
    network = network_type(config_type(**config))
    weights = load_file(MODULES / f"{name}_weights.safetensors")
    network.load_state_dict({key: tensor.float() for key, tensor in weights.items()})
    return network.eval()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> WhisperHiddenStates:
    folder = tmp_path_factory.mktemp("whisper")
    (folder / "config.json").symlink_to(MODULES / "whisper_config.json")
    (folder / "model.safetensors").symlink_to(MODULES / "whisper_weights.safetensors")
    return load_audio_encoder(folder)


@pytest.fixture(scope="module")
def states(encoder) -> dict[str, torch.Tensor]:
    return {name: encoder(sound(name), mode="reference") for name in NAMES}


@pytest.fixture(scope="module")
def conditions(states) -> dict[str, AudioConditions]:
    audio_to_tokens = tiny(AudioToTokens, AudioTokensConfig, "audio2token")
    audio_to_bucket = tiny(AudioToBucket, AudioToBucketConfig, "audio2bucket")
    image_embed = golden("common")["image_embeds"][0]
    return {
        name: audio_conditions(states[name], image_embed, audio_to_tokens, audio_to_bucket, FPS)
        for name in NAMES
    }


@pytest.mark.parametrize("case", ["8000_1ch", "22050_2ch", "44100_2ch", "48000_1ch"])
def test_resampling(case):
    expected = golden("resample")
    mono = (expected[f"in_{case}"].float() / 2**15).mean(dim=1).numpy()
    found = torch.from_numpy(resample(mono, int(case.split("_")[0]), 16_000))
    torch.testing.assert_close(found, expected[f"out_{case}"], atol=1e-5, rtol=0)


def test_mel_filters():
    torch.testing.assert_close(mel_filters(80), golden("common")["mel_filters_201x80"], atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", ["1.3s", "7.7s"])
def test_mel(name):
    expected = golden(name)
    (piece,) = padded_pieces(name)
    mel, head = log_mel(piece), expected["mel_head"]
    assert mel.shape == (80, 3000)
    torch.testing.assert_close(mel[:, : head.shape[1]], head, atol=1e-4, rtol=0)
    tail = mel[:, head.shape[1] :]
    torch.testing.assert_close(tail, expected["mel_tail_value"].expand_as(tail), atol=1e-4, rtol=0)


def test_mel_of_two_pieces_has_two_floors():
    expected = golden("31s")
    mel = torch.cat([log_mel(piece) for piece in padded_pieces("31s")], dim=1)
    torch.testing.assert_close(mel[:, expected["mel_sel_cols"]], expected["mel_sel"], atol=1e-4, rtol=0)
    assert mel[:, :3000].min() != mel[:, 3000:].min()


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states(name, states):
    expected = golden(name)
    rows = 2 * META[name]["audio_len"]
    found = states[name][:rows]
    assert len(states[name]) == META[name]["n_samples"] // ROW_SAMPLES
    if name == "31s":
        found, wanted = found[expected["hidden_sel_rows"]], expected["hidden_sel"]
    else:
        found, wanted = found[:: 1 if name == "1.3s" else 8], expected["hidden_states_head"]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_windows(name, states):
    expected = golden(name)
    for windows, key in ((token_windows, "token_window_sel"), (bucket_windows, "bucket_window_sel")):
        found = windows(states[name], FPS)
        assert len(found) == META[name]["num_frames"]
        torch.testing.assert_close(found[expected["frames_sel"]], expected[key], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("n_samples", "edge"), META["edge_lengths_samples"].items())
def test_frame_count(n_samples, edge):
    assert frame_count(int(n_samples), FPS) == edge["num_frames"]
    assert frame_count(int(n_samples), 25) == edge["audio_len"]


@pytest.mark.parametrize("name", NAMES)
def test_tokens(name, conditions):
    expected, tokens = golden(name), conditions[name].audio_tokens
    torch.testing.assert_close(
        tokens[expected["frames_sel"]], expected["audio_tokens_sel"], atol=1e-5, rtol=0
    )
    sums = tokens.sum(dim=(1, 2))
    torch.testing.assert_close(sums, expected["audio_tokens_frame_sums"], atol=1e-3, rtol=0)
    null = conditions[name].null_audio_tokens
    wanted = expected["uncond_token"].expand_as(null)
    torch.testing.assert_close(null, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_motion_buckets(name, conditions):
    found, wanted = conditions[name].motion_buckets, golden(name)["motion_buckets"].flatten(1)
    torch.testing.assert_close(found, wanted, atol=16e-5, rtol=0)

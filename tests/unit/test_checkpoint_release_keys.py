"""Key maps, and the architectures against the released files' names and shapes at full size."""

from pathlib import Path
from typing import Any

import pytest
from manifests import read_manifest

from sonimate.checkpoints.convert import audio_to_bucket_config, audio_tokens_config
from sonimate.checkpoints.registry import FULL_COMPONENTS, INDEX, UNET, read_index
from sonimate.checkpoints.release import KEY_MAPS, KeyMap
from sonimate.checkpoints.store import check_shapes, expected_shapes
from sonimate.checkpoints.stream import Shapes
from sonimate.errors import InvalidCheckpoint
from sonimate.models.audio_networks import AudioToBucketConfig, AudioTokensConfig

COMPONENTS = {part.name: part for part in FULL_COMPONENTS}
MANIFESTS = Path(__file__).parents[1] / "golden/manifests"
FULL: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("unet.pth", {}),
    "audio_to_tokens": ("audio2token.pth", {}),
    "audio_to_bucket": ("audio2bucket.pth", {}),
    "interpolator": ("flownet.pkl", {}),
    "image_encoder": (
        "svd_image_encoder",
        {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "patch_size": 14,
            "projection_dim": 1024,
        },
    ),
    "audio_encoder": (
        "whisper_tiny_encoder",
        {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536},
    ),
    "vae": (
        "svd_vae",
        {
            "block_out_channels": [128, 256, 512, 512],
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "layers_per_block": 2,
            "latent_channels": 4,
        },
    ),
}
"""Manifest of each released file, and SVD-XT's and whisper-tiny's published configs."""


def manifest(component: str) -> Shapes:
    return read_manifest(MANIFESTS / f"{FULL[component][0]}.json.gz")


@pytest.mark.parametrize("component", FULL)
def test_the_released_names_and_shapes_are_the_architectures(component: str) -> None:
    """Provenance: tests/golden/README.md, manifests. For the UNet these are 1492 tensors."""
    released = manifest(component)
    names = KEY_MAPS[component].rename(released)
    assert len(names) == len(released)
    found = {name: released[theirs] for name, theirs in names.items()}
    check_shapes(found, expected_shapes(COMPONENTS[component], FULL[component][1], component), component)


def test_audio_configs_of_the_released_shapes_are_the_defaults() -> None:
    assert audio_tokens_config(manifest("audio_to_tokens")) == AudioTokensConfig()
    assert audio_to_bucket_config(manifest("audio_to_bucket"), channels=384) == AudioToBucketConfig()


@pytest.mark.parametrize("component", ["audio_to_tokens", "audio_to_bucket"])
def test_one_wrong_shape_is_found_though_an_audio_networks_config_follows_from_shapes(component: str) -> None:
    released = manifest(component)
    for name, shape in released.items():
        for wrong in (None, (), (0,), (1,), (shape[0] - 1, *shape[1:]), (*shape, 1), shape[::-1]):
            if wrong == shape:
                continue
            found = {key: value for key, value in {**released, name: wrong}.items() if value is not None}
            config = (
                audio_tokens_config(found)
                if component == "audio_to_tokens"
                else audio_to_bucket_config(found, channels=384)
            )
            expected = expected_shapes(COMPONENTS[component], vars(config), component)
            with pytest.raises(InvalidCheckpoint) as caught:
                check_shapes(found, expected, component)
            assert wrong not in (None, shape[::-1]) or name in str(caught.value)


def test_unknown_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text('{"unet": ["sonimate", "Odd"]}')
    with pytest.raises(InvalidCheckpoint, match=r"unet of class .*Odd.*does not know"):
        read_index(tmp_path)


def test_unusable_configs_are_refused() -> None:
    with pytest.raises(InvalidCheckpoint, match=r"config\.json of m/unet does not describe"):
        expected_shapes(UNET, {"colour": 3}, "m/unet")
    with pytest.raises(InvalidCheckpoint, match=r"config\.json of m/clip does not describe"):
        expected_shapes(COMPONENTS["image_encoder"], {"hidden_size": "wide"}, "m/clip")


def test_prefixes_go_from_all_names_or_none() -> None:
    keys = KeyMap(prefixes=("module.",))
    assert keys.rename(["module.a", "module.b"]) == {"a": "module.a", "b": "module.b"}
    assert keys.rename(["module.a", "a"]) == {"module.a": "module.a", "a": "a"}
    assert keys.rename([]) == {}


def test_other_components_tensors_are_dropped_where_a_file_holds_several() -> None:
    keys = KEY_MAPS["audio_encoder"]
    assert keys.rename(["model.encoder.a", "model.decoder.a"]) == {"a": "model.encoder.a"}
    assert keys.rename(["encoder.a", "decoder.a"]) == {"a": "encoder.a"}
    assert keys.rename(["a"]) == {"a": "a"}
    assert KEY_MAPS["interpolator"].rename(["module.a", "b"]) == {"a": "module.a"}


def test_ignored_names_are_left_out() -> None:
    positions = "vision_model.embeddings.position_ids"
    assert KEY_MAPS["image_encoder"].rename(["a", positions]) == {"a": "a"}

"""Models on disk, in diffusers' saved-pipeline form: model_index.json and one subfolder a component."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.component_layout import PIPELINE
from sonimate.checkpoints.manifest import check_shapes, shapes_of
from sonimate.checkpoints.model_folder import INDEX, is_full, model_folder
from sonimate.checkpoints.network import WEIGHTS, load_network, read_tensors, save_network, write_network
from sonimate.codecs.base import Codec
from sonimate.codecs.mesh.codec import MOTION, MeshCodec
from sonimate.errors import InvalidCheckpoint
from sonimate.face.regions import LANDMARK_COUNT
from sonimate.models.audio_tokens import AudioTokensConfig, AudioToTokens
from sonimate.models.motion_bucket import AudioToBucket, AudioToBucketConfig
from sonimate.models.reference import ReferenceEncoder, ReferenceEncoderConfig
from sonimate.models.unet import SpatioTemporalUNet, UNetConfig

NETWORKS: dict[str, tuple[type[nn.Module], type]] = {
    "unet": (SpatioTemporalUNet, UNetConfig),
    "audio_to_tokens": (AudioToTokens, AudioTokensConfig),
    "audio_to_bucket": (AudioToBucket, AudioToBucketConfig),
    "image_encoder": (ReferenceEncoder, ReferenceEncoderConfig),
}
"""Networks of the compact model; the full model has CLIP for its image encoder."""


@dataclass(frozen=True)
class Components:
    """All parts of a model. image_encoder: batches of `EncodedReference.image` -> (b, 1, c)."""

    unet: SpatioTemporalUNet
    audio_to_tokens: AudioToTokens
    audio_to_bucket: AudioToBucket
    image_encoder: nn.Module
    audio_encoder: WhisperHiddenStates
    codec: Codec

    @property
    def full(self) -> bool:
        """Whether this is a model of the full size."""
        return not isinstance(self.codec, MeshCodec)


def load_components(model: str | Path, dtype: torch.dtype = torch.float32) -> Components:
    """Load a model strictly; `dtype` is that of UNet, autoencoder and CLIP, the audio networks and RIFE are
    float32 (NOTES 1.7). Raises UnknownModel or InvalidCheckpoint, naming the file and its tensors."""
    folder = model_folder(model)
    ours = {
        name: load_network(folder / name, *NETWORKS[name]) for name in ("audio_to_tokens", "audio_to_bucket")
    }
    encoder = WhisperHiddenStates.from_folder(folder / "audio_encoder")
    read_tensors(folder / "audio_encoder" / WEIGHTS)
    if is_full(folder):
        from sonimate.checkpoints.full_model import load_image_encoder, load_svd_codec

        image_encoder = load_image_encoder(folder / "image_encoder", dtype)
        codec = load_svd_codec(folder, dtype)
    else:
        image_encoder = load_network(folder / "image_encoder", *NETWORKS["image_encoder"], dtype)
        codec = load_codec(folder / "codec")
    unet = load_network(folder / "unet", *NETWORKS["unet"], dtype)
    return Components(unet, **ours, image_encoder=image_encoder, audio_encoder=encoder, codec=codec)


def load_codec(folder: Path) -> MeshCodec:
    """Load the compact codec strictly. Raises InvalidCheckpoint."""
    path = folder / "model.safetensors"
    try:
        shapes = shapes_of(load_file(path))
        components = shapes.get("basis", (0,))[0]
        expected = {
            "basis": (components, LANDMARK_COUNT, 3),
            "positions": (LANDMARK_COUNT, 2),
            "open_mouth": (components,),
            "expression_std": (3,),
            "motion_std": (MOTION,),
        }
        check_shapes(shapes, expected, str(path))
        return MeshCodec.from_folder(folder)
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{folder} cannot be read ({error}); copy the model again.") from error


def save_components(components: Components, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write all components, in `dtype`; the full model's audio networks and RIFE are float32 (NOTES 1.7).

    Raises InvalidCheckpoint, naming the tensor that `dtype` cannot hold, and OutputNotWritable.
    """
    audio_dtype = torch.float32 if components.full else dtype
    save_network(components.unet, folder / "unet", dtype)
    save_network(components.audio_to_tokens, folder / "audio_to_tokens", audio_dtype)
    save_network(components.audio_to_bucket, folder / "audio_to_bucket", audio_dtype)
    save_audio_encoder(components.audio_encoder, folder / "audio_encoder", audio_dtype)
    if isinstance(components.codec, MeshCodec):
        save_network(components.image_encoder, folder / "image_encoder", dtype)
        components.codec.save(folder / "codec")
        write_index(folder)
        return
    from sonimate.checkpoints import full_model as full

    full.save_image_encoder(components.image_encoder, folder / "image_encoder", dtype)
    full.save_svd_codec(components.codec, folder, dtype)
    write_index(folder)


def save_audio_encoder(encoder: WhisperHiddenStates, folder: Path, dtype: torch.dtype) -> None:
    """Write Whisper's encoder as transformers and `from_folder` read it."""
    config = json.dumps(encoder.encoder.config.to_dict(), indent=2) + "\n"
    write_network(encoder.encoder, folder, config, WEIGHTS, dtype)


def write_index(folder: Path) -> None:
    """Write model_index.json for a folder that holds all components."""
    classes = {name: ["sonimate", cls.__name__] for name, (cls, _) in NETWORKS.items()}
    index = {"_class_name": PIPELINE, **classes, "audio_encoder": ["transformers", "WhisperEncoder"]}
    if (folder / "vae").is_dir():
        index["image_encoder"] = ["transformers", "CLIPVisionModelWithProjection"]
        index["vae"] = ["diffusers", "AutoencoderKLTemporalDecoder"]
    else:
        index["codec"] = ["sonimate", "MeshCodec"]
    if (folder / "interpolator").is_dir():
        index["interpolator"] = ["sonimate", "IFNet"]
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")

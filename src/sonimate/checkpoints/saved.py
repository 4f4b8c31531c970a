"""Models on disk, in diffusers' saved-pipeline form: model_index.json and one subfolder a component."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.folder import INDEX, model_folder
from sonimate.checkpoints.manifest import check_shapes, load_strict, shapes_of
from sonimate.codecs.mesh import LANDMARKS, MOTION, MeshCodec
from sonimate.errors import InvalidCheckpoint
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


@dataclass(frozen=True)
class Components:
    """All parts of a model."""

    unet: SpatioTemporalUNet
    audio_to_tokens: AudioToTokens
    audio_to_bucket: AudioToBucket
    image_encoder: ReferenceEncoder
    audio_encoder: WhisperHiddenStates
    codec: MeshCodec

    def modules(self) -> dict[str, nn.Module]:
        """The networks of NETWORKS by name."""
        return {name: getattr(self, name) for name in NETWORKS}


def load_components(model: str | Path) -> Components:
    """Load a model strictly. Raises UnknownModel or InvalidCheckpoint, naming the file and its tensors."""
    folder = model_folder(model)
    networks = {name: load_network(folder / name, *NETWORKS[name]) for name in NETWORKS}
    encoder = WhisperHiddenStates.from_folder(folder / "audio_encoder")
    return Components(**networks, audio_encoder=encoder, codec=load_codec(folder / "codec"))


def load_codec(folder: Path) -> MeshCodec:
    """Load a codec strictly. Raises InvalidCheckpoint."""
    path = folder / "model.safetensors"
    try:
        shapes = shapes_of(load_file(path))
        components = shapes.get("basis", (0,))[0]
        expected = {
            "basis": (components, LANDMARKS, 3),
            "positions": (LANDMARKS, 2),
            "open_mouth": (components,),
            "expression_std": (3,),
            "motion_std": (MOTION,),
        }
        check_shapes(shapes, expected, str(path))
        return MeshCodec.from_folder(folder)
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{folder} cannot be read ({error}); copy the model again.") from error


def save_components(components: Components, folder: Path) -> None:
    """Write all components; networks in half precision."""
    for name, module in components.modules().items():
        save_network(module, folder / name)
    components.codec.save(folder / "codec")
    components.audio_encoder.save(folder / "audio_encoder")
    write_index(folder)


def write_index(folder: Path) -> None:
    """Write model_index.json for a folder that holds all components."""
    classes = {name: ["sonimate", cls.__name__] for name, (cls, _) in NETWORKS.items()}
    index = {"_class_name": "SonicPipeline", **classes}
    index |= {"audio_encoder": ["transformers", "WhisperEncoder"], "codec": ["sonimate", "MeshCodec"]}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def load_network(folder: Path, network: type[nn.Module], config: type) -> Any:
    """One component in float32 from config.json and model.safetensors."""
    try:
        values = json.loads((folder / "config.json").read_text())
        shape = config(**{name: value for name, value in values.items() if not name.startswith("_")})
        tensors = load_file(folder / "model.safetensors")
    except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{folder} cannot be read ({error}); copy the model again.") from error
    module = network(shape)
    floats = {name: tensor.float() for name, tensor in tensors.items()}
    load_strict(module, floats, str(folder / "model.safetensors"))
    return module


def save_network(module: nn.Module, folder: Path) -> None:
    """Write config.json and model.safetensors (half precision) of one component."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().half().contiguous() for name, tensor in module.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    config: Any = module.config
    values = {"_class_name": type(module).__name__, **asdict(config)}
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n")

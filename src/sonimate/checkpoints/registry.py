"""The components of a model: one table of their classes, settings and files; and models on disk.

A model is a folder in diffusers' saved-pipeline form: model_index.json, and one folder for each component
with config.json and a safetensors file. This module loads no torch, so that a wrong name is refused at once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sonimate.errors import FileMissing, InvalidCheckpoint, UnknownModel, extra_needed

BUNDLED = Path(str(files("sonimate"))) / "bundled"
INDEX, CONFIG = "model_index.json", "config.json"
PIPELINE = "SonicPipeline"
HUB_NAME = r"[A-Za-z0-9_][\w.-]*/[\w.-]+"
"""OWNER/NAME of a repository on the hub."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of a model, in the folder `name` of the model's folder.

    library, class_name: the class that loads the folder, as model_index.json states it.
    network, config: where this package finds the class and the class of its settings, as MODULE:NAME.
    weights: the file of the tensors. large: takes the type that the user chooses; the full model keeps its
    other components in float32 (NOTES 1.7). optional: a model may lack it.
    """

    name: str
    library: str = "sonimate"
    class_name: str
    network: str
    config: str = ""
    weights: str = "model.safetensors"
    large: bool = False
    optional: bool = False

    def network_class(self) -> Any:
        """The class of the network; imports its module, and so torch. Raises ExtraMissing."""
        return _attribute(self.network)

    def config_class(self) -> Any:
        """The class of the network's settings."""
        return _attribute(self.config)


def _ours(name: str, module: str, class_name: str, config: str = "", **options: Any) -> Component:
    path = f"sonimate.{module}:"
    config = config and path + config
    return Component(name=name, class_name=class_name, network=path + class_name, config=config, **options)


UNET = _ours("unet", "models.unet", "SpatioTemporalUNet", "UNetConfig", large=True)
AUDIO_TO_TOKENS = _ours("audio_to_tokens", "models.audio_networks", "AudioToTokens", "AudioTokensConfig")
AUDIO_TO_BUCKET = _ours("audio_to_bucket", "models.audio_networks", "AudioToBucket", "AudioToBucketConfig")
REFERENCE_ENCODER = _ours(
    "image_encoder", "models.reference", "ReferenceEncoder", "ReferenceEncoderConfig", large=True
)
VOICE_DETECTOR = _ours(
    "voice_detector", "models.voice_detector", "VoiceDetector", "VoiceDetectorConfig", optional=True
)
TONGUE_READER = _ours(
    "tongue_reader", "models.tongue_reader", "TongueReader", "TongueReaderConfig", optional=True
)
SYNC_NETWORK = _ours("sync_m", "models.sync_network", "SyncNetwork", "SyncNetworkConfig")
MESH_CODEC = _ours("codec", "codecs.mesh.codec", "MeshCodec")
INTERPOLATOR = _ours("interpolator", "models.rife", "IFNet", "IFNetConfig", optional=True)
CLIP = Component(
    name="image_encoder",
    library="transformers",
    class_name="CLIPVisionModelWithProjection",
    network="sonimate.models.clip:ClipImageEncoder",
    config="transformers.models.clip.configuration_clip:CLIPVisionConfig",
    large=True,
)
AUDIO_ENCODER = Component(
    name="audio_encoder",
    library="transformers",
    class_name="WhisperEncoder",
    network="sonimate.models.whisper_encoder:WhisperEncoder",
    config="sonimate.models.whisper_encoder:WhisperConfig",
)
VAE = Component(
    name="vae",
    library="diffusers",
    class_name="AutoencoderKLTemporalDecoder",
    network="diffusers.models.autoencoders.autoencoder_kl_temporal_decoder:AutoencoderKLTemporalDecoder",
    weights="diffusion_pytorch_model.safetensors",
    large=True,
)

_BOTH = (UNET, AUDIO_TO_TOKENS, AUDIO_TO_BUCKET)
COMPACT_COMPONENTS = (
    *_BOTH,
    REFERENCE_ENCODER,
    AUDIO_ENCODER,
    VOICE_DETECTOR,
    TONGUE_READER,
    MESH_CODEC,
)
FULL_COMPONENTS = (*_BOTH, CLIP, AUDIO_ENCODER, VAE, INTERPOLATOR)


def components_of(*, full: bool) -> tuple[Component, ...]:
    """The components of a model of one of the two sizes."""
    return FULL_COMPONENTS if full else COMPACT_COMPONENTS


def model_folder(model: str | Path, revision: str | None = None) -> Path:
    """The folder of a bundled model's name, the folder itself, or OWNER/NAME on the hub, in its cache.

    revision: of the repository on the hub. Raises UnknownModel, and for the hub ExtraMissing, HubUnreachable,
    HubRefused.
    """
    for folder in (BUNDLED / str(model), Path(model)):
        if (folder / INDEX).is_file():
            return folder
    if re.fullmatch(HUB_NAME, str(model)) and not Path(model).exists():
        return hub_library().hub_model(str(model), revision)
    names = ", ".join(sorted(path.parent.name for path in BUNDLED.glob(f"*/{INDEX}")))
    raise UnknownModel(
        f"There is no model {str(model)!r}. Give a folder with {INDEX}, OWNER/NAME on the hub, or one of: "
        f"{names}. To get the full model, run `sonimate models download`, then `sonimate models convert`."
    )


def hub_library() -> Any:
    """The module `checkpoints.hub`; the extra `full` has the library that it needs. Raises ExtraMissing."""
    with extra_needed("full"):
        return import_module("sonimate.checkpoints.hub")


def is_full(folder: Path) -> bool:
    """Whether a model has the full size, which has SVD's autoencoder. Raises InvalidCheckpoint."""
    return VAE in read_index(folder)


def read_index(folder: Path) -> list[Component]:
    """The components that a model's index lists, in its order.

    Raises InvalidCheckpoint: the index is damaged, or lists a class that is not in the table above.
    """
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        pipeline = index.get("_class_name", PIPELINE)
        listed = {name: tuple(value) for name, value in index.items() if not name.startswith("_")}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidCheckpoint(f"{path} is damaged ({error}). Copy the model again.") from error
    if pipeline != PIPELINE:
        raise InvalidCheckpoint(f"{path} describes a {pipeline}, not a {PIPELINE}. Give a model of sonimate.")
    known = {
        (part.name, part.library, part.class_name): part for part in COMPACT_COMPONENTS + FULL_COMPONENTS
    }
    unknown = [f"{name} of class {kind}" for name, kind in listed.items() if (name, *kind) not in known]
    if unknown:
        raise InvalidCheckpoint(
            f"{path} lists {', '.join(unknown)}, which this version does not know. Update sonimate, or copy "
            "the model again."
        )
    return [known[name, *kind] for name, kind in listed.items()]


def read_config(folder: Path) -> dict[str, Any]:
    """All settings in a component's config.json. Raises FileMissing or InvalidCheckpoint."""
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileMissing(f"{path} cannot be read ({error.strerror}). Copy the whole folder.") from error
    except ValueError as error:
        raise InvalidCheckpoint(f"{path} is damaged ({error}). Copy it again.") from error
    if not isinstance(values, dict):
        raise InvalidCheckpoint(f"{path} holds no settings. Copy it again.")
    return values


@dataclass(frozen=True)
class ComponentInfo:
    """parameters: numbers in all tensors. dtypes: in safetensors' terms, such as F16. size_bytes: on disk."""

    name: str
    library: str
    class_name: str
    parameters: int
    dtypes: tuple[str, ...]
    size_bytes: int


def describe(folder: Path) -> list[ComponentInfo]:
    """What a model folder holds, from its index and the headers of its files.

    Raises InvalidCheckpoint, naming the file that cannot be read.
    """
    return [_describe(folder / part.name, part) for part in read_index(folder)]


def find_models(folders: list[Path]) -> list[Path]:
    """Bundled models, then the models that are, or lie directly in, `folders`. Raises FileMissing."""
    for folder in folders:
        if not folder.is_dir():
            raise FileMissing(f"{folder} is not a folder. Check the spelling of the path.")
    return [
        path.parent
        for folder in (BUNDLED, *folders)
        for path in (folder / INDEX, *sorted(folder.glob(f"*/{INDEX}")))
        if path.is_file()
    ]


def _describe(folder: Path, part: Component) -> ComponentInfo:
    path = folder / part.weights
    try:
        with safe_open(path, framework="np") as file:
            slices = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
            parameters = sum(math.prod(part.get_shape()) for part in slices)
            dtypes = tuple(sorted({part.get_dtype() for part in slices}))
        size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{path} cannot be read ({error}). Copy the model again.") from error
    return ComponentInfo(part.name, part.library, part.class_name, parameters, dtypes, size_bytes)


def _attribute(path: str) -> Any:
    module, _, name = path.partition(":")
    with extra_needed("full"):
        return getattr(import_module(module), name)

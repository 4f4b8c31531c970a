"""Models on disk: save and load components, strictly. Every network of this package is loaded here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.registry import (
    AUDIO_ENCODER,
    AUDIO_TO_BUCKET,
    AUDIO_TO_TOKENS,
    CLIP,
    CONFIG,
    INDEX,
    INTERPOLATOR,
    MESH_CODEC,
    PIPELINE,
    REFERENCE_ENCODER,
    TONGUE_READER,
    UNET,
    VAE,
    VOICE_DETECTOR,
    Component,
    components_of,
    is_full,
    model_folder,
    read_config,
    read_index,
)
from sonimate.checkpoints.release import AUDIO_ENCODER_KEYS, KeyMap
from sonimate.checkpoints.stream import SafetensorsFile, Shapes, cast, shapes_of, write_tensors
from sonimate.codecs.base import Codec
from sonimate.codecs.mesh.codec import MOTION, TENSORS, MeshCodec
from sonimate.errors import InvalidCheckpoint, OutputNotWritable, SonimateError
from sonimate.face.regions import LANDMARK_COUNT
from sonimate.media.files import replacing, write_errors

if TYPE_CHECKING:
    from sonimate.codecs.svd.autoencoder import SVDCodec
    from sonimate.models.audio_networks import AudioToBucket, AudioToTokens
    from sonimate.models.tongue_reader import TongueReader
    from sonimate.models.unet import SpatioTemporalUNet
    from sonimate.models.voice_detector import VoiceDetector

NAMES_SHOWN = 5
"""Tensors that an error names of each kind of difference; it counts the others."""


@dataclass(frozen=True)
class Components:
    """All parts of a model. image_encoder: batches of `EncodedReference.image` -> (b, 1, c). voice_detector:
    of a compact model; without it, the mouth moves to any sound. tongue_reader: of a compact model; without
    it, the tongue lies still."""

    unet: SpatioTemporalUNet
    audio_to_tokens: AudioToTokens
    audio_to_bucket: AudioToBucket
    image_encoder: nn.Module
    audio_encoder: WhisperHiddenStates
    codec: Codec
    voice_detector: VoiceDetector | None = None
    tongue_reader: TongueReader | None = None

    @property
    def full(self) -> bool:
        """Whether this is a model of the full size."""
        return not isinstance(self.codec, MeshCodec)


def load_components(model: str | Path, dtype: torch.dtype = torch.float32) -> Components:
    """Load a model, a bundled one by its name or any by its folder.

    dtype: of UNet, autoencoder and image encoder; the audio networks and RIFE are float32 (NOTES 1.7).
    Raises UnknownModel, FileMissing, or InvalidCheckpoint, naming the file and its tensors.
    """
    folder = model_folder(model)
    full = is_full(folder)
    listed = read_index(folder)
    needed = [part for part in components_of(full=full) if not part.optional]
    if missing := [part.name for part in needed if part not in listed]:
        raise InvalidCheckpoint(f"{folder / INDEX} lists no {', '.join(missing)}. Copy the model again.")
    return Components(
        unet=load_network(folder, UNET, dtype),
        audio_to_tokens=load_network(folder, AUDIO_TO_TOKENS),
        audio_to_bucket=load_network(folder, AUDIO_TO_BUCKET),
        image_encoder=load_network(folder, CLIP if full else REFERENCE_ENCODER, dtype),
        audio_encoder=load_audio_encoder(folder / AUDIO_ENCODER.name),
        codec=load_svd_codec(folder, dtype) if full else load_mesh_codec(folder / MESH_CODEC.name),
        voice_detector=load_network(folder, VOICE_DETECTOR) if VOICE_DETECTOR in listed else None,
        tongue_reader=load_network(folder, TONGUE_READER) if TONGUE_READER in listed else None,
    )


def load_network(
    model: Path,
    component: Component,
    dtype: torch.dtype = torch.float32,
    configure: Callable[..., Any] | None = None,
) -> Any:
    """A component's network in `dtype`, from its folder in the folder `model`.

    configure: makes the network's settings from the values in config.json (default: the component's class).
    Raises FileMissing, or InvalidCheckpoint, naming the file and its tensors. Names and shapes are compared
    before any value is read.
    """
    return _load(model / component.name, component, dtype, configure)


def load_audio_encoder(folder: str | Path) -> WhisperHiddenStates:
    """Whisper's encoder, in float32, from a folder with config.json and model.safetensors of any float type.

    The file may hold an encoder alone, or a whole Whisper model, of which the decoder is left out.
    Raises as `load_network` does.
    """
    return WhisperHiddenStates(_load(Path(folder), AUDIO_ENCODER, keys=AUDIO_ENCODER_KEYS))


def load_mesh_codec(folder: str | Path) -> MeshCodec:
    """The compact model's codec. Raises FileMissing or InvalidCheckpoint."""
    file = SafetensorsFile(Path(folder) / MESH_CODEC.weights)
    components = file.shapes.get("basis", (0,))[0]
    expected = {
        "basis": (components, LANDMARK_COUNT, 3),
        "positions": (LANDMARK_COUNT, 2),
        "open_mouth": (components,),
        "scales": (components,),
        "motion_std": (MOTION,),
        "gains": (components,),
    }
    check_shapes(file.shapes, expected, str(file.path))
    return MeshCodec(**{name: tensor.numpy() for name, tensor in read_tensors(file, expected).items()})


def load_svd_codec(model: Path, dtype: torch.dtype) -> SVDCodec:
    """SVD's autoencoder in `dtype`. The frames between two latents come from RIFE if the model's index lists
    it, else from optical flow. Raises as `load_network` does, and ExtraMissing."""
    from sonimate.codecs.svd.autoencoder import SVDCodec
    from sonimate.codecs.svd.interpolation import FlowMiddle, RifeMiddle

    vae = load_network(model, VAE, dtype)
    if INTERPOLATOR not in read_index(model):
        return SVDCodec(vae, middle=FlowMiddle())
    return SVDCodec(vae, middle=RifeMiddle(load_network(model, INTERPOLATOR)))


def save_components(components: Components, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write a model folder in `dtype`; the full model's audio networks and RIFE are float32 (NOTES 1.7).

    Other files in the folder stay as they are, and the new index does not list them.
    Raises InvalidCheckpoint, naming the tensor that `dtype` cannot hold, and OutputNotWritable.
    """
    full = components.full
    require_same_size(folder, full=full)
    networks: dict[str, Any] = {**vars(components), AUDIO_ENCODER.name: components.audio_encoder.encoder}
    if full:
        codec: Any = components.codec
        networks |= {VAE.name: codec.vae, INTERPOLATOR.name: getattr(codec.middle, "network", None)}
    saved = [part for part in components_of(full=full) if networks[part.name] is not None]
    for part in saved:
        if part is MESH_CODEC:
            save_mesh_codec(networks[part.name], folder / part.name)
        else:
            save_network(
                folder, part, networks[part.name], dtype if part.large or not full else torch.float32
            )
    write_index(folder, saved)


def save_network(
    model: Path, component: Component, network: nn.Module, dtype: torch.dtype = torch.float16
) -> None:
    """Write a component into its folder in `model`: config.json, and its tensors in `dtype`.

    Raises InvalidCheckpoint, naming the tensor that `dtype` cannot hold, and OutputNotWritable.
    """
    state = network.state_dict()
    tensors = ((name, cast(tensor, dtype, f"{name} of {component.name}")) for name, tensor in state.items())
    write_config(model / component.name, settings_of(component, network))
    write_tensors(model / component.name / component.weights, shapes_of(state), dtype, tensors)


def save_mesh_codec(codec: MeshCodec, folder: Path) -> None:
    """Write the compact model's codec, in float32. Raises OutputNotWritable."""
    tensors = {name: torch.from_numpy(getattr(codec, name).astype(np.float32)) for name in TENSORS}
    write_config(folder, {"_class_name": MESH_CODEC.class_name, **codec.settings})
    write_tensors(folder / MESH_CODEC.weights, shapes_of(tensors), torch.float32, tensors.items())


def write_config(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write a component's config.json, and its folder if there is none. Raises OutputNotWritable."""
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / CONFIG) as partial:
        partial.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def write_index(folder: Path, components: Iterable[Component]) -> None:
    """Write model_index.json for a folder that holds these components. Raises OutputNotWritable."""
    index: dict[str, Any] = {"_class_name": PIPELINE}
    index |= {part.name: [part.library, part.class_name] for part in components}
    with replacing(folder / INDEX) as partial:
        partial.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def require_same_size(folder: Path, *, full: bool) -> None:
    """Raise OutputNotWritable if `folder` holds a model of the other size, which would be partly replaced."""
    if (folder / INDEX).is_file() and is_full(folder) != full:
        there, new = ("compact", "full") if full else ("full", "compact")
        raise OutputNotWritable(
            f"{folder} holds a model of the {there} size. A model of the {new} size would replace only some "
            "of its parts. Choose another folder, or remove this one first."
        )


def settings_of(component: Component, network: Any) -> dict[str, Any]:
    """What config.json holds for a network, in the form that the component's library reads."""
    config: Any = network.config
    if component.library == "transformers":
        return config.to_dict()
    values = config if component.library == "diffusers" else asdict(config)
    return {"_class_name": component.class_name, **values}


def build(
    component: Component,
    settings: Mapping[str, Any],
    source: str,
    configure: Callable[..., Any] | None = None,
) -> nn.Module:
    """A component's network of the settings in its config.json, on torch's meta device: without memory.

    configure: as in `load_network`. Raises InvalidCheckpoint, naming `source`, if the settings do not fit.
    """
    values = {name: value for name, value in settings.items() if not name.startswith("_")}
    network = component.network_class()
    try:
        with torch.device("meta"):
            match component.library:
                case "diffusers":
                    return network.from_config(values)
                case "transformers":
                    return network(component.config_class().from_dict(values))
                case _:
                    return network((configure or component.config_class())(**values))
    except SonimateError:
        raise
    except Exception as error:  # libraries refuse settings with errors of all kinds
        reason = " ".join(str(error).split())
        raise InvalidCheckpoint(
            f"The config.json of {source} does not describe a {component.class_name} ({reason}). "
            "Copy it again."
        ) from error


def expected_shapes(component: Component, settings: Mapping[str, Any], source: str) -> Shapes:
    """Names and shapes of a component's tensors, from the settings in its config.json alone.

    Raises InvalidCheckpoint, naming `source`, if the settings do not fit the component.
    """
    return shapes_of(build(component, settings, source).state_dict())


def check_shapes(found: Shapes, expected: Shapes, source: str) -> None:
    """Raise InvalidCheckpoint unless both sides have the same names and shapes, in any order.

    The message names the tensors of both sides that do not match. `source` names the checkpoint in it.
    """
    reshaped = [
        f"{name} (file {found[name]}, model {expected[name]})"
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    differences = [
        _summary("missing from the file", [name for name in expected if name not in found]),
        _summary("unknown to the model", [name for name in found if name not in expected]),
        _summary("of another shape", reshaped),
    ]
    if any(differences):
        raise InvalidCheckpoint(
            f"{source} does not fit the model: {'; '.join(filter(None, differences))}. "
            f"The file has {len(found)} tensors, the model {len(expected)}. "
            "Check that this is the file for this component, and that its download is complete."
        )


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Replace all tensors of `module`, or none if `check_shapes` raises InvalidCheckpoint."""
    check_shapes(shapes_of(tensors), shapes_of(module.state_dict()), source)
    module.load_state_dict(tensors, strict=True, assign=True)


def read_tensors(
    file: SafetensorsFile, names: Iterable[str], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Tensors of a file in `dtype`, each compared with its checksum if the file has one.

    The file is mapped into memory, so that tensors that need no conversion take none of their own.
    Raises InvalidCheckpoint, naming the tensor.
    """
    tensors = {}
    try:
        with safe_open(file.path, framework="pt") as mapped:
            for name in names:
                tensor = mapped.get_tensor(name)
                file.check(name, tensor)
                tensors[name] = tensor.to(dtype)
    except (OSError, SafetensorError) as error:
        raise InvalidCheckpoint(f"{file.path} cannot be read ({error}); copy the model again.") from error
    return tensors


def _load(
    folder: Path,
    component: Component,
    dtype: torch.dtype = torch.float32,
    configure: Callable[..., Any] | None = None,
    keys: KeyMap | None = None,
) -> Any:
    network = build(component, read_config(folder), str(folder), configure)
    file = SafetensorsFile(folder / component.weights)
    names = (keys or KeyMap()).rename(file.shapes)
    check_shapes(
        {ours: file.shapes[theirs] for ours, theirs in names.items()},
        shapes_of(network.state_dict()),
        str(file.path),
    )
    tensors = read_tensors(file, names.values(), dtype)
    load_strict(network, {ours: tensors[theirs] for ours, theirs in names.items()}, str(file.path))
    return network


def _summary(what: str, names: list[str]) -> str:
    if not names:
        return ""
    rest = len(names) - NAMES_SHOWN
    return f"{len(names)} {what}: {', '.join(names[:NAMES_SHOWN])}{f' and {rest} more' if rest > 0 else ''}"

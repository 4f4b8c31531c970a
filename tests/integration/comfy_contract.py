"""The part of ComfyUI's published V3 contract (docs.comfy.org) that custom nodes see, and an executor.

ComfyUI itself is not a package and is not installed here. This stands in for the modules that its nodes
import, and checks what ComfyUI would: schemas, values within the limits of their inputs, types of outputs.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch


class InterruptProcessingException(Exception):
    """What ComfyUI raises in a node when the user stops the run."""


@dataclass
class Input:
    io_type: str
    id: str
    default: Any = None
    optional: bool = False
    tooltip: str = ""
    min: float | None = None
    max: float | None = None
    step: float | None = None
    options: list[str] | None = None
    control_after_generate: bool = False
    advanced: bool = False


@dataclass
class Output:
    io_type: str
    display_name: str = ""


@dataclass
class Schema:
    node_id: str
    display_name: str
    category: str
    inputs: list[Input]
    outputs: list[Output]
    description: str = ""


class NodeOutput:
    def __init__(self, *args: Any) -> None:
        self.args = args


class ComfyNode:
    """Base of nodes; ComfyUI calls their class methods and keeps no instance."""


class ComfyExtension:
    """Base of what `comfy_entrypoint` returns."""


def kind(io_type: str) -> Any:
    def make_input(id: str, **options: Any) -> Input:
        return Input(io_type, id, **options)

    def make_output(**options: Any) -> Output:
        return Output(io_type, **options)

    return SimpleNamespace(Input=make_input, Output=make_output, io_type=io_type)


@dataclass
class Comfy:
    """A stand-in for a running ComfyUI. progress: values that nodes have reported. stop_at: the progress at
    which the user interrupts."""

    temp: Path
    progress: list[float] = field(default_factory=list)
    stop_at: float | None = None

    def modules(self) -> dict[str, ModuleType]:
        names = ("Image", "Mask", "Audio", "Video", "String", "Int", "Float", "Boolean", "Combo")
        io = SimpleNamespace(
            ComfyNode=ComfyNode, Schema=Schema, NodeOutput=NodeOutput, Custom=kind,
            **{name: kind(name.upper()) for name in names},
        )  # fmt: skip
        execution = SimpleNamespace(set_progress=self._set_progress)
        api = module(
            "comfy_api.v0_0_2",
            io=io,
            ComfyExtension=ComfyExtension,
            ComfyAPISync=lambda: SimpleNamespace(execution=execution),
            Types=SimpleNamespace(VideoComponents=SimpleNamespace),
            InputImpl=SimpleNamespace(
                VideoFromFile=lambda path: SimpleNamespace(path=path),
                VideoFromComponents=lambda components: SimpleNamespace(components=components),
            ),
        )
        management = module(
            "comfy.model_management", throw_exception_if_processing_interrupted=self._raise_if_stopped
        )
        return {
            "comfy": module("comfy", model_management=management),
            "comfy.model_management": management,
            "comfy_api": module("comfy_api", v0_0_2=api),
            "comfy_api.v0_0_2": api,
            "folder_paths": module("folder_paths", get_temp_directory=lambda: str(self.temp)),
        }

    def _set_progress(self, value: float, max_value: float) -> None:
        assert 0 <= value <= max_value
        self.progress.append(value / max_value)

    def _raise_if_stopped(self) -> None:
        if self.stop_at is not None and self.progress and self.progress[-1] >= self.stop_at:
            raise InterruptProcessingException

    @contextmanager
    def nodes(self, folder: Path) -> Iterator[dict[str, Any]]:
        """The nodes in a folder, by their ids, loaded as ComfyUI loads custom nodes."""
        modules = self.modules()
        before = {name: sys.modules.get(name) for name in modules}
        sys.modules.update(modules)
        name = "custom_nodes_sonimate"
        try:
            spec = importlib.util.spec_from_file_location(
                name, folder / "__init__.py", submodule_search_locations=[str(folder)]
            )
            assert spec is not None
            assert spec.loader is not None
            package = importlib.util.module_from_spec(spec)
            sys.modules[name] = package
            spec.loader.exec_module(package)
            extension = asyncio.run(package.comfy_entrypoint())
            assert isinstance(extension, ComfyExtension)
            found = asyncio.run(extension.get_node_list())  # pyright: ignore[reportAttributeAccessIssue]
            yield {node.define_schema().node_id: node for node in found}
        finally:
            for loaded in [known for known in sys.modules if known.startswith(name)]:
                del sys.modules[loaded]
            for known, was in before.items():
                sys.modules.pop(known) if was is None else sys.modules.update({known: was})

    def run(self, node: Any, **given: Any) -> tuple[Any, ...]:
        """Fill in defaults, check all values against the schema, execute, check what comes out."""
        schema: Schema = node.define_schema()
        known = {item.id: item for item in schema.inputs}
        assert len(known) == len(schema.inputs)
        assert set(given) <= set(known)
        values = {name: item.default for name, item in known.items() if not item.optional} | given
        for name, value in values.items():
            check(known[name], value)
        self.progress.clear()
        output = node.execute(**values)
        assert isinstance(output, NodeOutput)
        assert len(output.args) == len(schema.outputs)
        for item, value in zip(schema.outputs, output.args, strict=True):
            check(Input(item.io_type, item.display_name), value)
        return output.args


def check(item: Input, value: Any) -> None:
    """Assert that a value is what ComfyUI passes for an input or output of this type."""
    assert value is not None, f"{item.id} is required"
    if item.min is not None and item.max is not None:
        assert item.min <= value <= item.max
    match item.io_type:
        case "COMBO":
            assert value in (item.options or ())
        case "IMAGE":
            assert value.ndim == 4
            assert value.shape[-1] == 3
            unit(value)
        case "MASK":
            assert value.ndim == 3
            unit(value)
        case "AUDIO":
            assert value["waveform"].ndim == 3
            assert value["sample_rate"] > 0
        case _:
            pass


def unit(value: torch.Tensor) -> None:
    assert value.dtype == torch.float32
    assert value.min() >= 0
    assert value.max() <= 1


def module(name: str, **names: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(names)
    return made

"""sonimate's pipeline for diffusers: `push_to_hub` puts this file into each repository as pipeline.py.

>>> pipeline = DiffusionPipeline.from_pretrained(REPO, custom_pipeline=REPO, trust_remote_code=True)
>>> pipeline("portrait.jpg", "voice.wav").save("talking.mp4")
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from diffusers.pipelines.pipeline_utils import DiffusionPipeline

from sonimate.pipeline import Animation, SonicPipeline


class SonimateDiffusionPipeline(DiffusionPipeline):
    """The model of the repository or folder from which diffusers made this pipeline.

    diffusers builds networks of its own classes only, so this pipeline has no components of diffusers; it
    loads the whole model by sonimate when it is first used.
    """

    def __init__(self) -> None:
        super().__init__()

    @cached_property
    def model(self) -> SonicPipeline:
        """The model in memory. Raises the errors of `SonicPipeline.from_pretrained`."""
        return SonicPipeline.from_pretrained(str(self.config["_name_or_path"]))

    def __call__(self, portrait: str | Path, audio: str | Path, **options: Any) -> Animation:
        """`SonicPipeline.animate`: the talking video of a portrait file and a sound file."""
        return self.model.animate(portrait, audio, **options)

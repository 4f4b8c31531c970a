"""sonimate: one portrait and one voice recording become a talking-head video.

An open implementation of *Sonic: Shifting Focus to Global Audio Perception in Portrait
Animation* (Ji et al., CVPR 2025, arXiv 2411.16331). Importing this package loads no torch.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["SonicPipeline", "__version__"]

if TYPE_CHECKING:
    from sonimate.pipeline import SonicPipeline


def __getattr__(name: str) -> Any:
    if name == "SonicPipeline":
        with importing():
            from sonimate.pipeline import SonicPipeline

        globals()[name] = SonicPipeline  # found without this function from now on
        return SonicPipeline
    raise AttributeError(f"module 'sonimate' has no attribute {name!r}")


@contextmanager
def importing() -> Generator[None]:
    """Around large imports: no garbage collection. The objects of modules are no garbage, and the collector
    takes a seventh of the time of torch's import. Afterwards it is as before, with all objects old."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # together these move all objects to the oldest generation
            gc.freeze()
            gc.unfreeze()
        if collecting:
            gc.enable()

"""torch.compile of the network that the samplers call, and what its compilers may lack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from sonimate.errors import CompilationFailed


def compile_network(network: nn.Module) -> None:
    """Compile in place, for static shapes, at the first call of each shape: see `compilation_errors_told`."""
    network.compile(dynamic=False)


@contextmanager
def compilation_errors_told() -> Iterator[None]:
    """Networks called within the block raise CompilationFailed instead of torch.compile's own errors."""
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import TorchDynamoException  # seconds to import, if nothing was compiled

        if not isinstance(error, TorchDynamoException):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CompilationFailed(
            f"torch.compile failed: {reason}. On a CPU it needs a C++ compiler such as g++, on an NVIDIA GPU "
            "Triton and a C compiler. Install them, or leave out --compile."
        ) from error

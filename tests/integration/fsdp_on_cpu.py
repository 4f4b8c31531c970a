"""Runs `sonimate` on a CPU under FSDP, as accelerate runs it on GPUs. On a CPU, accelerate would not divide
the networks without these changes."""

import sys
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from sonimate.apps.cli import main

_init = AcceleratorState.__init__


def _init_with_fsdp(
    self: AcceleratorState,
    *arguments: Any,
    fsdp_plugin: FullyShardedDataParallelPlugin | None = None,
    **options: Any,
) -> None:
    first = not AcceleratorState._shared_state
    _init(self, *arguments, fsdp_plugin=fsdp_plugin, **options)
    if first and fsdp_plugin is not None:
        fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP


AcceleratorState.__init__ = _init_with_fsdp
sys.exit(main())

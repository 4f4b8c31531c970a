"""`sonimate` as accelerate would run it under FSDP on GPUs, on a CPU: accelerate divides nothing there unless
it is told that it does."""

import sys

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from sonimate.apps.cli import main

_init = AcceleratorState.__init__


def _init_with_fsdp(self, *arguments, fsdp_plugin=None, **options):
    first = not AcceleratorState._shared_state
    _init(self, *arguments, fsdp_plugin=fsdp_plugin, **options)
    if first:
        fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP


AcceleratorState.__init__ = _init_with_fsdp
sys.exit(main())

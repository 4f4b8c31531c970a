"""`sonimate`, whose second process has a gradient that is no number at step 3."""

import math
import os
import sys
from typing import Any

from sonimate.apps.cli import main
from sonimate.train.loop import Trainer

_init = Trainer.__init__


def _init_with_hook(self: Trainer, *arguments: Any) -> None:
    _init(self, *arguments)
    parameter = next(p for p in self.networks.parameters() if p.requires_grad)
    if os.environ["RANK"] == "1":
        parameter.register_hook(lambda gradient: gradient * (math.nan if self.step == 3 else 1.0))


setattr(Trainer, "__init__", _init_with_hook)  # noqa: B010
sys.exit(main())

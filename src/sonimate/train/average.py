"""An exponential moving average of parameters, which FSDP may have divided among processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


class Average:
    """Averages of a network's trained parameters in float32, on the parameters' devices and divided as they
    are.

    `update` keeps min(decay, n / (n + 9)) of the average after n steps: a young average forgets faster.
    """

    def __init__(self, networks: nn.Module, decay: float):
        self.decay, self.count = decay, 0
        self.values = {name: p.detach().clone().float() for name, p in _trained(networks)}

    @torch.no_grad()
    def update(self, networks: nn.Module) -> None:
        """Add the parameters after a step to the average."""
        keep = min(self.decay, self.count / (self.count + 9))
        for name, parameter in _trained(networks):
            self.values[name].mul_(keep).add_(parameter.detach(), alpha=1 - keep)
        self.count += 1

    def whole(self) -> dict[str, Tensor]:
        """All averages, undivided, on the CPU. All processes must call it together."""
        return {
            name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().cpu()
            for name, value in self.values.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """For accelerate, which calls it in all processes and stores the first process's result."""
        return {"count": self.count, "values": self.whole()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`, for any division among processes."""
        self.count = state["count"]
        for name, value in self.values.items():
            stored = state["values"][name].to(value.device)
            if isinstance(value, DTensor):
                stored = distribute_tensor(stored, value.device_mesh, value.placements)
            value.copy_(stored)


def _trained(networks: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in networks.named_parameters() if p.requires_grad]

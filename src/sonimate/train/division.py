"""How a run's work is divided: accelerate's plugins, set up for a configuration and its networks."""

from __future__ import annotations

from accelerate import Accelerator
from torch import nn

from sonimate.errors import OptionOutOfRange
from sonimate.train.config import TrainConfig


def set_up_division(accelerator: Accelerator, config: TrainConfig, networks: nn.Module) -> None:
    """Call it before `accelerator.prepare`. Raises OptionOutOfRange: the batch does not divide.

    A launcher's settings are those of the first stage. The second one has an accumulation of its own, and
    networks without the parts that FSDP is told to gather: they are gathered as one.
    """
    parts = accelerator.num_processes * config.accumulation
    if config.batch_size % parts:
        raise OptionOutOfRange(
            f"batch_size = {config.batch_size} does not divide into {parts} parts: "
            f"{accelerator.num_processes} processes, accumulation = {config.accumulation}."
        )
    accelerator.gradient_accumulation_steps = config.accumulation
    deepspeed = accelerator.state.deepspeed_plugin
    if deepspeed is not None:
        deepspeed.deepspeed_config["train_micro_batch_size_per_gpu"] = config.batch_size // parts
        deepspeed.deepspeed_config["gradient_accumulation_steps"] = config.accumulation
    fsdp = getattr(accelerator.state, "fsdp_plugin", None)
    present = {type(module).__name__ for module in networks.modules()}
    if fsdp is not None and present.isdisjoint(fsdp.transformer_cls_names_to_wrap or ()):
        fsdp.transformer_cls_names_to_wrap = []

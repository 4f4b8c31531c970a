"""Memory per GPU of training the full model: counted, not measured, for no GPU was at hand.

The step of the full size is built with the FSDP settings of the package (fsdp.yaml) on fake tensors, forward
to optimiser, and its activations are counted with and without gradient checkpointing. At a validation the
first GPU generates by a whole copy of the average: its memory follows from the coefficients of
sonimate.costs.
A few minutes on one core.
"""

from __future__ import annotations

from lib.command import benchmark_parser
from lib.report import Check, publish
from lib.training_memory import (
    activation_bytes,
    count,
    meta_denoiser,
    read_fsdp_settings,
    sharded_step,
    state_bytes,
    validation_bytes,
)
from sonimate.models.audio_networks import AudioTokensConfig
from sonimate.models.unet import UNetConfig
from sonimate.train.recipes import find_recipe

PROCESSES = (1, 2, 4, 8)
FRAMES = 25
GB = 1e9


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--size", type=int, default=512, help="px of the frames, a multiple of 64")
    arguments = parser.parse_args(argv)
    side = arguments.size // 8
    plugin = read_fsdp_settings(find_recipe("fsdp"))
    unet, tokens = UNetConfig(), AudioTokensConfig()
    activations = {}
    for checkpointing in (False, True):
        networks = meta_denoiser(unet, tokens, checkpointing=checkpointing)
        activations[checkpointing] = activation_bytes(networks, frames=FRAMES, side=side)
        print(f"checkpointing {checkpointing}: {activations[checkpointing] / GB:.1f} GB", flush=True)
    counts = count(
        meta_denoiser(unet, tokens, checkpointing=True), tuple(plugin.transformer_cls_names_to_wrap or ())
    )
    rows, checks = [], []
    for processes in PROCESSES:
        first = validation_bytes(counts, processes=processes, frames=FRAMES, side=side)
        for scheme, state in state_bytes(counts, processes=processes).items():
            row = {"GPUs": processes, "scheme": scheme, "state, GB": state / GB}
            row["with checkpointing, GB"] = (state + activations[True]) / GB
            row["without, GB"] = (state + activations[False]) / GB
            row["first GPU at validation, GB"] = first[scheme] / GB
            rows.append(row)
    for processes in PROCESSES[1:]:
        networks = meta_denoiser(unet, tokens, checkpointing=True)
        step = sharded_step(networks, plugin, processes=processes, frames=FRAMES, side=side)
        share = (counts.trained + counts.frozen) / processes
        checks += [
            Check(f"parameters held of 1/{processes}", step.parameters / share, low=0.99, high=1.01),
            Check(
                f"optimiser states held of 1/{processes}",
                step.optimiser_states * processes / (2 * counts.trained),
                low=0.99,
                high=1.01,
            ),
        ]
        print(step, flush=True)
    summary = {
        "trained parameters": counts.trained,
        "frozen parameters": counts.frozen,
        "largest part that FSDP gathers": counts.largest_part,
        "activations of a window, GB": activations[False] / GB,
        "with checkpointing, GB": activations[True] / GB,
    }
    publish("train_memory", arguments.out, rows=rows, summary=summary, checks=checks)


if __name__ == "__main__":
    main()

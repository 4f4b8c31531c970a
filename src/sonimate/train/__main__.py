"""`python -m sonimate.train CONFIG.yaml --data PREPARED --out RUN [--hold-out SPEAKER,...] [--init RUN]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sonimate.audio.whisper import WhisperHiddenStates
from sonimate.checkpoints.saved import write_index
from sonimate.codecs.mesh import MeshCodec
from sonimate.data.features import load_reducers
from sonimate.data.prepare import ENCODER
from sonimate.data.samples import Sample, load_samples
from sonimate.train.buckets import train_buckets
from sonimate.train.config import TrainConfig
from sonimate.train.loop import Trainer
from sonimate.train.networks import Networks, outside_rows
from sonimate.train.validate import generate, lip_scores


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sonimate.train", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of python -m sonimate.data.prepare")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--hold-out", default="", help="speakers, comma-separated, to leave out and validate on"
    )
    parser.add_argument("--init", type=Path, help="run folder whose networks to start from")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--real-share", type=float)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    names = ("steps", "real_share", "learning_rate", "seed")
    overrides = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    held_out = tuple(filter(None, arguments.hold_out.split(",")))
    config = TrainConfig.from_yaml(arguments.config, held_out=held_out, **overrides)
    samples = load_samples(arguments.data / "samples")
    codec = MeshCodec.from_folder(arguments.data / "codec")
    reducers = load_reducers(arguments.data / "reducers.npz")
    outside = outside_rows(reducers[0])
    judged = [s for s in samples if _plain(s) and (s.speaker in held_out or not held_out)]

    def validate(networks: Networks, step: int) -> dict[str, float]:
        return lip_scores([generate(networks, codec, sample, outside) for sample in judged])

    trainer = Trainer(config, samples, codec, reducers, arguments.out, validate)
    if arguments.init:
        state = torch.load(arguments.init / "networks.pt", map_location="cpu", weights_only=True)
        trainer.accelerator.unwrap_model(trainer.networks).load_state_dict(state)
        trainer.average.module.load_state_dict(state)
    networks = trainer.run()
    error = train_buckets(networks, trainer.windows, config)
    print(f"motion buckets: mean absolute error {error:.1f}")
    torch.save(networks.state_dict(), arguments.out / "networks.pt")
    folder = arguments.out / "model"
    networks.save(folder)
    codec.save(folder / "codec")
    WhisperHiddenStates.from_folder(ENCODER).save(folder / "audio_encoder")
    write_index(folder)


def _plain(sample: Sample) -> bool:
    """The unchanged version of a real clip."""
    return sample.source == "real" and sample.name.endswith("@1.0v0")


if __name__ == "__main__":
    main()

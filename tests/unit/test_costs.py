"""Predicted memory and time: what they grow with, and what a refusal advises."""

from dataclasses import replace

import pytest

from sonimate.costs import FULL_COSTS, Workload, predict, require_memory
from sonimate.errors import NotEnoughMemory

PARAMETERS = {"unet": FULL_COSTS.unet_parameters, "vae": 97_742_847, "audio_to_tokens": 54_300_672}
WORK = Workload(
    window_frames=25,
    positions=64 * 64,
    predictions=3 * 25 * 10,
    reusing_predictions=0,
    predictions_at_once=3,
    drawn_frames=250,
    frame_pixels=512 * 512,
    chunk_frames=8,
    frames_between=0,
    bytes_per_number=2,
    bytes_per_activation=2,
    offload=False,
    sound_seconds=10,
)
RATE = 1e13


def memory(work: Workload) -> float:
    return predict(work, FULL_COSTS, PARAMETERS, RATE).memory_bytes


def seconds(work: Workload) -> float:
    return predict(work, FULL_COSTS, PARAMETERS, RATE).seconds


def test_the_released_model_in_half_precision() -> None:
    """3.15 GB of UNet, and activations in proportion to those counted at quarter width, 32 x 32 latents and
    three branches of 25 frames: 352 MB in float32 (benchmarks/unet_speed.py)."""
    undrawn = replace(WORK, chunk_frames=0)
    weights = 2 * (PARAMETERS["unet"] + PARAMETERS["vae"]) + 4 * PARAMETERS["audio_to_tokens"]
    assert memory(undrawn) - FULL_COSTS.runtime_bytes - weights == pytest.approx(352e6 * 4 * 4 / 2, rel=0.01)


def test_what_saves_memory() -> None:
    undrawn = replace(WORK, chunk_frames=1)
    assert memory(replace(undrawn, predictions_at_once=1)) < memory(undrawn)
    assert memory(replace(WORK, offload=True)) < memory(WORK)
    assert memory(replace(WORK, chunk_frames=4)) < memory(WORK)
    assert memory(WORK) < memory(replace(WORK, bytes_per_number=4))
    assert memory(WORK) < memory(replace(WORK, bytes_per_activation=4))
    assert memory(replace(WORK, predictions=1, drawn_frames=1)) == memory(WORK)
    assert memory(WORK) < memory(replace(WORK, cut_out=True))


def test_time_goes_with_the_work_and_the_machine() -> None:
    start = FULL_COSTS.start_seconds
    twice = replace(WORK, predictions=2 * WORK.predictions, drawn_frames=2 * WORK.drawn_frames)
    assert seconds(twice) - start == pytest.approx(2 * (seconds(WORK) - start))
    larger = replace(WORK, positions=4 * WORK.positions, drawn_frames=0)
    assert seconds(larger) - start > 4 * (seconds(replace(WORK, drawn_frames=0)) - start)
    slower = predict(WORK, FULL_COSTS, PARAMETERS, RATE / 2).seconds
    assert slower - start == pytest.approx(2 * (seconds(WORK) - start))


def test_steps_that_reuse_features_take_part_of_the_time_of_others() -> None:
    plain = replace(WORK, predictions=100)
    reusing = replace(WORK, predictions=50, reusing_predictions=50)
    assert seconds(replace(WORK, predictions=50)) < seconds(reusing) < seconds(plain)


def test_frames_between_take_time_by_a_network_or_on_the_cpu() -> None:
    doubled = replace(WORK, frames_between=125)
    by_flow = seconds(doubled) - seconds(WORK)
    assert by_flow == pytest.approx(FULL_COSTS.flow_seconds * 125 * WORK.frame_pixels)
    with_rife = PARAMETERS | {"interpolator": 0}
    by_rife = predict(doubled, FULL_COSTS, with_rife, RATE).seconds - seconds(WORK)
    assert by_rife == pytest.approx(FULL_COSTS.rife_work * 125 * WORK.frame_pixels / RATE)


def test_a_refusal_advises_what_is_not_done_yet() -> None:
    prediction = predict(WORK, FULL_COSTS, PARAMETERS, RATE)
    require_memory(prediction, 1e12, WORK, "cuda", cropped=False)

    def advice(work: Workload, device: str, *, cropped: bool) -> str:
        with pytest.raises(NotEnoughMemory, match=f"{device} has 4.0 GB free") as refusal:
            require_memory(prediction, 4e9, work, device, cropped=cropped)
        return str(refusal.value).partition(" Try ")[2]

    all_of_it = "--sequential-guidance, --offload, --decode-chunk below 8, a smaller --size, --crop."
    assert advice(WORK, "cuda:1", cropped=False) == all_of_it
    assert "--offload" not in advice(WORK, "cpu", cropped=False)
    assert "--crop" not in advice(WORK, "cuda", cropped=True)
    lean = replace(WORK, predictions_at_once=1, bytes_per_number=4, offload=True, chunk_frames=1)
    assert advice(lean, "cuda", cropped=False) == "--dtype bfloat16, a smaller --size, --crop."

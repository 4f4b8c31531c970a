"""Doubling the frame rate: the stream, optical flow, and RIFE's network at a tiny width."""

import weakref

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from sonimate.codecs.svd.interpolation import FlowMiddle, RifeMiddle, double_rate
from sonimate.models.rife import IFNet, IFNetConfig, warp

SIZES = [(64, 48), (57, 43), (12, 300)]


def mean(first: Tensor, second: Tensor) -> Tensor:
    return (first + second) / 2


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth colour noise (3, h, w) in [0, 1] with details of about 6 px."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 3 + 2, width // 3 + 2, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)[0]


def tiny_network() -> IFNet:
    torch.manual_seed(0)
    return IFNet(IFNetConfig(channels=6)).eval()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_rate_doubles_and_originals_stay_the_same_objects(count):
    frames = [torch.full((3, 2, 2), float(i)) for i in range(count)]
    doubled = list(double_rate(iter(frames), mean))
    assert len(doubled) == 2 * count
    assert all(kept is frame for kept, frame in zip(doubled[::2], frames, strict=True))
    assert [frame.mean().item() for frame in doubled[1:-1:2]] == [i + 0.5 for i in range(count - 1)]
    assert all(doubled[-1] is frame for frame in frames[-1:])


def test_stream_reads_no_frame_early_and_holds_two():
    read: list[weakref.ref] = []

    def frames():
        for i in range(6):
            frame = torch.full((3, 2, 2), float(i))
            read.append(weakref.ref(frame))
            yield frame
            del frame

    reads, held = [], []
    for _ in double_rate(frames(), mean):
        reads.append(len(read))
        held.append(sum(frame() is not None for frame in read))
    assert reads == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6]
    assert max(held) == 2


@pytest.mark.parametrize("shift", [(0, 4), (-2, 6), (8, -2)])
def test_flow_moves_a_texture_halfway(shift):
    big = texture(128, 144)
    first, halfway, second = (big.roll([s * part // 2 for s in shift], (1, 2)) for part in (0, 1, 2))
    inner = (slice(None), slice(24, -24), slice(24, -24))
    error = (FlowMiddle()(first, second) - halfway)[inner].abs()
    blend_error = (mean(first, second) - halfway)[inner].abs()
    assert error.mean() < 0.01 < 0.05 < blend_error.mean()


def test_flow_between_pixels_stays_sharp():
    first = texture(128, 144)

    def sharpness(frame: Tensor) -> Tensor:
        return frame[:, 24:-24, 24:-24].diff(dim=2).square().mean().sqrt()

    middle = FlowMiddle()(first, first.roll(3, 2))
    assert 0.95 < sharpness(middle) / sharpness(first) < 1.05


def test_flow_leaves_a_still_background_untouched():
    background, ball = texture(160, 200), texture(160, 200, seed=1)

    def scene(x: int) -> Tensor:
        rows, columns = torch.meshgrid(torch.arange(160), torch.arange(200), indexing="ij")
        inside = (rows - 80) ** 2 + (columns - x) ** 2 < 30**2
        return torch.where(inside, ball.roll(x, 2), background)

    first, halfway, second = scene(90), scene(94), scene(98)
    middle = FlowMiddle()(first, second)
    far = torch.ones(160, 200, dtype=torch.bool)
    far[80 - 40 : 80 + 40, 90 - 40 : 98 + 40] = False
    assert torch.equal(middle[:, far], first[:, far])
    assert (middle - halfway).square().mean() < 0.2 * (mean(first, second) - halfway).square().mean()


@pytest.mark.parametrize("size", SIZES)
def test_identical_frames_have_themselves_between(size):
    frame = texture(*size)
    assert torch.equal(FlowMiddle()(frame, frame.clone()), frame)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("middle", [FlowMiddle(), RifeMiddle(tiny_network())], ids=lambda middle: middle.name)
def test_middle_frames_of_any_size_are_clamped_and_alike_in_both_orders_of_time(middle, size):
    first = (3 * texture(*size) - 1).clamp(0, 1)
    second = first.roll((2, -2), (1, 2))
    between = middle(first, second)
    assert between.shape == first.shape
    assert between.dtype == torch.float32
    assert not between.requires_grad
    assert between.min() >= 0
    assert between.max() <= 1
    assert_close(middle(second, first), between, atol=1e-5, rtol=0)


def broken_network(value: float) -> IFNet:
    network = tiny_network()
    bias = network.block2.conv1[2].bias
    assert isinstance(bias, torch.Tensor)
    torch.nn.init.constant_(bias, value)
    return network


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_no_frame_is_black_where_the_network_fails_but_flow_steps_in_with_one_warning(value, caplog):
    middle = RifeMiddle(broken_network(value))
    first = 0.5 + texture(57, 43) / 2
    second = first.roll(2, 2)
    for _ in range(3):
        assert torch.equal(middle(first, second), FlowMiddle()(first, second))
    assert sum("RIFE's output is not finite" in record.message for record in caplog.records) == 1


def test_flow_in_place_of_missing_weights_is_told_once(caplog):
    middle = FlowMiddle()
    assert not caplog.records
    for _ in range(3):
        middle(texture(57, 43), texture(57, 43))
    assert [record.message.split(":")[0] for record in caplog.records] == ["The model has no RIFE weights"]


@torch.inference_mode()
def test_network_without_motion_gives_the_mean():
    network = tiny_network()
    for name, weight in network.named_parameters():
        if name.split(".")[1] in ("conv1", "conv2"):
            weight.zero_()
    first, second = texture(57, 43), texture(57, 43, seed=1)
    assert_close(network(first[None], second[None])[0], mean(first, second), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_network_sees_frames_continued_to_whole_cells():
    network = tiny_network()
    first, second = texture(57, 43)[None], texture(57, 43, seed=1)[None]
    whole = network.motion(*(F.pad(frame, (0, 5, 0, 7), mode="replicate") for frame in (first, second)))
    for part, cropped in zip(whole, network.motion(first, second), strict=True):
        assert torch.equal(part[..., :57, :43], cropped)


def test_warp_by_whole_pixels_shifts_and_holds_the_edge():
    image = texture(20, 30)[None]
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 20, 30)
    warped = warp(image, flow)
    assert_close(warped[..., 2:, :-3], image[..., :-2, 3:], atol=1e-4, rtol=0)
    assert_close(warped[..., 2:, -3:], image[..., :-2, -1:].expand(-1, -1, -1, 3), atol=1e-4, rtol=0)

import logging
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sonimate.codecs.svd.autoencoder import ENCODE_FRAMES, SVDCodec, chunk_plan
from sonimate.codecs.svd.interpolation import RifeMiddle
from sonimate.configs import (
    REFERENCE_DECODE,
    SEAMLESS_DECODE,
    DecodeOptions,
    SamplingOptions,
    require_frame_rate,
)
from sonimate.errors import NonFiniteOutput, OptionOutOfRange
from sonimate.models.rife import IFNet, IFNetConfig
from sonimate.types import Face, Portrait


def autoencoder(levels: int = 1) -> AutoencoderKLTemporalDecoder:
    """Random and small; it shrinks by 2 ** (levels - 1)."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "block_out_channels": (32,) * levels,
    }
    return AutoencoderKLTemporalDecoder(**shape).eval()


def set_bias(layer: torch.nn.Module, value: float) -> None:
    bias = layer.bias
    assert isinstance(bias, Tensor)
    torch.nn.init.constant_(bias, value)


def mean_frame(first: Tensor, second: Tensor) -> Tensor:
    return (first + second) / 2


def codec(levels: int = 1, decoding: DecodeOptions = SEAMLESS_DECODE) -> SVDCodec:
    return SVDCodec(autoencoder(levels), middle=mean_frame, decoding=decoding)


def latents(frames: int) -> Tensor:
    return torch.randn(frames, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def stacked(frames) -> Tensor:
    return torch.stack(list(frames))


@pytest.fixture
def portrait() -> Portrait:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return Portrait(pixels, Face((40.0, 20.0, 80.0, 70.0), np.zeros((478, 3), np.float32), 1.0))


@given(st.integers(0, 200), st.integers(1, 30), st.data())
def test_chunks_show_every_frame_once_within_its_surroundings(count, chunk_frames, data):
    overlap = data.draw(st.integers(0, chunk_frames - 1))
    options = DecodeOptions(chunk_frames=chunk_frames, overlap_frames=overlap)
    shown = []
    for start, stop, keep in chunk_plan(count, options):
        assert 0 <= start < stop <= min(start + chunk_frames, count)
        frames = range(start, stop)[keep]
        assert start == 0 or frames[0] - start >= overlap // 2
        assert stop == count or stop - 1 - frames[-1] >= overlap // 2
        shown += frames
    assert shown == list(range(count))


def test_reference_chunks_share_nothing():
    """NOTES 4.12: eight frames each, the last of one."""
    assert [tuple(chunk[:2]) for chunk in chunk_plan(17, REFERENCE_DECODE)] == [(0, 8), (8, 16), (16, 17)]


@pytest.mark.parametrize(
    ("as_reference", "chunk", "expected"),
    [
        (False, None, (16, 10)),
        (True, None, (8, 0)),
        (False, 8, (8, 5)),
        (False, 1, (1, 0)),
        (False, 40, (40, 10)),
        (True, 3, (3, 0)),
    ],
)
def test_chunks_that_options_ask_for(as_reference, chunk, expected):
    decoding = SamplingOptions(as_reference=as_reference, decode_chunk=chunk).decoding
    assert (decoding.chunk_frames, decoding.overlap_frames) == expected


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(OptionOutOfRange, match="decode_chunk = 0"):
        SamplingOptions(decode_chunk=0)


def test_overlapping_chunks_equal_the_whole_clip():
    """Nearly: measured in gray levels, they are off by 0.07 and jump by 0.05, separate chunks by 15."""
    moving = latents(1) + 0.3 * latents(60).cumsum(0) / 60**0.5
    whole = stacked(codec(decoding=DecodeOptions(chunk_frames=60)).decode_latents(moving))
    seamless = stacked(codec().decode_latents(moving))
    assert (seamless - whole).abs().mean() < 1e-3
    jumps = (seamless.diff(dim=0) - whole.diff(dim=0)).abs().mean((1, 2, 3))
    assert jumps.max() < 5e-4
    separate = stacked(codec(decoding=REFERENCE_DECODE).decode_latents(moving))
    assert (separate.diff(dim=0) - whole.diff(dim=0)).abs().mean((1, 2, 3)).max() > 100 * jumps.max()


def test_decoding_keeps_pace_with_reading(monkeypatch):
    """So memory cannot grow with the length: a chunk is decoded when all before it is read."""
    tested, decoded = codec(decoding=DecodeOptions(chunk_frames=6, overlap_frames=2)), []
    decode = tested.vae.decode
    monkeypatch.setattr(tested.vae, "decode", lambda z, *a, **k: decoded.append(len(z)) or decode(z, *a, **k))
    frames = tested.decode(latents(40))
    assert decoded == []
    for taken in range(1, 81):
        next(frames)
        assert sum(decoded) <= (taken / 2 + 6) * 6 / 4
    assert max(decoded) == 6


@pytest.mark.parametrize(("fps", "count"), [(12.5, 5), (25.0, 10)])
def test_frames_at_both_rates_are_truncated(fps, count):
    """NOTES 5.3."""
    tested = codec()
    frames = list(tested.decode(latents(5), decoding=DecodeOptions(fps=fps)))
    assert len(frames) == count
    assert {(frame.shape, frame.dtype) for frame in frames} == {((8, 8, 3), np.dtype(np.uint8))}
    found = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[:: count // 5]
    assert torch.equal(found, (255 * stacked(tested.decode_latents(latents(5)))).floor().byte())


def test_frames_between_are_made_before_truncation():
    """NOTES 5.2."""
    seen = []

    def middle(first: Tensor, second: Tensor) -> Tensor:
        seen.append(torch.stack([first, second]))
        return torch.full_like(first, 0.9999)

    tested = SVDCodec(autoencoder(), middle=middle)
    frames = list(tested.decode(latents(5)))
    originals = stacked(tested.decode_latents(latents(5)))
    assert torch.equal(torch.stack(seen), torch.stack([originals[:-1], originals[1:]], dim=1))
    assert all((frame == 254).all() for frame in frames[1:-1:2])


@pytest.mark.parametrize(("bias", "gray"), [(-9.0, 0), (9.0, 255)])
def test_values_beyond_black_and_white_are_clipped(bias, gray):
    tested = codec()
    set_bias(tested.vae.decoder.time_conv_out, bias)
    assert all((frame == gray).all() for frame in tested.decode(latents(2)))


def test_other_rates_are_refused():
    with pytest.raises(OptionOutOfRange, match="50 or 60"):
        DecodeOptions(fps=29.0)
    with pytest.raises(OptionOutOfRange, match="or 25"):
        require_frame_rate(30.0, full=True)


def test_calls_leave_nothing_behind(portrait):
    """Size and frame rate are arguments: a call with others does not change the next one."""
    tested = codec(levels=4)
    small = tested.encode_reference(portrait, size=64)
    tested.encode_reference(portrait, size=128)
    assert tested.encode_reference(portrait, size=64).width == small.width
    assert len(list(tested.decode(small.latents[None], decoding=DecodeOptions(fps=12.5)))) == 1
    assert len(list(tested.decode(small.latents[None]))) == 2


@pytest.mark.parametrize("size", [63, 8193])
def test_sizes_out_of_range_are_refused(size, portrait):
    with pytest.raises(OptionOutOfRange, match="64 to 8192"):
        codec().encode_reference(portrait, size=size)


@pytest.mark.parametrize(("chunk", "overlap"), [(0, 0), (8, 8), (8, -1)])
def test_chunks_that_do_not_advance_are_refused(chunk, overlap):
    with pytest.raises(OptionOutOfRange, match="overlap"):
        DecodeOptions(chunk_frames=chunk, overlap_frames=overlap)


def overflowing(levels: int = 1) -> AutoencoderKLTemporalDecoder:
    """In half precision, with weights below its 65504 but first activations above; normalisation follows."""
    vae = autoencoder(levels)
    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(2e5)
        vae.encoder.conv_in.weight.mul_(2e5)
    return vae.half()


def test_overflow_in_half_precision_is_computed_again_in_float32(caplog):
    expected = stacked(SVDCodec(overflowing().float(), middle=mean_frame).decode_latents(latents(30)))
    tested = SVDCodec(overflowing(), middle=mean_frame)
    found = stacked(tested.decode_latents(latents(30)))
    assert torch.equal(found, expected)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("sonimate", logging.WARNING)
    assert "float16" in record.message
    assert tested.vae.dtype == torch.float16  # the codec is as before, so a second call finds it out again
    assert torch.equal(stacked(tested.decode_latents(latents(30))), expected)
    assert len(caplog.records) == 2


def test_overflow_of_the_encoder_is_computed_again_in_float32(portrait, caplog):
    tested = SVDCodec(overflowing(levels=4), middle=mean_frame)
    assert tested.encode_reference(portrait, size=64).latents.isfinite().all()
    assert len(caplog.records) == 1
    frames = [portrait.pixels[:64, :64]] * (ENCODE_FRAMES + 1)
    assert tested.encode(frames).isfinite().all()
    assert len(caplog.records) == 2  # one a call, not one a chunk
    assert tested.vae.dtype == torch.float16


def test_broken_weights_are_an_error(portrait):
    tested = codec()
    set_bias(tested.vae.decoder.conv_out, torch.nan)
    set_bias(tested.vae.quant_conv, torch.inf)
    for compute in (
        lambda: next(tested.decode(latents(2))),
        lambda: tested.encode_reference(portrait, size=64),
    ):
        with pytest.raises(NonFiniteOutput, match="weights"):
            compute()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_latents_that_are_not_finite_are_refused_at_once(value):
    broken = latents(60)
    broken[59, 0, 3, 3] = value
    with pytest.raises(NonFiniteOutput, match="latents"):
        next(codec().decode(broken))


def test_computes_in_the_precision_of_the_autoencoder():
    tested = codec()
    expected = stacked(tested.decode_latents(latents(3)))
    tested.vae.bfloat16()
    found = stacked(tested.decode_latents(latents(3)))
    assert found.dtype == torch.float32
    assert 1e-4 < (found - expected).abs().max() < 5e-2


def test_reference(portrait):
    reference = codec(levels=4).encode_reference(portrait, size=128)
    assert (reference.height, reference.width) == (128, 192)
    assert reference.latents.shape == (4, 16, 24)
    torch.testing.assert_close(reference.initial_mean, 0.18215 * reference.latents)
    assert reference.image.shape == (3, 224, 224)
    assert reference.mask.shape == (128, 192)
    scale_x, scale_y = 192 / 120, 128 / 90
    inside = reference.mask[int(30 * scale_y) : int(60 * scale_y), int(45 * scale_x) : int(75 * scale_x)]
    assert (inside == 1).all()
    assert reference.mask[:10].max() == reference.mask[:, :40].max() == 0


def test_the_mask_is_drawn_around_the_mask_box(portrait):
    tested = codec(levels=4)
    x0, y0, x1, y1 = box = (20.0, 10.0, 100.0, 80.0)
    wide = tested.encode_reference(replace(portrait, mask_box=box), size=128).mask
    same = tested.encode_reference(Portrait(portrait.pixels, replace(portrait.face, box=box)), size=128).mask
    torch.testing.assert_close(wide, same, atol=0, rtol=0)
    share = 1.1**2 * (x1 - x0) * (y1 - y0) / (120 * 90)
    assert wide.mean().item() == pytest.approx(share, abs=0.02)


def test_frames_are_encoded_as_a_portrait_of_them_is(portrait):
    """But scaled for the UNet; uint8 or in [-1, 1]; and no frame knows of the others of its chunk."""
    tested = codec(levels=4)
    pixels = portrait.pixels[:64, :64]
    mean = tested.encode_reference(Portrait(np.ascontiguousarray(pixels), portrait.face), size=64).latents
    others = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    frames = np.concatenate([others, pixels[None]])
    found = tested.encode(list(frames))
    assert found.shape == (9, 4, 8, 8)
    torch.testing.assert_close(found[8], 0.18215 * mean)
    signed = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(tested.encode(signed), found)


def test_networks_that_move_to_a_device():
    rife = IFNet(IFNetConfig(channels=8))
    vae = autoencoder()
    assert SVDCodec(vae, middle=RifeMiddle(rife)).networks == [vae, rife]
    assert codec().networks[1:] == []


def test_one_frame_is_enough():
    assert len(list(islice(codec().decode(latents(1)), 3))) == 2

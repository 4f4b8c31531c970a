"""The articulation model on phones given by hand: no speech engine needed."""

from itertools import pairwise

import numpy as np
import pytest

from sonimate.features.face_gestures import LIP_RANGES_CM
from sonimate.speech.articulation import (
    ACTIVATIONS,
    CONTACTS,
    DIPHTHONGS,
    TARGETS,
    Style,
    activations,
    sample_style,
)
from sonimate.speech.phones import INVENTORY, Phone

COLUMN = {name: k for k, name in enumerate(ACTIVATIONS)}


def sequence(*parts: tuple[str, float], stressed: bool = False) -> list[Phone]:
    """Contiguous phones from (symbol, seconds) pairs."""
    edges = np.cumsum([0.0, *(seconds for _, seconds in parts)])
    return [
        Phone(symbol, float(a), float(b), stressed)
        for (symbol, _), (a, b) in zip(parts, pairwise(edges), strict=True)
    ]


def run(*parts: tuple[str, float], rate_hz: float = 25, loudness_db=None, **style) -> dict[str, np.ndarray]:
    phones = sequence(*parts)
    seconds = phones[-1].end_seconds
    motion = activations(phones, seconds, rate_hz, style=Style(**style), loudness_db=loudness_db)
    return {name: motion[:, k] for name, k in COLUMN.items()}


def test_every_phone_has_a_target_and_every_bilabial_a_contact():
    assert TARGETS.keys() | DIPHTHONGS.keys() >= INVENTORY
    assert CONTACTS.keys() >= {"p", "b", "m", "pf"}


@pytest.mark.parametrize("seed", range(5))
def test_ranges_and_length_hold_for_any_phones(seed):
    rng = np.random.default_rng(seed)
    symbols = rng.choice(sorted(INVENTORY), 60)
    phones = sequence(*((str(s), float(rng.uniform(0.02, 0.3))) for s in symbols))
    seconds = phones[-1].end_seconds
    loudness = rng.uniform(-40, 15, len(phones))
    motion = activations(phones, seconds, style=sample_style(rng), loudness_db=loudness)
    assert motion.shape == (round(seconds * 25), 7)
    assert motion.dtype == np.float32
    assert np.isfinite(motion).all()
    assert motion.max() <= 1
    signed = [COLUMN["wide"], COLUMN["upper"]]
    assert np.delete(motion, signed, axis=1).min() >= 0
    assert motion[:, signed].min() >= -1


@pytest.mark.parametrize("bilabial", ["p", "b", "m"])
@pytest.mark.parametrize("seconds", [0.03, 0.06, 0.12])
@pytest.mark.parametrize("offset", [0.0, 0.013, 0.027])
def test_lips_close_in_every_bilabial_however_short_and_wherever_the_frames_fall(bilabial, seconds, offset):
    motion = run(
        ("sil", 0.3 + offset), ("aa", 0.2), (bilabial, seconds), ("aa", 0.2), ("sil", 0.4), openness=1.4
    )
    start = 0.5 + offset
    around = slice(int((start - 0.08) * 25), int(np.ceil((start + seconds) * 25)) + 1)
    assert motion["open"][around].min() == 0
    assert motion["press"][around].max() >= 0.6
    assert motion["open"].max() > 0.4


def test_lips_close_before_the_release_and_open_after_it():
    motion = run(("sil", 0.4), ("aa", 0.2), ("p", 0.1), ("aa", 0.2), ("sil", 0.4), rate_hz=100)
    closed = np.flatnonzero(motion["open"][50:80] == 0) / 100 + 0.5
    assert closed.min() <= 0.62
    assert 0.65 <= closed.max() <= 0.68


@pytest.mark.parametrize("labiodental", ["f", "v"])
def test_lower_lip_reaches_the_teeth_and_leaves_a_small_gap(labiodental):
    motion = run(("sil", 0.4), ("ae", 0.2), (labiodental, 0.08), ("ae", 0.2), ("sil", 0.4))
    frame = int(0.64 * 25)
    assert motion["tuck"][frame] >= 0.85
    assert 0 < motion["open"][frame] < 0.2
    assert motion["tuck"][:10].max() == 0


def test_rounding_is_narrow_and_forward_and_starts_before_its_vowel():
    motion = run(("sil", 0.4), ("s", 0.1), ("uw", 0.3), ("s", 0.1), ("sil", 0.4), rate_hz=100)
    spread = run(("sil", 0.4), ("s", 0.1), ("iy", 0.3), ("s", 0.1), ("sil", 0.4), rate_hz=100)
    assert motion["wide"][65] < -0.5
    assert motion["protrude"][65] > 0.7
    assert spread["wide"][65] > motion["wide"][65] + 0.6
    assert spread["protrude"][65] < 0.1
    assert motion["protrude"][45] > spread["protrude"][45] + 0.15


def test_open_vowels_open_more_than_close_ones_and_jaw_more_than_lips_tell():
    peak = {v: run(("sil", 0.4), (v, 0.25), ("sil", 0.4)) for v in ("aa", "ae", "iy", "uw")}
    assert peak["aa"]["open"].max() == pytest.approx(0.6, abs=0.08)
    assert peak["aa"]["open"].max() > peak["iy"]["open"].max() > peak["uw"]["open"].max()
    more_jaw, more_gap = (peak["ae"][name].max() / peak["iy"][name].max() for name in ("jaw", "open"))
    assert more_jaw > 1.05 * more_gap > 1.2


def test_silence_closes_within_a_quarter_second_and_opens_before_the_voice():
    motion = run(("sil", 1.0), ("aa", 0.3), ("sil", 1.0), rate_hz=100)
    opened = motion["open"]
    assert opened[:80].max() < 0.02
    assert opened[96] > 0.05
    assert opened[135] > 0.1
    assert opened[155:].max() < 0.02
    assert run(("sil", 2.0))["open"].max() == 0


def test_a_short_pause_does_not_close_the_mouth_but_a_long_one_does():
    def gap_in_pause(seconds: float) -> float:
        motion = run(("sil", 0.5), ("aa", 0.3), ("sil", seconds), ("aa", 0.3), ("sil", 0.5), rate_hz=100)
        return float(motion["open"][80 : 80 + int(100 * seconds)].min())

    assert gap_in_pause(0.1) > 0.2
    assert gap_in_pause(0.8) < 0.01


def test_louder_and_stressed_vowels_open_wider():
    parts = (("sil", 0.4), ("aa", 0.2), ("d", 0.08), ("aa", 0.2), ("sil", 0.4))
    motion = run(*parts, loudness_db=np.array([-60.0, -8.0, -20.0, 6.0, -60.0]))
    soft, loud = motion["open"][12:14].max(), motion["open"][18:22].max()
    assert loud > 1.4 * soft
    phones = sequence(*parts)
    stressed = sequence(*parts, stressed=True)
    style = Style(stress_gain=1.2)
    plain = activations(phones, 1.28, style=style)[:, 0].max()
    assert activations(stressed, 1.28, style=style)[:, 0].max() > 1.1 * plain


def test_fast_speech_undershoots():
    slow = run(("sil", 0.4), ("t", 0.1), ("ae", 0.25), ("t", 0.1), ("sil", 0.4), rate_hz=100)
    fast = run(("sil", 0.4), ("t", 0.04), ("ae", 0.06), ("t", 0.04), ("sil", 0.4), rate_hz=100)
    assert fast["open"].max() < 0.9 * slow["open"].max()


def test_a_diphthong_moves_from_its_first_vowel_to_its_second():
    motion = run(("sil", 0.4), ("aw", 0.4), ("sil", 0.4), rate_hz=100)
    assert motion["open"][50] > 1.8 * motion["open"][75]
    assert motion["protrude"][75] > motion["protrude"][45] + 0.2


def test_the_classes_of_phones_differ_in_width_as_in_real_clips():
    """Between vowels, in mm of the mouth's width. Means of real clips, against the mean of all phones:
    sh -3.0, ow -2.8, l -1.0, s +0.9, iy +1.2."""
    width = {}
    for symbol in ("sh", "ow", "l", "s", "iy"):
        motion = run(("sil", 0.4), ("eh", 0.12), (symbol, 0.1), ("eh", 0.12), ("sil", 0.4), rate_hz=100)
        width[symbol] = 10 * LIP_RANGES_CM["width"] * motion["wide"][52:62].mean()
    assert max(width["sh"], width["ow"]) < width["l"] - 0.5 < min(width["s"], width["iy"]) - 1.0
    assert min(width["s"], width["iy"]) - max(width["sh"], width["ow"]) > 2.0

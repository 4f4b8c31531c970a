"""The fit of mouth targets to aligned sentences finds targets that are known."""

from __future__ import annotations

import numpy as np
import pytest

from articulation import design, fit, move
from lib.aligned_grid import AlignedClip, sentence_of
from lib.phonetic_targets import PHONETIC
from sonimate.speech.phones import Phone

SYMBOLS = ("aa", "iy", "uw", "t", "s", "w")
TRUE = {
    symbol: np.stack([targets + (np.array([0.2, 0.1, -0.3, 0.0, 0.2]) if symbol == "aa" else 0), strengths])
    for symbol, (targets, strengths) in PHONETIC.items()
}


def talking(speaker: str, seed: int) -> AlignedClip:
    """A sentence of random phones whose mouth moves by the table TRUE."""
    rng = np.random.default_rng(seed)
    phones, at = [Phone("sil", 0.0, 0.5)], 0.5
    for symbol in rng.choice(SYMBOLS, 16):
        seconds = float(rng.uniform(0.08, 0.2))
        phones.append(Phone(str(symbol), at, at + seconds))
        at += seconds
    phones.append(Phone("sil", at, at + 0.5))
    still = np.zeros((round((at + 0.5) * 25), 5))
    clip = AlignedClip("some", speaker, phones, np.zeros(len(phones)), still, np.zeros((0, 478, 3)))
    return AlignedClip("some", speaker, phones, clip.loudness_db, move(clip, TRUE), clip.landmarks)


def test_a_fit_without_one_speaker_finds_the_targets_of_the_others():
    clips = [talking(speaker, seed) for seed, speaker in enumerate("aaab")]
    found = fit(clips, [design(clip) for clip in clips], without="b")
    for column in (0, 1, 2, 4):
        wrong, left = (abs(table["aa"][0][column] - TRUE["aa"][0][column]) for table in (PHONETIC, found))
        assert left < 0.4 * wrong
    np.testing.assert_allclose(move(clips[3], found), clips[3].mouth, atol=0.12)
    assert np.abs(move(clips[3], PHONETIC) - clips[3].mouth).max() > 0.3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("someone__s1_bbaf4p", "bin blue at f four please"),
        ("lwbsza", "lay white by s zero again"),
        ("sgiz3n", "set green in zed three now"),
        ("obama", None),
    ],
)
def test_names_of_grid_spell_their_sentence(name, sentence):
    assert sentence_of(name) == sentence

from pathlib import Path

import pytest
from command import SPEECH
from media_samples import encode_sound

from sonimate.media.audio import read_audio, resample


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.3 s of speech, 48 kHz."""
    samples = resample(read_audio(SPEECH).samples[8_000:28_800], 16_000, 48_000)
    return encode_sound(
        tmp_path_factory.mktemp("sound") / "words.wav", samples, codec="pcm_s16le", rate_hz=48_000
    )

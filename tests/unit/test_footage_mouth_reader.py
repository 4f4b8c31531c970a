"""Clips are judged by readers that were fitted without their speakers."""

import json
from pathlib import Path

import numpy as np
import pytest
from media_samples import EXAMPLES

from sonimate.apps.cli import main
from sonimate.clock import SAMPLE_RATE_HZ
from sonimate.footage import mouth_reader
from sonimate.footage.mouth_reader import OWN, MouthReader, cross_validate
from sonimate.footage.sample import RESULTS_VERSION
from sonimate.footage.shards import CLIPS, write_shards
from sonimate.media.audio import read_audio
from sonimate.media.wav import write_wav
from sonimate.types import Waveform

FRAMES = 90


def voices(*people: str) -> list[np.ndarray]:
    """Rows (FRAMES, 2) for every clip."""
    return [
        np.random.default_rng([ord(person), i]).normal(size=(FRAMES, 2)) for i, person in enumerate(people)
    ]


def test_a_clip_is_judged_by_what_others_taught():
    """The mouths of `a` close where all others open: a reader fitted on `a` too would accept both clips."""
    people = ["a", "a", "b", "c", "c"]
    rows = voices(*people)
    openings = [row[:, 0] * (-1 if person == "a" else 1) for person, row in zip(people, rows, strict=True)]
    own = {t.clip: t for t in cross_validate(rows, openings, people) if t.sound == OWN}
    assert sorted(own) == [0, 1, 2, 3, 4]
    assert not own[0].passes
    assert not own[1].passes


def test_every_clip_is_judged_with_every_strangers_sound():
    people = ["a", "b", "c", "b"]
    rows = voices(*people)
    trials = list(cross_validate(rows, [row[:, 0] for row in rows], people))
    strangers = sum(person != other for person in people for other in people)
    assert len(trials) == 3 * len(people) + strangers
    assert {t.passes for t in trials if t.sound == OWN} == {True}


def add_clip(folder: Path, speaker: str, row: np.ndarray) -> Path:
    """Its sound's loudness and its mouth's opening follow the row."""
    stem = folder / f"{speaker}-0"
    source = f"{speaker}.mp4"
    record = {"clip": f"{source}#0@1.0v0", "source": source, "speaker": speaker, "start_seconds": 0.0}
    record["version"] = RESULTS_VERSION
    stem.with_suffix(".json").write_text(json.dumps(record))
    write_wav(stem.with_suffix(".wav"), Waveform(np.repeat(0.1 + 0.05 * np.tanh(row), 640), 16_000))
    np.save(folder / f"{speaker}-0.landmarks.npy", row)
    return stem


@pytest.fixture
def loudness_for_hidden_states(monkeypatch):
    """Loudness in the place of Whisper, and clips that hold the opening itself for landmarks."""
    monkeypatch.setattr(mouth_reader, "mouth_opening", lambda opening: opening)
    monkeypatch.setattr(
        mouth_reader, "rows_around", lambda _, sound: sound.reshape(FRAMES, 640)[:, :1].astype(np.float64)
    )
    monkeypatch.setattr(mouth_reader, "RIDGE", 1.0)


@pytest.mark.usefixtures("loudness_for_hidden_states")
def test_what_each_clip_scores_is_printed_and_written(tmp_path, capsys):
    rows = {person: row[:, 0] for person, row in zip("abc", voices(*"abc"), strict=True)}
    (tmp_path / "clips").mkdir()
    stems = [add_clip(tmp_path / "clips", *item) for item in rows.items()]
    np.save(tmp_path / "clips" / "c-0.landmarks.npy", np.roll(rows["c"], 6))
    write_shards(tmp_path, CLIPS, stems, max_bytes=1 << 30)
    assert main(["footage", "mouth-reader", str(tmp_path), "-o", str(tmp_path / "reader.safetensors")]) == 0
    printed = capsys.readouterr().out
    table = json.loads((tmp_path / "reader.json").read_text())
    assert [(row["source"], row["passes"]) for row in table] == [
        ("a.mp4", True),
        ("b.mp4", True),
        ("c.mp4", True),
    ]
    assert all(row["r"] > 0.8 for row in table)
    assert table[2]["lag_ms"] == pytest.approx(240, abs=8)
    assert f"c.mp4 from 0.00 s: r {table[2]['r']:.2f} at {table[2]['lag_ms']:+.0f} ms" in printed
    assert "\nown sound: 3 of 3 pass" in printed
    assert "speaker b, own sound: 1 of 1 pass" in printed


def test_a_folder_that_cannot_be_judged_is_an_error(tmp_path, capsys):
    reader = str(tmp_path / "reader.safetensors")
    assert main(["footage", "mouth-reader", str(tmp_path / "missing"), "-o", reader]) == 2
    assert "holds no shards" in capsys.readouterr().err
    (tmp_path / "clips").mkdir()
    write_shards(tmp_path, CLIPS, [add_clip(tmp_path / "clips", "a", np.zeros(FRAMES))], max_bytes=1 << 30)
    assert main(["footage", "mouth-reader", str(tmp_path), "-o", reader]) == 2
    assert "1 clips of 1 speakers" in capsys.readouterr().err


def test_the_reader_pads_sounds_to_30_seconds_as_it_was_fitted():
    """A sound's end is read alike whether silence follows it in the file or not."""
    sound = read_audio(EXAMPLES / "speech" / "jfk_inaugural.wav").samples[: 2 * SAMPLE_RATE_HZ]
    longer = np.pad(sound, (0, 20 * SAMPLE_RATE_HZ))
    reader = MouthReader.load()
    short = reader(sound)
    np.testing.assert_allclose(reader(longer)[: len(short) - 6], short[:-6], atol=1e-3 * np.abs(short).max())

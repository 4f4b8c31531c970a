"""Does the mouth of the articulation model move as real mouths do? GRID sentences are aligned with their
words; the model moves a mouth by the same phones; both are compared, clip by clip. Three tables of targets:
that of phonetics, from before any fit; the same with targets fitted to all speakers but the clip's; and
the one in use, which was fitted to these clips.

articulation.py SHARDS
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib.aligned_grid import AlignedClip, aligned_clips
from lib.command import benchmark_parser
from lib.phonetic_targets import PHONETIC, ROWS
from lib.report import publish
from sonimate.clock import VIDEO_FPS
from sonimate.codecs.mesh.fitting import fit_codec
from sonimate.evaluate.curves import correlation
from sonimate.evaluate.face_curves import ShapeCurves, shape_curves
from sonimate.evaluate.statistics import effective_dimensions
from sonimate.face.canonical import canonical_vertices
from sonimate.face.pose import Pose, fit_pose, to_canonical, to_image
from sonimate.features.face_gestures import MEASURES, fit_gestures, mouth_measures
from sonimate.features.slow_expressions import fit_slow_expressions
from sonimate.speech.articulation import TARGETS, Style, activations, sample_style
from sonimate.speech.phones import SILENCE

RIDGE = 0.006
"""Penalty on the squared difference of a target from the line through the table of phonetics."""
BLENDED = (0, 1, 2, 3, 6)
"""Columns of the activations that the tables have targets for."""
IMPULSE = 0.5
Table = Mapping[str, np.ndarray]


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("shards", type=Path, help="GRID clips, as `sonimate prepare` wrote them")
    arguments = parser.parse_args(argv)

    clips = list(aligned_clips(arguments.shards))
    speakers = sorted({clip.speaker for clip in clips})
    designs = [design(clip) for clip in clips]
    fitted = {speaker: fit(clips, designs, without=speaker) for speaker in speakers}
    tables = {"phonetics": dict.fromkeys(speakers, PHONETIC), "held out": fitted}
    rows: list[dict[str, Any]] = []
    for name, by_speaker in (tables | {"in use": dict.fromkeys(speakers, TARGETS)}).items():
        moved = [move(clip, by_speaker[clip.speaker]) for clip in clips]
        for measure, label in enumerate(MEASURES[:5]):
            rows.append(
                {"table": name, "measure": label}
                | {
                    key: over_speakers(clips, values)
                    for key, values in {
                        "r": [
                            correlation(m[:, measure], c.mouth[:, measure])
                            for m, c in zip(moved, clips, strict=True)
                        ],
                        "sd, cm": [float(m[:, measure].std()) for m in moved],
                        "real sd, cm": [float(clip.mouth[:, measure].std()) for clip in clips],
                    }.items()
                }
            )
    summary = {"clips": len(clips), "speakers": len(speakers)} | lip_shapes(clips)
    publish("articulation", arguments.out, rows=rows, summary=summary)
    publish("articulation_phones", arguments.out, rows=phone_rows(clips))


def over_speakers(clips: list[AlignedClip], values: list[float]) -> float:
    """Mean over speakers of the means over their clips."""
    by_speaker: dict[str, list[float]] = {}
    for clip, value in zip(clips, values, strict=True):
        by_speaker.setdefault(clip.speaker, []).append(value)
    return float(np.mean([np.mean(some) for some in by_speaker.values()]))


def move(clip: AlignedClip, table: Table) -> np.ndarray:
    """The model's mouth (n, 5) cm."""
    return mouth_measures(_activations(clip, table))


def _activations(clip: AlignedClip, table: Table) -> np.ndarray:
    seconds = len(clip.mouth) / VIDEO_FPS
    return activations(clip.phones, seconds, style=Style(), loudness_db=clip.loudness_db, targets=table)


def design(clip: AlignedClip) -> np.ndarray:
    """How far each row of the table moves each blended activation: (rows, n, 5). Blending is linear."""
    found = []
    for row in ROWS:
        impulse = {
            symbol: np.stack([np.full(5, IMPULSE if symbol in row else 0.0), strengths])
            for symbol, (_, strengths) in PHONETIC.items()
        }
        found.append(_activations(clip, impulse)[:, BLENDED] / IMPULSE)
    return np.stack(found)


def fit(clips: list[AlignedClip], designs: list[np.ndarray], *, without: str) -> Table:
    """Targets by least squares on all speakers but one, each speaker with equal weight: a line through the
    table of phonetics for each activation, and for each row a difference from it that costs."""
    used = [k for k, clip in enumerate(clips) if clip.speaker != without]
    counts = {clip.speaker: sum(clips[k].speaker == clip.speaker for k in used) for clip in clips}
    weight = np.concatenate([np.full(len(clips[k].mouth), counts[clips[k].speaker] ** -0.5) for k in used])
    prior = np.array([PHONETIC[row[0]][0] for row in ROWS], dtype=np.float64)
    spoken = [k for k, row in enumerate(ROWS) if SILENCE not in row]
    unit = np.eye(7)[list(BLENDED)]
    wanted = np.concatenate([asked(clips[k].mouth) for k in used])
    targets = np.zeros_like(prior)
    for column in range(len(unit)):
        x = np.concatenate([designs[k][spoken, :, column].T for k in used])
        y = wanted[:, column]
        full = np.column_stack([x @ prior[spoken, column], x.sum(1), x])
        weighted = full * weight[:, None]
        penalty = np.diag([0.0, 0.0, *[RIDGE * weight.sum()] * len(spoken)])
        normal = weighted.T @ full + penalty + 1e-9 * np.eye(len(penalty))
        slope, offset, *differences = np.linalg.solve(normal, weighted.T @ y)
        targets[spoken, column] = slope * prior[spoken, column] + offset + np.array(differences)
    return {
        symbol: np.stack([targets[k], PHONETIC[symbol][1]]) for k, row in enumerate(ROWS) for symbol in row
    }


def asked(mouth: np.ndarray) -> np.ndarray:
    """Blended activations (n, 5) that ask for measures (n, 5) cm: the inverse of `mouth_measures`."""
    matrix = mouth_measures(np.eye(7))[list(BLENDED)]
    return mouth @ np.linalg.inv(matrix)


def lip_shapes(clips: list[AlignedClip]) -> dict[str, float]:
    """In how many ways lips change, and how much the width of the mouth varies: real clips, and faces that
    the articulation model moves by the same phones with random styles, without and with slow expressions."""
    codec = fit_codec([clip.landmarks for clip in clips])
    faces = [to_canonical(clip.landmarks, fit_pose(clip.landmarks)) for clip in clips]
    gestures = fit_gestures(codec, faces)
    slow = fit_slow_expressions(codec, gestures, faces)
    shapes: dict[str, list[ShapeCurves]] = {"real": [], "articulated": [], "with slow expressions": []}
    for number, clip in enumerate(clips):
        rng, count = np.random.default_rng(number), len(clip.mouth)
        seconds = count / VIDEO_FPS
        mouth = activations(clip.phones, seconds, style=sample_style(rng), loudness_db=clip.loudness_db)
        moved = gestures.expression(mouth, np.zeros(count), np.zeros(count), np.zeros((count, 2)), 1.0)
        shapes["real"].append(shape_curves(clip.landmarks))
        pose = Pose(np.full(count, 10.0), np.repeat(np.eye(3)[None], count, 0), np.zeros((count, 3)))
        for name, more in (("articulated", 0.0), ("with slow expressions", slow.draw(count, rng))):
            vertices = canonical_vertices() + codec.displacement(gestures.neutrals[number] + moved + more)
            shapes[name].append(shape_curves(to_image(vertices, pose)))
    found: dict[str, float] = {}
    for name, curves in shapes.items():
        dimensions = [effective_dimensions(each.lips) for each in curves]
        found[f"effective dimensions of lips, {name}"] = over_speakers(clips, dimensions)
        found[f"sd of the width in mm, {name}"] = over_speakers(clips, [float(c.width.std()) for c in curves])
    return found


def phone_rows(clips: list[AlignedClip]) -> list[dict[str, Any]]:
    """Mean gap and width in mm at the middle of each phone, real and by the table in use."""
    seen: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        moved = move(clip, TARGETS)
        for phone in clip.phones:
            frame = min(round((phone.start_seconds + phone.seconds / 2) * VIDEO_FPS), len(moved) - 1)
            pair = np.concatenate([clip.mouth[frame], moved[frame]])
            seen.setdefault(phone.symbol, []).append(10 * pair)
    rows = []
    for symbol, pairs in sorted(seen.items(), key=lambda item: -len(item[1])):
        mean = np.mean(pairs, axis=0)
        values = {"real gap": mean[0], "gap": mean[5], "real width": mean[2], "width": mean[7]}
        rows.append({"phone": symbol, "count": len(pairs)} | {key: float(v) for key, v in values.items()})
    return rows


if __name__ == "__main__":
    main()

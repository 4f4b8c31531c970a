"""Every portrait with every recording, and with one of them as mp3, m4a and mp4: is each video playable,
at 25 fps, and as long as its sound? Prints one row a portrait.

portraits_table.py examples/portraits examples/speech/*.wav
"""

from __future__ import annotations

from pathlib import Path

from lib.command import add_model, benchmark_parser
from lib.playable import faults, write_sound
from lib.report import Check, publish
from lib.speech import compose_speech
from sonimate.errors import SonimateError
from sonimate.media.wav import write_wav
from sonimate.pipeline import SonicPipeline

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
FORMATS = (".mp3", ".m4a", ".mp4")


def main(argv: list[str] | None = None) -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("portraits", type=Path, help="folder of pictures")
    parser.add_argument(
        "speech", type=Path, nargs="+", help="recordings; the first is also encoded in other formats"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="to use of each recording")
    parser.add_argument("--size", type=int, default=512, help="longer side of the videos in px")
    add_model(parser)
    arguments = parser.parse_args(argv)

    pipeline = SonicPipeline.from_pretrained(arguments.model)
    folder = arguments.out / "portraits"
    folder.mkdir(parents=True, exist_ok=True)
    sounds = prepare_sounds(arguments.speech, arguments.seconds, folder)
    pictures = sorted(path for path in arguments.portraits.iterdir() if path.suffix.lower() in PICTURES)
    rows = []
    for picture in pictures:
        row = {"portrait": picture.stem}
        for sound in sounds:
            video = folder / f"{picture.stem}.{sound.stem}{sound.suffix[1:]}.mp4"
            row[sound.name] = verdict(pipeline, picture, sound, video, arguments.size)
        rows.append(row)
        print(" ".join(row.values()), flush=True)
    cells = [cell for row in rows for cell in list(row.values())[1:]]
    good = Check("share of videos without fault", cells.count("ok") / max(len(cells), 1), low=1.0)
    publish("portraits_table", arguments.out, rows=rows, summary={"videos": len(cells)}, checks=[good])


def prepare_sounds(recordings: list[Path], seconds: float, folder: Path) -> list[Path]:
    """Cut every recording to `seconds` as wav; the first also as FORMATS."""
    cut = [compose_speech([path], seconds) for path in recordings]
    sounds = [
        write_wav(folder / f"{path.stem}.wav", sound) for path, sound in zip(recordings, cut, strict=True)
    ]
    return sounds + [write_sound(folder / f"{recordings[0].stem}{suffix}", cut[0]) for suffix in FORMATS]


def verdict(pipeline: SonicPipeline, picture: Path, sound: Path, video: Path, size: int) -> str:
    """ "ok", or what went wrong."""
    try:
        pipeline.animate(picture, sound, size=size).save(video)
    except SonimateError as error:
        return f"{type(error).__name__}: {error}"
    return "; ".join(faults(video, sound)) or "ok"


if __name__ == "__main__":
    main()

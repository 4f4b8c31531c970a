"""The kinds of input that users bring: pictures, sounds, names, outputs, environments; a command each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from PIL import Image, ImageCms, ImageOps

from lib.command import EXAMPLES
from lib.covers import covered
from sonimate.face.mesh import FaceMesh
from sonimate.inputs import read_portrait
from sonimate.media.audio import read_audio, resample

PICTURES = (
    *("jpg", "png", "webp", "gif", "bmp", "tiff", "avif", "jp2"),
    *("ppm", "tga", "ico", "icns", "pcx", "sgi", "dds", "qoi", "mpo", "dib"),
)
NO_PICTURES = {
    "pdf": b"%PDF-1.4\n%%EOF\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n",
    "web page": b"<!doctype html><html><title>404</title></html>",
    "pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "empty": b"",
}
MODES = {
    "grey": ("L", "png"),
    "grey with alpha": ("LA", "png"),
    "palette": ("P", "png"),
    "alpha": ("RGBA", "png"),
    "CMYK": ("CMYK", "jpg"),
    "CIE Lab": ("LAB", "tiff"),
}
SIZES_PX = {"1 px": 1, "24 px": 24, "96 px": 96, "160 px": 160, "3999 px": 3999}
SOUNDS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "m4a": "aac",
    "flac": "flac",
    "ogg": "vorbis",
    "opus": "libopus",
    "aiff": "pcm_s16be",
    "wma": "wmav2",
    "ac3": "ac3",
    "mp2": "mp2",
    "au": "pcm_mulaw",
    "caf": "alac",
    "wv": "wavpack",
    "tta": "tta",
    "w64": "pcm_s24le",
    "amr": "libopencore_amrnb",
    "aac": "aac",
    "mka": "flac",
    "webm": "libopus",
    "mp4": "aac",
    "mov": "pcm_s16le",
    "avi": "libmp3lame",
    "ts": "aac",
    "3gp": "aac",
}
"""Suffix and FFmpeg's encoder. Each is made at 48 kHz, but for those that know only their own rate."""
OWN_RATES_HZ = {"amr": 8_000, "au": 8_000}
RATES_HZ = (4_000, 6_000, 7_350, 8_000, 11_025, 22_050, 44_100, 88_200, 192_000)
SAMPLES = (
    "pcm_u8",
    "pcm_s24le",
    "pcm_s32le",
    "pcm_f32le",
    "pcm_f64le",
    "pcm_alaw",
    "adpcm_ms",
    "adpcm_ima_wav",
)
LAYOUTS = {"stereo": 2, "5.1": 6, "7.1": 8}
CJK = "\N{CJK UNIFIED IDEOGRAPH-6D4B}"
NAMES = {
    "spaces": "a b  c ",
    "emoji": "\N{GRINNING FACE}",
    "Chinese": CJK * 3,
    "from right to left": "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}",
    "combining accent": "e\N{COMBINING ACUTE ACCENT}",
    "quotes": 'it\'s "so"',
    "244 bytes": CJK * 80,
    "leading dash": "-x",
    "percent": "100%d",
    "new line": "a\nb",
    "brackets": "[1]{2}*?",
    "colon": "data:a",
    "not UTF-8": "caf\udce9",
}
"""Of the picture, the sound and the video alike."""
ENVIRONMENTS = {
    "closed stdout": "{command} >&-",
    "closed stderr": "{command} 2>&-",
    "all streams closed": "{command} <&- >&- 2>&-",
    "stderr on a full disk": "{command} 2>/dev/full",
    "no locale": "LC_ALL=C LANG=C PYTHONUTF8=0 {command}",
    "no HOME": "env -u HOME -u XDG_CACHE_HOME {command}",
    "HOME that is missing": "HOME=/nonexistent {command}",
    "40 open files": "ulimit -n 40; {command}",
    "no PATH": "PATH= {command}",
    "no thread but one": "OMP_NUM_THREADS=1 {command}",
    "sound from a pipe: -": "cat voice.wav | {command}",
}


@dataclass(frozen=True)
class Kind:
    """portrait, audio, output: words of the command. shell: the line in which {command} is run. video:
    whether one is wanted. codes: those with which the line may end."""

    group: str
    name: str
    portrait: str = "face.png"
    audio: str = "voice.wav"
    output: str = "out/video.mp4"
    shell: str = "{command}"
    video: bool = True
    codes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", self.codes or ((0,) if self.video else (2,)))


def make_kinds(folder: Path) -> Iterator[Kind]:
    """Write the inputs to `folder`, which becomes the current folder of the commands, and list the kinds."""
    face = ImageOps.fit(Image.open(EXAMPLES / "portraits/obama.jpg").convert("RGB"), (320, 400))
    speech = read_audio(EXAMPLES / "speech/librivox_ss_0890.wav").samples[8_000:17_600]
    face.save(folder / "face.png")
    write_sound(folder / "voice.wav", speech, "pcm_s16le")
    (folder / "out").mkdir()
    yield from _pictures(folder, face)
    yield from _odd_pictures(folder, face)
    yield from _sounds(folder, speech)
    yield from _odd_sounds(folder, speech)
    for name, stem in NAMES.items():
        path = f"./{stem}" if stem.startswith("-") else stem
        shutil.copy(folder / "face.png", folder / f"{stem}.png")
        shutil.copy(folder / "voice.wav", folder / f"{stem}.wav")
        yield Kind("name", name, f"{path}.png", f"{path}.wav", f"out/{stem}.mp4")
    yield from _outputs(folder)
    for name, shell in ENVIRONMENTS.items():
        audio = "-" if name.endswith(" -") else "voice.wav"
        yield Kind("environment", name, audio=audio, shell=shell)
    yield Kind("environment", "empty pipe", audio="-", shell="{command} </dev/null", video=False)
    yield Kind("environment", "full stdout", shell="{command} >/dev/full", codes=(2,))
    yield Kind("environment", "stdout to a reader that left", shell="{command} | true", codes=(0, 141))
    yield Kind("environment", "full disk", shell="ulimit -f 20; {command}", video=False)
    write_sound(folder / "long.wav", np.tile(speech, 200), "pcm_s16le")
    for signal, code in (("INT", 130), ("TERM", 143)):
        shell = f"timeout --preserve-status -s {signal} 8 {{command}}"
        yield Kind("environment", f"SIG{signal}", audio="long.wav", shell=shell, video=False, codes=(code,))


def _pictures(folder: Path, face: Image.Image) -> Iterator[Kind]:
    for suffix in PICTURES:
        square = ImageOps.fit(face, (256, 256)) if suffix in ("ico", "icns") else face
        square.save(folder / f"face.{suffix}")
        yield Kind("picture", suffix, f"face.{suffix}")
    for name, data in NO_PICTURES.items():
        (folder / f"{name}.jpg").write_bytes(data)
        yield Kind("picture", f"{name}, as jpg", f"{name}.jpg", video=False)
    for name, (mode, suffix) in MODES.items():
        profiles = [ImageCms.createProfile(space) for space in ("sRGB", "LAB")]
        changed = ImageCms.profileToProfile(face, *profiles, outputMode="LAB") if mode == "LAB" else None
        (changed or face.convert(mode)).save(folder / f"{name}.{suffix}")
        yield Kind("picture", name, f"{name}.{suffix}")
    grey = np.asarray(face.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "16.png")
    Image.fromarray(grey.astype(np.float32)).save(folder / "float.tiff")
    yield Kind("picture", "16 bit", "16.png")
    yield Kind("picture", "floating point", "float.tiff", video=False)
    for name, width in SIZES_PX.items():
        face.resize((width, max(1, width * 5 // 4))).save(folder / f"{name}.jpg")
        yield Kind("picture", f"{name} wide", f"{name}.jpg", video=width > 100)
    Image.new("1", (30_000, 30_000)).save(folder / "huge.png")
    yield Kind("picture", "900 megapixels", "huge.png", video=False)


def _odd_pictures(folder: Path, face: Image.Image) -> Iterator[Kind]:
    turned, exif = face.rotate(90, expand=True), face.getexif()
    exif[0x0112] = 6
    turned.save(folder / "exif.jpg", exif=exif)
    yield Kind("picture", "turned, as EXIF says", "exif.jpg")
    face.rotate(180).save(folder / "down.png")
    yield Kind("picture", "upside down", "down.png")
    for suffix in ("gif", "png", "webp", "tiff"):
        face.save(folder / f"several.{suffix}", save_all=True, append_images=[ImageOps.mirror(face)])
        yield Kind("picture", f"several in a {suffix}", f"several.{suffix}")
    face.save(folder / "progressive.jpg", progressive=True, quality=20)
    yield Kind("picture", "progressive jpg", "progressive.jpg")
    face.save(folder / "wrong.png", format="JPEG")
    yield Kind("picture", "jpg with the name of a png", "wrong.png")
    shutil.copy(folder / "face.png", folder / "face")
    yield Kind("picture", "name without a suffix", "face")
    Image.new("RGB", (320, 400), "grey").save(folder / "empty room.png")
    yield Kind("picture", "no face", "empty room.png", video=False)
    group = Image.new("RGB", (640, 400))
    group.paste(face, (0, 0))
    group.paste(face, (320, 0))
    group.save(folder / "group.png")
    yield Kind("picture", "two faces", "group.png")
    portrait = read_portrait(folder / "face.png", mesh=FaceMesh(num_threads=1))
    Image.fromarray(covered(portrait, "scarf", np.random.default_rng(0))).save(folder / "scarf.png")
    yield Kind("picture", "mouth behind a scarf", "scarf.png", video=False)
    (folder / "cut.png").write_bytes((folder / "face.png").read_bytes()[:20_000])
    yield Kind("picture", "cut short", "cut.png", video=False)
    yield Kind("picture", "address", "https://example.com/a.jpg", video=False)
    yield Kind("picture", "folder", "out", video=False)
    yield Kind("picture", "missing", "none.png", video=False)
    yield Kind("picture", "the sound, and the picture as sound", "voice.wav", "face.png", video=False)


def _sounds(folder: Path, speech: np.ndarray) -> Iterator[Kind]:
    for suffix, codec in SOUNDS.items():
        path = folder / f"voice-{suffix}.{suffix}"
        layout = "stereo" if codec == "vorbis" else "mono"
        write_sound(path, speech, codec, OWN_RATES_HZ.get(suffix, 48_000), layout)
        yield Kind("sound", suffix, audio=path.name)
    for rate_hz in RATES_HZ:
        write_sound(folder / f"{rate_hz}.wav", speech, "pcm_s16le", rate_hz)
        yield Kind("sound", f"{rate_hz} Hz", audio=f"{rate_hz}.wav")
    for codec in SAMPLES:
        write_sound(folder / f"{codec}.wav", speech, codec)
        yield Kind("sound", codec, audio=f"{codec}.wav")
    for layout in LAYOUTS:
        write_sound(folder / f"{layout}.wav", speech, "pcm_s16le", layout=layout)
        yield Kind("sound", layout, audio=f"{layout}.wav")


def _odd_sounds(folder: Path, speech: np.ndarray) -> Iterator[Kind]:
    changed = {
        "silence": 0 * speech,
        "of -60 dB": speech / 1000,
        "clipped": np.clip(20 * speech, -1, 1),
        "beside its zero": 0.5 + speech / 2,
        "0.2 s": speech[:3200],
        "0.05 s": speech[:800],
        "not a number": np.full_like(speech, np.nan),
    }
    for name, samples in changed.items():
        write_sound(folder / f"{name}.wav", samples, "pcm_f32le")
        yield Kind("sound", name, audio=f"{name}.wav", video=name not in ("0.05 s", "not a number"))
    whole = (folder / "voice.wav").read_bytes()
    no_sounds = {
        "header alone": whole[:44],
        "empty": b"",
        "text": b"no sound",
        "midi": b"MThd\0\0\0\6\0\0\0\1\0\x60",
    }
    for name, data in {"cut short": whole[:10_000], **no_sounds}.items():
        (folder / f"{name}.wav").write_bytes(data)
        yield Kind("sound", name, audio=f"{name}.wav", video=name == "cut short")
    mute = folder / "mute.mp4"
    with av.open(str(mute), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    yield Kind("sound", "video without sound", audio="mute.mp4", video=False)
    yield Kind("sound", "a picture", audio="face.png", video=False)
    yield Kind("sound", "folder", audio="out", video=False)
    yield Kind("sound", "missing", audio="none.wav", video=False)


def _outputs(folder: Path) -> Iterator[Kind]:
    (folder / "kept.mp4").write_bytes(b"precious")
    (folder / "folder.mp4").mkdir()
    (folder / "link.mp4").symlink_to("out/linked.mp4")
    yield Kind("output", "exists already", output="kept.mp4", video=False)
    yield Kind("output", "a folder", output="folder.mp4", video=False)
    yield Kind("output", "a link to a file to come", output="link.mp4")
    yield Kind("output", "name in capitals", output="out/VIDEO.MP4")
    yield Kind("output", "unknown suffix", output="out/a.xyz", video=False)
    yield Kind("output", "name of 256 bytes", output="out/" + "a" * 252 + ".mp4", video=False)
    yield Kind("output", "folder that is missing", output="none/a.mp4", video=False)
    yield Kind("output", "folder that is a file", output="face.png/a.mp4", video=False)
    yield Kind("output", "read-only folder", output="/proc/self/a.mp4", video=False)
    yield Kind("output", "device", output="/dev/null", video=False)


def write_sound(
    path: Path, samples: np.ndarray, codec: str, rate_hz: int = 16_000, layout: str = "mono"
) -> None:
    """Encode (n,) at 16 kHz as `codec` at `rate_hz`, the same in each channel."""
    at_rate = resample(samples, 16_000, rate_hz).astype(np.float32)
    packed = np.repeat(at_rate, LAYOUTS.get(layout, 1))[None]
    with av.open(str(path), "w") as container:
        options = {"strict": "experimental"} if codec == "vorbis" else {}
        stream: Any = container.add_stream(codec, rate=rate_hz, layout=layout, options=options)
        stream.bit_rate = 128_000
        frame = AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(
            stream.codec_context.format, layout, rate_hz, frame_size=stream.codec_context.frame_size or None
        )
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))

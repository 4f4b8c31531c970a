"""Opening: every common format is read, and nothing but the named file."""

import shutil
import socket
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import FFmpegError
from media_samples import encode_sound, encode_video, onset_seconds, tone_with_onset

from sonimate.errors import UnreadableAudio, UnreadableVideo
from sonimate.media.audio import read_audio
from sonimate.media.container import SOUND_FORMATS, VIDEO_FORMATS, file_account
from sonimate.media.video import read_frames, read_video

SOUNDS = """
    wav:pcm_s16le wav:pcm_f32le wav:adpcm_ms w64:pcm_s24le au:pcm_s16be aiff:pcm_s16be caf:pcm_s16be
    caf:alac voc:pcm_u8 mp3:libmp3lame flac:flac ogg:libopus ogg:libvorbis ogg:flac opus:libopus
    oga:libvorbis m4a:aac m4a:alac aac:aac mp4:aac mov:aac mov:pcm_s16le mkv:libopus mka:flac
    webm:libopus webm:libvorbis avi:libmp3lame amr:libopencore_amrnb 3gp:libopencore_amrnb 3gp:aac
    wma:wmav2 asf:wmav2 ac3:ac3 eac3:eac3 tta:tta wv:wavpack mp2:mp2 ts:aac flv:aac mpg:mp2
    nut:pcm_s16le dts:dca
"""

PICTURES = """
    mp4:libx264 m4v:libx264 mov:libx264 mov:mjpeg mkv:libx264 mkv:ffv1 webm:libvpx webm:libvpx-vp9
    avi:mpeg4 wmv:wmv2 mpg:mpeg2video ts:libx264 flv:libx264 ogv:libtheora 3gp:mpeg4 gif:gif
    y4m:rawvideo mp4:libx265 mkv:libaom-av1 mkv:libsvtav1
"""
"""Endings and encoders of the formats in which people keep recordings and videos."""

RATES_HZ = {"libopus": 48_000, "libopencore_amrnb": 8_000}
PIXEL_FORMATS = {"mjpeg": "yuvj420p", "gif": "rgb8"}


def written_here(pairs: str) -> list[tuple[str, str]]:
    """Those of the endings and encoders that this build of FFmpeg can write."""
    found = []
    for pair in pairs.split():
        suffix, codec = pair.split(":")
        with suppress(ValueError, FFmpegError):
            av.Codec(codec, "w")
            found.append((suffix, codec))
    return found


@pytest.mark.parametrize(("suffix", "codec"), written_here(SOUNDS))
def test_sound_of_every_common_format_is_read(suffix: str, codec: str, tmp_path: Path) -> None:
    rate_hz = RATES_HZ.get(codec, 44_100)
    path = encode_sound(
        tmp_path / f"a.{suffix}", tone_with_onset(rate_hz=rate_hz), codec=codec, rate_hz=rate_hz
    )
    waveform = read_audio(path)
    assert onset_seconds(waveform.samples, 16_000) == pytest.approx(0.5, abs=0.06)
    assert waveform.seconds == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(("suffix", "codec"), written_here(PICTURES))
def test_pictures_of_every_common_format_are_read(suffix: str, codec: str, tmp_path: Path) -> None:
    path = encode_video(
        tmp_path / f"a.{suffix}",
        range(0, 400, 40),
        codec=codec,
        pixel_format=PIXEL_FORMATS.get(codec, "yuv420p"),
    )
    levels = [float(frame.mean()) for frame in read_frames(path)]
    assert len(levels) == pytest.approx(10, abs=1)
    assert levels[0] == pytest.approx(20, abs=8)
    assert levels == sorted(levels)


def test_the_lists_name_formats_that_ffmpeg_has() -> None:
    known = {name for known in av.formats_available for name in known.split(",")}
    assert set(f"{SOUND_FORMATS},{VIDEO_FORMATS}".split(",")) <= known


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile voice.wav\n",
    "concat video": "ffconcat version 1.0\nfile film.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-VERSION:3\n#EXTINF:2,\nvoice.ts\n#EXT-X-ENDLIST\n",
    "hls net": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nhttp://127.0.0.1:PORT/voice.ts\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio PORT RTP/AVP 0\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:full:2011" mediaPresentationDuration="PT2S"><Period><AdaptationSet '
        'mimeType="audio/mp4"><Representation id="0" bandwidth="9"><BaseURL>voice.m4a</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ),
}


@pytest.mark.parametrize("suffix", ["wav", "mp4", "m3u8", "ffconcat", "sdp", "mpd"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_no_other_file_and_no_address(kind: str, suffix: str, tmp_path: Path) -> None:
    encode_sound(tmp_path / "voice.wav", tone_with_onset(), codec="pcm_s16le")
    encode_sound(tmp_path / "voice.ts", tone_with_onset(), codec="aac")
    encode_sound(tmp_path / "voice.m4a", tone_with_onset(), codec="aac")
    encode_video(tmp_path / "film.mp4", range(0, 400, 40))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        path = tmp_path / f"list.{suffix}"
        path.write_text(PLAYLISTS[kind].replace("PORT", str(server.getsockname()[1])))
        with pytest.raises(UnreadableAudio, match=r"known format|Invalid data"):
            read_audio(path)
        with pytest.raises(UnreadableVideo, match=r"known format|Invalid data"):
            read_video(path)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_text_and_pictures_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "subtitles.wav").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    (tmp_path / "levels.wav").write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))
    for path in tmp_path.iterdir():
        with pytest.raises(UnreadableAudio):
            read_audio(path)


def test_files_are_read_by_content_not_by_name(tmp_path: Path) -> None:
    path = encode_sound(tmp_path / "a.flac", tone_with_onset(), codec="flac")
    for name in ("a.mp3", "%03d.wav", "http:a.wav", "concat:a.wav|b.wav", "no ending"):
        shutil.copy(path, tmp_path / name)
        np.testing.assert_array_equal(read_audio(tmp_path / name).samples, read_audio(path).samples)


def test_tags_of_another_encoding_can_be_printed(tmp_path: Path) -> None:
    path = encode_sound(
        tmp_path / "a.wav", tone_with_onset(rate_hz=16_000), codec="pcm_s16le", rate_hz=16_000
    )
    title = "caf\xe9\0\0".encode("latin-1")
    listed = b"INFOINAM" + len(title).to_bytes(4, "little") + title
    chunk = b"LIST" + len(listed).to_bytes(4, "little") + listed
    riff = path.read_bytes()[8:] + chunk
    path.write_bytes(b"RIFF" + len(riff).to_bytes(4, "little") + riff)
    assert file_account(path)["metadata"]["title"] == "caf\N{REPLACEMENT CHARACTER}"

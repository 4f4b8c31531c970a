"""Requests to the HTTP service that are wrong in one way, as a seed decides, and how they are sent."""

from __future__ import annotations

import io
import json
import re
import socket
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lib.damaged_files import PICTURES, SOUNDS, damaged, make_samples
from sonimate.apps.jobs.job_options import Job, job_arguments, option_schema
from sonimate.errors import InvalidJob

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-the-service"
BOUNDARY = "b0undary"
QUICK = {"size": 256, "steps": 2, "duration": 0.2}
PORTRAIT_PX = 320
UPLOAD_MB = 2
SECONDS_TO_ANSWER = 120.0
SECONDS_OF_PATIENCE = 1.0
Headers = list[tuple[str, str]]


class Malformed:
    """Request number `case` is always the same, and of the kind KINDS[case % len(KINDS)]."""

    def __init__(self, folder: Path) -> None:
        picture = Image.open(ROOT / "examples/portraits/obama.jpg").convert("RGB")
        picture.thumbnail((PORTRAIT_PX, PORTRAIT_PX))
        self._pictures: dict[str, bytes] = {}
        for suffix in PICTURES:
            path = folder / f"portrait.{suffix}"
            picture.save(path)
            self._pictures[suffix] = path.read_bytes()
            path.unlink()
        self._sounds = {name: data for name, data in make_samples(folder).items() if name in SOUNDS}
        self.portrait, self.sound = self._pictures["jpg"], self._sounds["wav"]

    def request(self, case: int) -> bytes:
        """The bytes to send."""
        rng = np.random.default_rng(case)
        return KINDS[kind(case)](self, rng, case // len(KINDS))

    def good(self, key: str = "first") -> bytes:
        """A request in which nothing is wrong."""
        return self._post(headers=[("Idempotency-Key", key)])

    def _post(
        self,
        *,
        portrait: bytes | None = None,
        sound: bytes | None = None,
        options: bytes | None = None,
        headers: Headers | None = None,
    ) -> bytes:
        given = options if options is not None else json.dumps(QUICK).encode()
        parts = [
            part("portrait", self.portrait if portrait is None else portrait, "../../p"),
            part("audio", self.sound if sound is None else sound, "a\\b"),
            part("options", given),
        ]
        return message("POST", "/v1/animations", form(parts), [*(headers or []), FORM])

    def _picture(self, rng: np.random.Generator, number: int) -> bytes:
        suffix = PICTURES[number % len(PICTURES)]
        return self._post(portrait=damaged(self._pictures[suffix], rng))

    def _sound(self, rng: np.random.Generator, number: int) -> bytes:
        suffix = [*SOUNDS][number % len(SOUNDS)]
        return self._post(sound=damaged(self._sounds[suffix], rng))

    def _file(self, rng: np.random.Generator, number: int) -> bytes:
        """Files of other kinds, and such that try to harm."""
        content = (*OTHER_FILES, rng.bytes(1000), self._sounds["mp3"])[number % (len(OTHER_FILES) + 2)]
        if rng.random() < 0.5 or content == self._sounds["mp3"]:
            return self._post(portrait=content)
        return self._post(sound=content)

    def _form(self, rng: np.random.Generator, number: int) -> bytes:
        """Bodies that are not the form that is asked for."""
        portrait, sound = part("portrait", self.portrait, "p"), part("audio", self.sound, "a")
        options = part("options", json.dumps(QUICK).encode())
        whole = form([portrait, sound, options])
        nameless = portrait.replace(b'name="portrait"; ', b"")
        bodies: tuple[bytes, ...] = (
            whole[: rng.integers(len(whole) - 10)],
            form([portrait, options]),
            form([sound, options]),
            form([nameless, sound, options]),
            form([part("portrait", b"text"), sound, options]),
            form([portrait, sound, part("options", b"{}", "o.json")]),
            form([portrait, sound, part("options", b" " * 1_500_000)]),
            form([portrait, sound, *(part(f"f{each}", b"x") for each in range(1200))]),
            form([portrait, sound, *(part(f"f{each}", b"x", "n") for each in range(1200))]),
            form([b"X: " + b"y" * 20_000 + b"\r\n" + portrait]),
            form([portrait.replace(b"Content-Disposition", b"Content-\xff\x00")]),
            whole.replace(b"--" + BOUNDARY.encode(), b"--other"),
            whole.replace(b"\r\n", b"\n"),
            b"",
            rng.bytes(3000),
            b"--" + BOUNDARY.encode() + rng.bytes(3000),
            zlib.compress(whole),
        )
        return message("POST", "/v1/animations", bodies[number % len(bodies)], [FORM])

    def _type(self, rng: np.random.Generator, number: int) -> bytes:
        """Bodies under another Content-Type."""
        types = (
            "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="',
            f"multipart/form-data; boundary={'x' * 10_000}", "multipart/form-data; boundary=\u00e9",
            f"multipart/mixed; boundary={BOUNDARY}", "application/json", "text/plain", "", "x", ";;;=",
            "application/x-www-form-urlencoded",
        )  # fmt: skip
        whole = form([part("portrait", self.portrait, "p"), part("audio", self.sound, "a")])
        return message("POST", "/v1/animations", whole, [("Content-Type", types[number % len(types)])])

    def _id(self, rng: np.random.Generator, number: int) -> bytes:
        """Jobs that there cannot be."""
        names = (
            "..", "../jobs.db", "%2e%2e%2fjobs.db", "..%2F..%2Fetc%2Fpasswd", "%00", "a%00b", "x" * 30_000,
            "0" * 32, "F" * 32, "' or 1=1 --", "\u00e9", "%ff%fe", "-1", "null", "{}", "0" * 31, "0" * 33,
            "%0d%0aX-A:1", "//", "0" * 32 + "%0a",
        )  # fmt: skip
        name = names[number % len(names)] if number % 3 else rng.bytes(16).hex()
        verb = ("GET", "DELETE", "PUT", "PATCH", "POST")[rng.integers(5)]
        end = ("", "/video", "/events", "/x")[rng.integers(4)]
        return message(verb, f"/v1/animations/{name.replace(' ', '%20')}{end}", b"", [])

    def _head(self, rng: np.random.Generator, number: int) -> bytes:
        """Requests that are no HTTP, or whose headers are wrong."""
        post = "POST /v1/animations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        heads: tuple[str, ...] = (
            "Content-Length: -1\r\n\r\n",
            "Content-Length: ten\r\n\r\n",
            f"Content-Length: {'9' * 40}\r\n\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
            f"Transfer-Encoding: chunked\r\n\r\n{'f' * 40}\r\n",
            "Transfer-Encoding: gzip\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            "no colon\r\n\r\n",
            "A\x00B: c\r\n\r\n",
            "A: b\x00c\r\n\r\n",
            "A : b\r\n\r\n",
            "A: b\r\n folded\r\n\r\n",
            f"A: {'b' * 200_000}\r\n\r\n",
            "".join(f"A{each}: b\r\n" for each in range(5000)) + "\r\n",
            "Expect: 200-maybe\r\n\r\n",
            "Upgrade: websocket\r\n\r\n",
            "X-API-Key: \r\n\r\n",
            "X-API-Key: \xff\xfe\r\n\r\n",
            f"X-API-Key: {KEY}x\r\n\r\n",
            f"X-API-Key: {'k' * 50_000}\r\n\r\n",
        )
        lines: tuple[str, ...] = (
            "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\n" * 100,
            "GET / HTTP/9.9\r\n\r\n", "G\x00T / HTTP/1.1\r\n\r\n", f"GET /{'x' * 100_000} HTTP/1.1\r\n\r\n",
            "GET http://other/v1/x HTTP/1.1\r\n\r\n", "BREW /v1/animations HTTP/1.1\r\nHost: x\r\n\r\n",
        )  # fmt: skip
        choice = number % (len(heads) + len(lines) + 1)
        if choice < len(heads):
            return (post + heads[choice]).encode("latin-1")
        if choice < len(heads) + len(lines):
            return lines[choice - len(heads)].encode("latin-1")
        return rng.bytes(500)

    def _option(self, rng: np.random.Generator, number: int) -> bytes:
        """Options that are no options of a job."""
        if number % 2:
            return self._post(options=OTHER_OPTIONS[number // 2 % len(OTHER_OPTIONS)])
        names = [*option_schema(for_clients=True)["properties"]]
        while True:
            name, value = names[rng.integers(len(names))], WRONG_VALUES[rng.integers(len(WRONG_VALUES))]
            if not _is_option(name, value):
                return self._post(options=json.dumps({**QUICK, name: value}).encode())

    def _key(self, rng: np.random.Generator, number: int) -> bytes:
        """Idempotency keys that are no keys, and the key of another request."""
        if number % 2:
            return self._post(
                options=json.dumps({**QUICK, "seed": int(rng.integers(2**31))}).encode(),
                headers=[("Idempotency-Key", "first")],
            )
        keys = ("", "x" * 256, "x" * 60_000, "a\x00b", "a\rb", "a\x7f\x01")
        return self._post(headers=[("Idempotency-Key", keys[number // 2 % len(keys)])])

    def _size(self, rng: np.random.Generator, number: int) -> bytes:
        """More than is taken, with and without a length in the header, and lengths that are wrong."""
        large = bytes(int(UPLOAD_MB * 1e6) + 1)
        match number % 4:
            case 0:
                return self._post(portrait=large)
            case 1:
                return chunked(self._post(sound=large))
            case 2:
                return self._post(sound=b"")
            case _:
                whole = self._post()
                start = whole.index(b"\r\n\r\n") + 4
                return whole[: rng.integers(start, len(whole))]  # shorter than its header says


KINDS: dict[str, Callable[[Malformed, np.random.Generator, int], bytes]] = {
    name: getattr(Malformed, f"_{name}")
    for name in ("picture", "sound", "file", "form", "type", "id", "head", "option", "key", "size")
}
FORM = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")


def kind(case: int) -> str:
    return [*KINDS][case % len(KINDS)]


def _png_bomb(side: int) -> bytes:
    """A small PNG that says it is large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def _black_gif() -> bytes:
    file = io.BytesIO()
    Image.new("P", (16_000, 1000)).save(file, "gif")
    return file.getvalue()


OTHER_FILES: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"hello, I am no picture",
    b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    b"<html><body>404</body></html>",
    b"%PDF-1.7\n1 0 obj\n<<>>\nendobj",
    b"%!PS\n(/etc/passwd) (r) file",
    b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x'\npop graphic-context",
    b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    b"MZ" + bytes(500),
    b"\x7fELF" + bytes(500),
    b"PK\x03\x04" + bytes(500),
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + b"\xff" * 16 + b"data\xff\xff\xff\xff",
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x00\x00" + bytes(12) + b"data\x00\x00\x00\x00",
    b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(300),
    b"OggS" + b"\xff" * 300,
    b"fLaC\x00\x00\x00\x22" + b"\xff" * 34,
    b"\xff\xd8\xff\xe0" + bytes(300),
    b"GIF89a\xff\xff\xff\xff\xf7\x00\x00",
    _png_bomb(60_000),
    _png_bomb(2_000_000_000),
    _black_gif(),
)
OTHER_OPTIONS: tuple[bytes, ...] = (
    b" ", b"{", b"[]", b"null", b"1", b'"x"', b"{'steps': 2}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00",
    b"[" * 100_000, b'{"a":' * 5000, b'{"steps": ' + b"9" * 5000 + b"}", b'{"steps": ' + b"9" * 400 + b"}",
    b'{"steps": NaN}', b'{"seed": -Infinity}', b'{"duration": null}', b'{"duration": NaN}',
    b'{"duration": {}}', b'{"gaze": "\\ud800"}', b'{"": 1}',
    b'{"\\u0000": 1}', b'{"model": "/etc"}', b'{"device": "cuda:0"}', b'{"dtype": "float16"}',
    b'{"speaker": {"1": "/etc/passwd"}}', b'{"c2pa": ["/etc/passwd", "/etc/shadow"]}',
    b'{"output": "/tmp/x.mp4"}', b'{"portrait": "/etc/passwd"}', b'{"overwrite": true}', b'{"json": true}',
    b'{"dry_run": true}', b'{"help": true}', b'{"decode_chunk": 1}', b'{"steps": "2"}', b'{"steps": 2.5}',
    b'{"steps": 1e999}', b'{"steps": true}', b'{"__class__": "x"}', b'{"face": 0}', b'{"face": 9}',
    b'{"face_box": [1, 2, 3, 4]}', b'{"face_box": [300, 300, 1, 1]}', b'{"start": 1e5}', b'{"track": 7}',
)  # fmt: skip
WRONG_VALUES: tuple[Any, ...] = (
    None, "x", "", -1, 1e308, -1e308, 10**400, float("nan"), float("inf"), [], {}, [1, 2, 3, 4, 5], ["a"],
    [None] * 4, [1e308] * 4, [10**400, 1], "../../etc/passwd", "--help", "-o/tmp/x", "\x00", "\ud800", True,
    {"a": {"b": [1]}}, "x" * 10_000, 2**63, "\u0661", " 1", "1e3", "0x10",
)  # fmt: skip


def _is_option(name: str, value: Any) -> bool:
    try:
        options = {**QUICK, name: value}
        job_arguments(Job(portrait="p", audio="a", output="v.mp4", options=options), for_client=True)
        return True
    except (InvalidJob, ArithmeticError, ValueError, TypeError):
        return False


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """Of a form, without its boundary."""
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content


def form(parts: list[bytes]) -> bytes:
    """A multipart body."""
    line = f"--{BOUNDARY}\r\n".encode()
    return b"".join(line + each + b"\r\n" for each in parts) + f"--{BOUNDARY}--\r\n".encode()


def message(verb: str, path: str, body: bytes, headers: Headers) -> bytes:
    """A request with a key of the service and the length of its body."""
    own = [
        ("Host", "service"),
        ("Connection", "close"),
        ("X-API-Key", KEY),
        ("Content-Length", str(len(body))),
    ]
    lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in [*own, *headers])]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def chunked(request: bytes) -> bytes:
    """The same request with its body in one chunk and no length in the header."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def is_whole(request: bytes) -> bool:
    """Whether nothing is missing, so that there must be an answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    if b"chunked" in head:
        return body.endswith(b"\r\n0\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)\r?", head)
    return bool(length) and len(body) >= int(length[1])


def send(port: int, request: bytes) -> tuple[int, bytes]:
    """Send it and return the status and body of the answer; 0 for none.

    A server that waits for more than there is gets no more after SECONDS_OF_PATIENCE.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        with suppress(ConnectionError):  # refused early: the answer is there to read
            connection.sendall(request)
        connection.settimeout(SECONDS_TO_ANSWER if is_whole(request) else SECONDS_OF_PATIENCE)
        with suppress(ConnectionError, TimeoutError):
            while block := connection.recv(65_536):
                answer += block
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    return (int(words[1]) if len(words) > 1 else 0), body

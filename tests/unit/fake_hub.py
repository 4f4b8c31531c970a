"""A small Hugging Face hub on localhost: what huggingface_hub asks for when it downloads and uploads, and its
failures.

Paths, status codes and headers are those that huggingface_hub 2.4.0 sends and reads. Large files redirect to
another origin, as the hub's do to its storage.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

from sonimate.checkpoints.download import SOURCES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FOLDERS = {"unet.pth": "Sonic/", "audio2token.pth": "Sonic/", "flownet.pkl": "RIFE/"}
"""Sonic's files may lie anywhere in their repository."""


class Request(NamedTuple):
    method: str
    path: str
    first_byte: int
    token: str | None


@dataclass
class FakeHub:
    """Repositories by id, each {path: contents}, what has been asked of them, and what goes wrong.

    `damaged`: contents sent instead, by path. `cuts`: for each coming transfer of a path, the number of bytes
    after which the connection drops. `refusal`: status, X-Error-Code and message for every file of a repo.
    """

    url: str
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    damaged: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    refusal: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def transfers(self) -> list[tuple[str, int]]:
        """(path, first byte) of each GET that sent a file since the last call, in order."""
        sent = [r for r in self.requests if r.method == "GET" and not r.path.startswith("/api/")]
        self.requests.clear()
        return [(r.path, r.first_byte) for r in sent if r.path.startswith("/storage/") or is_small(r.path)]


def released() -> dict[str, dict[str, bytes]]:
    """A stand-in for every file of SOURCES, between others that nobody asked for."""
    return {
        source.repo_id: {"README.md": b"not asked for", "svd_xt.safetensors": bytes(9000)}
        | {FOLDERS.get(name, "") + name: contents(source.name, name) for name in source.files}
        for source in SOURCES
    }


def contents(source: str, name: str) -> bytes:
    """Some 8 kB that differ between files; configurations are JSON."""
    text = f"{source}/{name}"
    return (
        json.dumps({"_from": text}).encode()
        if is_small(name)
        else hashlib.sha256(text.encode()).digest() * 256
    )


def is_small(path: str) -> bool:
    """Whether git itself holds the file, not large-file storage."""
    return path.endswith((".json", ".md", ".py"))


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub with the released files, on a free port, until the block ends."""
    server = Server(("127.0.0.1", 0), Handler)
    hub = server.hub = FakeHub(f"http://127.0.0.1:{server.server_port}", repos=released())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Server(ThreadingHTTPServer):
    hub: FakeHub


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        """Creation of a repository, and a commit whose files all come with it."""
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.hub.requests.append(Request("POST", path, 0, self.headers.get("Authorization")))
        if path == "/api/repos/create":
            wanted = json.loads(body)
            repo_id = f"{wanted['organization']}/{wanted['name']}"
            self.server.hub.repos.setdefault(repo_id, {})
            self.send_json({"url": f"{self.server.hub.url}/{repo_id}"})
        elif path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            self.send_json(
                {"files": [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in files]}
            )
        elif path.endswith("/commit/main"):
            repo_id = path.removeprefix("/api/models/").removesuffix("/commit/main")
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.hub.repos[repo_id][value["path"]] = base64.b64decode(value["content"])
            url = f"{self.server.hub.url}/{repo_id}/commit/{COMMIT}"
            self.send_json({"commitUrl": url, "commitOid": COMMIT, "success": True})
        else:
            self.refuse(404, "", "Not Found")

    def send_json(self, value: object) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self) -> None:
        path = urlsplit(self.path).path
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.server.hub.requests.append(Request(self.command, path, first, self.headers.get("Authorization")))
        if tree := re.fullmatch("/api/models/(.+)/tree/[^/]+", path):
            files = self.server.hub.repos.get(tree[1], {})
            self.send_json([tree_entry(name, data) for name, data in files.items()])
        elif path.startswith("/api/models/"):
            self.model_info(re.sub("/revision/[^/]+$", "", path.removeprefix("/api/models/")))
        elif path.startswith("/storage/"):
            repo_id, _, name = path.removeprefix("/storage/").partition("/at/")
            self.send_file(repo_id, name, first)
        elif found := re.fullmatch(f"/(.+)/resolve/(?:{COMMIT}|main)/(.+)", path):
            self.resolve(found[1], found[2], first)
        else:
            self.refuse(404, "", "Not Found")

    def model_info(self, repo_id: str) -> None:
        files = self.server.hub.repos.get(repo_id)
        if files is None:
            self.refuse(404, "RepoNotFound", "Repository not found")
            return
        siblings = []
        for path, data in files.items():
            entry = {"rfilename": path, "size": len(data), "blobId": git_id(data)}
            if not is_small(path):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        self.send_json({"id": repo_id, "sha": COMMIT, "siblings": siblings})

    def resolve(self, repo_id: str, name: str, first: int) -> None:
        data = self.server.hub.repos.get(repo_id, {}).get(name)
        if data is None:
            self.refuse(404, "EntryNotFound", "Entry not found")
        elif repo_id in self.server.hub.refusal:
            self.refuse(*self.server.hub.refusal[repo_id])
        elif is_small(name):
            self.send_file(repo_id, name, first)
        else:
            origin = self.server.hub.url.replace("127.0.0.1", "localhost")
            linked = {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
            location = {"Location": f"{origin}/storage/{repo_id}/at/{name}", "X-Repo-Commit": COMMIT}
            self.send(302, b"", linked | location)

    def send_file(self, repo_id: str, name: str, first: int) -> None:
        whole = self.server.hub.repos[repo_id][name]
        data = self.server.hub.damaged.get(name, whole)
        headers = {"ETag": f'"{git_id(whole)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        waiting = self.server.hub.cuts.get(name)
        keep = waiting.pop(0) if waiting and self.command == "GET" else None
        self.send(206 if first else 200, data[first:], headers, keep)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.send(status, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def send(self, status: int, body: bytes, headers: dict[str, str], keep: int | None = None) -> None:
        """Answer; `keep`: drop the connection after so many bytes of the body."""
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:keep])
        if keep is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


def tree_entry(path: str, data: bytes) -> dict[str, object]:
    """A file in the listing of a repository."""
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(data), "oid": git_id(data)}
    if not is_small(path):
        entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
    return entry


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

"""C2PA manifests: signed statements in a media file about how it was made (c2pa.org, specification 2)."""

from __future__ import annotations

import io
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sonimate.errors import CertificateRefused, OptionOutOfRange, extra_needed
from sonimate.media.files import replacing, require_file, write_errors

SIGNED_FORMATS = {".mp4": "video/mp4", ".mov": "video/quicktime", ".gif": "image/gif"}
"""Containers in which c2pa writes a manifest; Matroska (mkv, webm) is not among them."""

CURVES = {256: "ES256", 384: "ES384", 521: "ES512"}
"""Signature algorithms of elliptic curves, by the bits of the key (C2PA specification, 13.2)."""

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True)
class Signature:
    """A certificate chain in PEM, the signer's own first, and its private key; algorithm: C2PA's name."""

    certificates: bytes
    key: bytes
    algorithm: str

    def sign(self, path: Path, *, title: str) -> None:
        """Put a signed manifest into the media file `path`, in place. Raises CertificateRefused, and
        OutputNotWritable."""
        mime = SIGNED_FORMATS[path.suffix.lower()]
        with (
            replacing(path) as signed,
            write_errors(path),
            path.open("rb") as source,
            signed.open("w+b") as target,
        ):
            self.put_manifest(mime, source, target, title)

    def put_manifest(self, mime: str, source: Any, target: Any, title: str) -> None:
        """Copy an open media file of this type with a signed manifest in it. Raises CertificateRefused."""
        import c2pa  # pyright: ignore[reportMissingTypeStubs]

        created = {"action": "c2pa.created", "digitalSourceType": SOURCE}
        manifest = {
            "claim_generator_info": [{"name": "sonimate", "version": version("sonimate")}],
            "title": title,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }
        info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg[self.algorithm], self.certificates, self.key, None)
        try:
            with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
                builder.sign(signer, mime, source, target)
        except c2pa.C2paError as error:
            raise CertificateRefused(
                f"C2PA does not take the certificate ({' '.join(str(error).split())}). It needs one for "
                "signing documents or content, not expired, with its chain, and the key of the first "
                "certificate."
            ) from error


def read_signature(certificates: str | Path, key: str | Path) -> Signature:
    """Read a certificate chain and its private key, PEM files, and sign a picture of one pixel by them, so
    that what is wrong with them is found before anything is computed.

    Raises FileMissing, FileNotReadable, CertificateRefused, ExtraMissing.
    """
    from PIL import Image

    chain, private = (require_file(path).read_bytes() for path in (certificates, key))
    with extra_needed("c2pa"):
        import c2pa  # noqa: F401  # pyright: ignore[reportMissingTypeStubs, reportUnusedImport]
    signature = Signature(chain, private, _kind(key))
    picture, signed = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(picture, "png")
    picture.seek(0)
    signature.put_manifest("image/png", picture, signed, "test")
    return signature


def require_signable(path: str | Path) -> None:
    """Raise OptionOutOfRange if a file of this name cannot hold a manifest."""
    if Path(path).suffix.lower() not in SIGNED_FORMATS:
        raise OptionOutOfRange(
            f"{path} cannot hold a C2PA manifest. Give it a name that ends in {', '.join(SIGNED_FORMATS)}, "
            "or leave out --c2pa."
        )


def read_manifest(path: str | Path) -> dict[str, Any] | None:
    """The active manifest of a media file and the state of its validation; None if it has none.

    Keys: `state` (Invalid, Valid: as it was signed, Trusted: by someone on a list of trust), `signer`,
    `issuer`, `generator`, `title`, `actions`, `problems`. Raises ExtraMissing.
    """
    with extra_needed("c2pa"):
        import c2pa  # pyright: ignore[reportMissingTypeStubs]
    try:
        reader = c2pa.Reader.try_create(str(path))
    except c2pa.C2paError as error:
        return {"state": "Invalid", "problems": [" ".join(str(error).split())]}
    if reader is None:
        return None
    with reader:
        store = json.loads(reader.json())
    active = store["manifests"][store["active_manifest"]]
    actions = [
        action
        for assertion in active.get("assertions", ())
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    signature, generators = active.get("signature_info", {}), active.get("claim_generator_info", ())
    return {
        "state": store.get("validation_state", "Invalid"),
        "signer": signature.get("common_name"),
        "issuer": signature.get("issuer"),
        "generator": " ".join(str(generators[0][name]) for name in ("name", "version") if generators),
        "title": active.get("title"),
        "actions": [f"{action['action']} ({action.get('digitalSourceType', '')})" for action in actions],
        "problems": [str(status["code"]) for status in store.get("validation_status", ())],
    }


def _kind(key: str | Path) -> str:
    """C2PA's name of the algorithm that a private key signs by. Raises CertificateRefused."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with _refused(key):
        loaded = load_pem_private_key(Path(key).read_bytes(), password=None)
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.key_size in CURVES:
        return CURVES[loaded.curve.key_size]
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(loaded, rsa.RSAPrivateKey):
        return "PS256"
    raise CertificateRefused(
        f"{key} holds a key of a kind that C2PA does not take: use ES256, PS256 or Ed25519."
    )


@contextmanager
def _refused(key: str | Path) -> Generator[None, None, None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise CertificateRefused(
            f"{key} is no private key in PEM without a password. The certificate comes first, then the key: "
            "--c2pa CERT KEY."
        ) from error

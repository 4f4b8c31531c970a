"""Signed statements in videos: `animate --c2pa CERT KEY`, and `sonimate inspect`, which shows them."""

import datetime
import json
from pathlib import Path

import httpx
import pytest
from command import PORTRAIT, QUICK, SPEECH, animate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib.service_process import ServiceProcess
from sonimate.apps.cli import main

SHORT = ("--duration", "0.4", *QUICK)


def issued(name, key, issuer, issuer_key, *, authority):
    """A certificate of `key` for a year."""
    now = datetime.datetime.now(datetime.UTC)
    usage = [False] * 9
    usage[0], usage[5] = not authority, authority
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    """Paths of a certificate chain and of its key."""
    folder = tmp_path_factory.mktemp("signer")

    def name(text):
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, text),
                x509.NameAttribute(NameOID.COMMON_NAME, text),
            ]
        )

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = issued(name("Test root"), root_key, name("Test root"), root_key, authority=True)
    own = issued(name("Test studio"), key, root.subject, root_key, authority=False)
    certificates, private = folder / "cert.pem", folder / "key.pem"
    certificates.write_bytes(own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificates, private


def inspected(path, capsys):
    capsys.readouterr()
    assert main(["inspect", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def video(signer, tmp_path_factory):
    out = tmp_path_factory.mktemp("signed") / "a.mp4"
    assert animate(PORTRAIT, SPEECH, "-o", out, "--c2pa", *signer, *SHORT) == 0
    return out


def test_a_signed_video_states_who_made_it_and_how(video, capsys):
    account = inspected(video, capsys)
    assert account["synthetic"] is True
    assert account["seconds"] == pytest.approx(0.4, abs=0.1)
    manifest = account["c2pa"]
    assert manifest["state"] in ("Valid", "Trusted")
    assert (manifest["signer"], manifest["issuer"]) == ("Test studio", "Test studio")
    assert manifest["generator"].startswith("sonimate ")
    assert "c2pa.created" in manifest["actions"][0]
    assert "compositeWithTrainedAlgorithmicMedia" in manifest["actions"][0]


def test_a_service_signs_all_its_videos(signer, tmp_path, capsys):
    server = ServiceProcess(tmp_path, "--jobs", "1", "--c2pa", *map(str, signer))
    try:
        jobs = f"{server.url}/v1/animations"
        files = {"portrait": Path(PORTRAIT).read_bytes(), "audio": Path(SPEECH).read_bytes()}
        options = json.dumps({"size": 256, "steps": 2, "duration": 0.4})
        job = httpx.post(jobs, files=files, data={"options": options}, timeout=60).json()["id"]
        assert '"succeeded"' in httpx.get(f"{jobs}/{job}/events", timeout=60).text
        (tmp_path / "a.mp4").write_bytes(httpx.get(f"{jobs}/{job}/video").content)
    finally:
        server.stop()
    assert inspected(tmp_path / "a.mp4", capsys)["c2pa"]["signer"] == "Test studio"


def test_a_changed_video_is_not_valid(video, tmp_path, capsys):
    changed = tmp_path / "changed.mp4"
    content = bytearray(video.read_bytes())
    place = content.index(b"mdat") + 400
    content[place] ^= 0xFF
    changed.write_bytes(content)
    manifest = inspected(changed, capsys)["c2pa"]
    assert manifest["state"] == "Invalid"
    assert manifest["problems"]


def test_an_unsigned_video_states_that_it_is_synthetic(tmp_path, capsys):
    out = tmp_path / "a.mp4"
    assert animate(PORTRAIT, SPEECH, "-o", out, *SHORT) == 0
    account = inspected(out, capsys)
    assert account["synthetic"] is True
    assert account["c2pa"] is None
    assert main(["inspect", str(out)]) == 0
    text = capsys.readouterr().out
    assert "states that it is synthetic" in text
    assert "no C2PA manifest" in text


def test_what_is_wrong_with_key_or_certificate_is_said_before_anything_is_made(signer, tmp_path, capsys):
    certificates, key = signer
    other = tmp_path / "other.pem"
    private = ec.generate_private_key(ec.SECP384R1())
    other.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    wrong = [
        ((key, certificates), "no private key"),
        ((certificates, other), "does not take the certificate"),
        ((certificates, tmp_path / "none.pem"), "does not exist"),
    ]
    for pair, words in wrong:
        out = tmp_path / "a.mp4"
        assert animate(PORTRAIT, SPEECH, "-o", out, "--c2pa", *pair, *SHORT) == 2
        assert words in capsys.readouterr().err
        assert not out.exists()


def test_inspect_refuses_what_is_no_media_file(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("hello")
    assert main(["inspect", str(tmp_path / "a.txt")]) == 2
    assert "cannot be decoded" in capsys.readouterr().err

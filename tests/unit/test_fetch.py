"""Downloads against a real server that misbehaves: bounded in bytes, time and hops, and never to a private address."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from perennial.datasets import lines, picture_sources
from perennial.datasets.addresses import checked, is_public, parse_address, shown
from perennial.datasets.fetch import Fetcher
from perennial.datasets.picture_landing import land_pictures
from perennial.errors import DataError
from perennial.store import memory_store
from tests.support.pictures import image_spec
from tests.support.web_pictures import GOOD, PictureServer, picture_server

PUBLIC = "93.184.216.34"


@pytest.fixture(scope="module")
def server() -> Iterator[PictureServer]:
    with picture_server() as running:
        yield running


def fetcher(**changes: Any) -> Fetcher:
    return Fetcher(**{"max_bytes": 1_000_000, "private": True, "sleep": lambda seconds: None, **changes})


def reason(url: str, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        fetcher(**changes).fetch(url)
    return caught.value.message


@pytest.mark.parametrize(
    "path", ["/good", "/binary", "/untyped", "/hop/0", "/hop/4", "/good?a=b c&d=é", "/good/ü x.png", "/chunks"]
)
def test_a_picture_comes_as_it_is(server: PictureServer, path: str) -> None:
    assert fetcher().fetch(server.url(path)) == GOOD


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/page", "answered with text/html, not with a picture."),
        ("/packed", "answered packed by gzip, unasked."),
        ("/missing", "answered 404 Not Found."),
        ("/declared", "is larger than 1,000,000 bytes."),
        ("/endless", "is larger than 1,000,000 bytes."),
        ("/hop/5", "is sent on more than 5 times."),
        ("/file", "is no http or https address."),
        ("/secret", "holds a user's name or password."),
        ("/nowhere", "is sent on to what is no address."),
    ],
)
def test_what_is_no_picture_is_refused_at_once(server: PictureServer, path: str, why: str) -> None:
    before = server.asked[path]
    assert reason(server.url(path)) == why
    assert server.asked[path] == before + 1


def test_busy_servers_are_asked_again_when_they_say(server: PictureServer) -> None:
    pauses: list[float] = []
    assert fetcher(sleep=pauses.append).fetch(server.url("/busy?1")) == GOOD
    assert pauses == [7.0, 1.0]
    assert server.asked["/busy?1"] == 3


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/down?1", "answered 500 Internal Server Error."),
        ("/short", "could not be read (it ended too early)."),
        ("/silent", "could not be read (no answer in time)."),
    ],
)
def test_attempts_come_to_an_end(server: PictureServer, path: str, why: str) -> None:
    assert reason(server.url(path), silence=0.1, attempts=3) == why
    assert server.asked[path] == 3


@pytest.mark.parametrize("path", ["/drip", "/drip-header", "/drip-open"])
def test_a_slow_server_does_not_hold_a_download_longer_than_its_time(server: PictureServer, path: str) -> None:
    start = time.monotonic()
    assert reason(server.url(path), seconds=0.4, silence=10) == "took longer than 0.4 seconds."
    assert time.monotonic() - start < 5
    assert server.asked[path] == 1


def test_a_host_that_is_not_there_or_unknown_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert reason(f"http://127.0.0.1:{port}/x", attempts=2).startswith("could not be read (")

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert reason("http://none.test/x", resolve=unknown).startswith("names a host that cannot be found")


def test_a_name_is_looked_up_once_a_hop_and_the_connection_goes_to_what_was_checked(server: PictureServer) -> None:
    """A name that stands for a public address when it is checked and a private one afterwards: rebinding."""
    answers, connected = iter([[PUBLIC], ["127.0.0.1"]]), []

    def connect(place: tuple[str, int], seconds: float) -> socket.socket:
        connected.append(place)
        return socket.create_connection(("127.0.0.1", server.port), seconds)

    url = server.url("/good", "rebound.test")
    found = fetcher(private=False, resolve=lambda host, port: next(answers), connect=connect).fetch(url)
    assert found == GOOD
    assert connected == [(PUBLIC, server.port)]
    assert server.hosts[-1] == f"rebound.test:{server.port}"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a host's name that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_is_asked_for_by_name_though_the_connection_goes_to_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, "tls.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    known = {"resolve": lambda host, port: ["127.0.0.1"], "attempts": 1}
    with picture_server(context) as secure:
        url = f"https://tls.test:{secure.port}/good"
        assert reason(url, **known).startswith("has no valid certificate (")
        monkeypatch.setattr(lines, "trust", lambda: ssl.create_default_context(cafile=str(cert)))
        assert fetcher(**known).fetch(url) == GOOD
        assert reason(url.replace("tls.test", "other.test"), **known).startswith("has no valid certificate (Hostname")
        assert reason(url.replace("/good", "/drip"), **known, seconds=0.4) == "took longer than 0.4 seconds."


def test_each_hop_is_checked_anew(server: PictureServer) -> None:
    places = {"rebound.test": [PUBLIC], "inside.test": ["10.0.0.8"]}
    connected = []

    def connect(place: tuple[str, int], seconds: float) -> socket.socket:
        connected.append(place[0])
        return socket.create_connection(("127.0.0.1", server.port), seconds)

    why = reason(
        server.url("/inward", "rebound.test"),
        private=False,
        resolve=lambda host, port: places[host],
        connect=connect,
    )
    assert why == "leads to inside.test, which only this machine or its network reaches."
    assert connected == [PUBLIC]


def test_a_host_with_one_private_address_among_public_ones_is_refused(server: PictureServer) -> None:
    url = "http://mixed.test/x"
    assert "leads to mixed.test" in reason(url, private=False, resolve=lambda host, port: [PUBLIC, "::1"])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost/x", "http://2130706433/x", "http://0x7f.1/x", "http://0/x",
        "http://[::1]/x", "http://[::ffff:127.0.0.1]/x", "http://169.254.169.254/latest/meta-data",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_are_refused_however_they_are_written(url: str) -> None:
    assert "which only this machine or its network reaches" in reason(url, private=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1", "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)  # fmt: skip
def test_what_is_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2606:4700::1111"])
def test_what_is_of_the_open_internet(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_in_the_clothes_of_the_sixth_version_is_what_it_is(address: Any) -> None:
    number = int(address)
    plain = is_public(str(address))
    assert is_public(f"::ffff:{address}") == plain
    assert is_public(f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}") == plain
    assert is_public(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1") == plain


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://me:word@example.org/x", "holds a user's name or password"),
        ("http://me@example.org/x", "holds a user's name or password"),
        ("http:///x", "is no http or https address"),
        ("http://[::1/x", "is no address"),
        ("http://example.org:99999/x", "is no address"),
        (f"http://{'a' * 64}.org/x", "is no address"),
        ("gopher://example.org/", "is no http or https address"),
    ],
)
def test_what_is_no_address(url: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        parse_address(url)


def test_an_address_is_asked_for_as_it_is_written() -> None:
    one = parse_address("https://B\u00fccher.example:8443/a b/%C3%A9?x=1&y=\u00e9")
    assert (one.named, one.target) == ("xn--bcher-kva.example:8443", "/a%20b/%C3%A9?x=1&y=%C3%A9")
    assert parse_address("http://[2606:4700::1111]/").named == "[2606:4700::1111]"
    assert checked(parse_address("http://1.1.1.1/x"), private=False) == ["1.1.1.1"]


def test_a_listing_of_addresses_lands_what_can_be_had_and_lists_the_rest(
    tmp_path: Path, server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list.csv"
    urls = [server.url(f"/good?{number}") for number in range(20)]
    urls += [
        server.url("/page"),
        server.url("/svg"),
        server.url("/missing"),
        f"http://me:word@127.0.0.1:{server.port}/x",
    ]
    path.write_text("url,label\n" + "".join(f"{url},cat\n" for url in urls))
    spec = image_spec(image={"size": 16, "private_addresses": True, "download_bytes": 500_000})
    at_once, most, lock = [0], [0], threading.Lock()
    plain = Fetcher.fetch

    def counted(self: Fetcher, url: str) -> bytes:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        try:
            return plain(self, url)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(Fetcher, "fetch", counted)
    landed = land_pictures(memory_store(), spec, path)
    assert 1 < most[0] <= picture_sources.DOWNLOADS == 8
    assert landed.pictures == 20
    assert [(one.row, one.reason) for one in landed.failures] == [
        (21, "answered with text/html, not with a picture"),
        (22, "is markup such as SVG, not a picture of pixels"),
        (23, "answered 404 Not Found"),
        (24, "holds a user's name or password"),
    ]
    assert landed.failures[-1].file == f"http://127.0.0.1:{server.port}/x", "a password is not told"


def test_private_addresses_are_refused_unless_the_spec_allows_them(tmp_path: Path, server: PictureServer) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"url,label\n{server.url('/good?never')},cat\n")
    with pytest.raises(DataError, match="which only this machine or its network reaches"):
        land_pictures(memory_store(), image_spec(), path)
    assert not server.asked["/good?never"]


def test_what_is_kept_of_an_address_holds_no_password() -> None:
    assert shown("https://me:w@rd@example.org/a@b") == "https://example.org/a@b"
    assert shown("cat/me@home.png") == "cat/me@home.png"


def test_a_chunk_of_negative_size_takes_no_more_than_a_picture_may_have(server: PictureServer) -> None:
    """http.client reads such a chunk up to the end of the connection."""
    assert reason(server.url("/negative"), max_bytes=100_000, seconds=20.0) == "is larger than 100,000 bytes."
    assert server.sent < 30_000_000, "what the two ends of a connection hold on their way"

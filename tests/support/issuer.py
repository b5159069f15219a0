"""An issuer of tokens on this machine: what API Gateway's JWT authorizer asks of one, with a key made for the test."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

KEY_ID = "of-the-test"


def make_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Issuer:
    """``url`` is what its tokens name as ``iss``."""

    url: str
    key: RSAPrivateKey

    def token(self, *, expires: int, audience: str, key: RSAPrivateKey | None = None, issuer: str | None = None) -> str:
        """A token that ends at ``expires``, in seconds since 1970; of another ``key`` it is a forgery."""
        claims = {"iss": issuer or self.url, "aud": audience, "sub": "somebody", "exp": expires}
        head = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        signature = (key or self.key).sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{_encoded(signature)}"


@contextmanager
def serving_issuer() -> Iterator[Issuer]:
    """One that publishes its key for the length of the block."""
    key = make_key()
    numbers = key.public_key().public_numbers()
    n, e = (_encoded(one.to_bytes((one.bit_length() + 7) // 8, "big")) for one in (numbers.n, numbers.e))
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": n, "e": e}
    pages: dict[str, Any] = {"/keys": {"keys": [jwk]}}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        pages["/.well-known/openid-configuration"] = {"issuer": url, "jwks_uri": f"{url}/keys"}
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Issuer(url, key)
        finally:
            server.shutdown()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

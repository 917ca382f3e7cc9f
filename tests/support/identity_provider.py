"""An identity provider on loopback: real keys, published over HTTP, and tokens signed with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ISSUER = "https://login.test/"
AUDIENCE = "fanfold"
JWKS_PATH = "/jwks.json"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class IdentityProvider:
    """Signs tokens and publishes its public keys.

    Attributes:
        keys: Private keys by id, each with its algorithm.
        published: Ids of the keys that it shows.
        extra: Further entries of the key set, as they are.
        status: HTTP status that it answers with.
        fetches: How often it was asked.
        port: Where it listens.
    """

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, PrivateKey]] = {
            "rsa": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
            "ec": ("ES256", ec.generate_private_key(ec.SECP256R1())),
            "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
        }
        self.published = set(self.keys)
        self.extra: list[dict[str, Any]] = []
        self.status = 200
        self.fetches = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{JWKS_PATH}"

    def token(
        self, kid: str = "ec", *, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """Return a token as the provider issues them; a claim that is None is left out."""
        now = int(time.time())
        every = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ada",
            "tenant": "acme",
            "scope": "openid read submit",
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        algorithm, key = self.keys[kid]
        payload = {name: value for name, value in every.items() if value is not None}
        return jwt.encode(payload, key, algorithm, headers={"kid": kid, **(headers or {})})

    def key_set(self) -> bytes:
        entries = [self.public_jwk(kid) for kid in sorted(self.published)]
        return json.dumps({"keys": [*entries, *self.extra]}).encode()

    def public_jwk(self, kid: str) -> dict[str, Any]:
        algorithm, key = self.keys[kid]
        public: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(
            key.public_key(), as_dict=True
        )
        return {**public, "kid": kid, "alg": algorithm, "use": "sig"}


class _Exchange(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        provider = cast("_Server", self.server).provider
        provider.fetches += 1
        body = provider.key_set()
        self.send_response(provider.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: IdentityProvider


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """Yield a provider that answers."""
    with _Server(("127.0.0.1", 0), _Exchange) as server:
        server.provider = provider = IdentityProvider()
        provider.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()

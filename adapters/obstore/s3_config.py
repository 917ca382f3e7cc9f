"""What every client of S3 is told: keys, region, address, and whether it may do without TLS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config


def s3_config(environ: Mapping[str, str], *, endpoint: str | None) -> S3Config:
    """Return the configuration of a client.

    Args:
        environ: Where the standard AWS variables are; obstore finds roles of the machine by itself.
        endpoint: Address of an S3-compatible store, which is then called in path style.
    """
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    config: S3Config = {"region": region}
    if environ.get("AWS_ACCESS_KEY_ID"):
        config["access_key_id"] = environ["AWS_ACCESS_KEY_ID"]
        config["secret_access_key"] = environ.get("AWS_SECRET_ACCESS_KEY", "")
        if environ.get("AWS_SESSION_TOKEN"):
            config["session_token"] = environ["AWS_SESSION_TOKEN"]
    if endpoint is not None:
        config["endpoint"] = endpoint.rstrip("/")
        config["virtual_hosted_style_request"] = False
    return config


def s3_client(*, endpoint: str | None, connect_s: float, timeout_s: float) -> ClientConfig:
    """Return how a client connects.

    Plain HTTP is spoken to an endpoint that says ``http://`` and to nothing else: no caller can
    name one, and whoever runs the deployment may have a store in a network of their own.

    Args:
        endpoint: As in ``s3_config``.
        connect_s: For how long it waits for a connection.
        timeout_s: For how long it waits for a whole answer.
    """
    return {
        "allow_http": endpoint is not None and endpoint.lower().startswith("http://"),
        "connect_timeout": timedelta(seconds=connect_s),
        "timeout": timedelta(seconds=timeout_s),
    }

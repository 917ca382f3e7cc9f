"""What every client of S3 is told: keys, region and address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import S3Config


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

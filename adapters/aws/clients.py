"""How clients of AWS are made: from whose variables, and how patient they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boto3.session import Session
from botocore.config import Config

CONNECT_TIMEOUT_S: Final = 2.0
CONNECTIONS: Final = 10


def session_of(environ: Mapping[str, str]) -> Session:
    """Return who we are, and in which region; boto3 finds roles of the machine by itself.

    Args:
        environ: Where the standard AWS variables are.
    """
    return Session(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environ.get("AWS_SESSION_TOKEN"),
        region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
    )


def endpoint_of(environ: Mapping[str, str], service: str) -> str | None:
    """Return where *service*, such as ``DYNAMODB``, is; None for its usual place."""
    return environ.get(f"AWS_ENDPOINT_URL_{service}") or environ.get("AWS_ENDPOINT_URL")


def patience(*, timeout_s: float, attempts: int, connections: int = CONNECTIONS) -> Config:
    """Return for how long a command may take, and how often it is tried, with growing pauses."""
    return Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=timeout_s,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )

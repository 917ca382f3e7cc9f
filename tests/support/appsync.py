"""AppSync on loopback: Amplify's simulator, which ``tests/aws/simulator`` makes more like it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schema.appsync import SIGN_IN_MODES, appsync_sdl
from schema.sdl import served_sdl
from tests.support.ministack import ACCESS_KEY, ENVIRON
from tests.support.node import Node, without_proxies
from tests.support.running import ROOT, free_port
from tests.support.waiting import eventually

API_KEY: Final = "da2-fakefanfoldkey"
ISSUER: Final = "https://issuer.example"
_SIGNED: Final = (
    f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/us-east-1/lambda/aws4_request, "
    "SignedHeaders=host, Signature=unchecked"
)
"""MiniStack lets its own key do everything."""
SIMULATOR: Final = ROOT / "tests" / "aws" / "simulator"


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many published events nobody hears of.

    Attributes:
        share: Of all, 0 to 1.
        seed: Decides which.
    """

    share: float
    seed: int


@dataclass(frozen=True, slots=True)
class Resolver:
    """A unit resolver.

    Attributes:
        type: Whose field it answers.
        field: The field.
        source: ``Function``, ``Table`` or ``None``.
        code: In JavaScript.
    """

    type: str
    field: str
    source: str
    code: str


@dataclass(frozen=True, slots=True)
class AppSync:
    """A simulator that runs.

    Attributes:
        port: On loopback.
    """

    port: int

    @property
    def url(self) -> str:
        """Where queries and mutations go."""
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def realtime_url(self) -> str:
        """Where subscriptions go."""
        return f"ws://127.0.0.1:{self.port}/graphql/realtime"


@contextmanager
def running_appsync(
    folder: Path,
    node: Node,
    *,
    aws: str,
    table: str,
    function: str,
    env: Mapping[str, str],
    resolvers: Sequence[Resolver],
    dropped: Dropped | None = None,
    port: int | None = None,
) -> Iterator[AppSync]:
    """Yield an API with our schema.

    Args:
        folder: For its log, and the code of resolvers.
        node: Runs it.
        aws: Where DynamoDB and Lambda answer.
        table: Of jobs.
        function: Runs the Python resolvers.
        env: What resolvers find as ``ctx.env``.
        resolvers: Of all fields that have one.
        dropped: Events to be lost.
        port: Where to listen, as after a restart; None takes a free one.
    """
    node.install(SIMULATOR)
    api = AppSync(port or free_port())
    credentials = {"accessKeyId": ACCESS_KEY, "secretAccessKey": ACCESS_KEY}
    config: dict[str, Any] = {
        "port": api.port,
        "schema": appsync_sdl(served_sdl(), modes=(*SIGN_IN_MODES, "aws_oidc")),
        "apiKey": API_KEY,
        "issuer": ISSUER,
        "table": {"endpoint": aws, "region": "us-east-1", "tableName": table, **credentials},
        "functionUrl": f"{aws}/2015-03-31/functions/{function}/invocations",
        "headers": {"Authorization": _SIGNED},
        "env": dict(env),
        "resolvers": [_written(folder, resolver) for resolver in resolvers],
        "drop": None if dropped is None else {"share": dropped.share, "seed": dropped.seed},
    }
    log = folder / f"appsync-{api.port}.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            node.command(SIMULATOR / "server.mjs"),
            env={**without_proxies(), **ENVIRON},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(config).encode())
            process.stdin.close()
            eventually(lambda: _is_ready(process, log), within_s=60)
            yield api
        finally:
            process.terminate()
            process.wait()


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    said = log.read_text()
    assert process.poll() is None, f"the simulator ended: {said}"
    return "READY" in said


def _written(folder: Path, resolver: Resolver) -> dict[str, str]:
    file = folder / f"{resolver.type}.{resolver.field}.mjs"
    file.write_text(resolver.code)
    place = {"source": resolver.source, "file": str(file)}
    return {"type": resolver.type, "field": resolver.field, **place}

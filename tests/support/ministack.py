"""A real S3 for tests, on loopback: MiniStack, in an environment of its own outside the checkout.

It pins versions of libraries that must not meet ours.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from tests.support.running import free_port
from tests.support.waiting import eventually

VERSION = "1.5.33"
PACKAGES = (f"ministack=={VERSION}", "aws-sam-translator==1.115.0", "awscli==1.46.3")
"""With what MiniStack needs for templates of SAM, and what packs these."""
ACCESS_KEY = "test"
ENVIRON = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    "AWS_REGION": "us-east-1",
}


@dataclass(frozen=True, slots=True)
class MiniStack:
    """A server that runs.

    Attributes:
        endpoint: Its address, for the ``s3_endpoint`` setting.
    """

    endpoint: str

    def create_bucket(self, name: str) -> None:
        self._put(name)

    def mark_folder(self, bucket: str, folder: str) -> None:
        """Create an empty object whose key ends in a slash, as consoles do."""
        self._put(f"{bucket}/{folder}/")

    def put_raw(self, bucket: str, key: str) -> None:
        """Create an empty object of any key, also of one that obstore refuses."""
        self._put(f"{bucket}/{key}")

    def put(self, bucket: str, key: str, data: bytes) -> str:
        """Write an object and return its ETag."""
        return str(obstore.put(self.store(bucket), key, data)["e_tag"])

    def delete(self, bucket: str, key: str) -> None:
        obstore.delete(self.store(bucket), key)

    def store(self, bucket: str) -> S3Store:
        return S3Store(
            bucket,
            config={
                "endpoint": self.endpoint,
                "access_key_id": ACCESS_KEY,
                "secret_access_key": ACCESS_KEY,
                "region": "us-east-1",
                "virtual_hosted_style_request": False,
            },
            client_options={"allow_http": True},
        )

    def _put(self, path: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}/{path}", data=b"", method="PUT")  # noqa: S310
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass


@contextmanager
def running_ministack(
    folder: Path, *, program: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[MiniStack]:
    """Yield a server with no buckets; it keeps nothing.

    Args:
        folder: For its log.
        program: What starts it instead, run by its Python.
        settings: Its environment beside what every one is given.
    """
    port = free_port()
    environ = dict(os.environ, BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port), LOG_LEVEL="WARNING")
    environ |= settings or {}
    command = [
        str(ministack_python()),
        *(["-m", "ministack"] if program is None else [str(program)]),
    ]
    with (
        (folder / "ministack.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log) as process,
    ):
        stack = MiniStack(f"http://127.0.0.1:{port}")
        try:
            eventually(lambda: _answers(stack, process), within_s=30)
            yield stack
        finally:
            process.terminate()
            process.wait()


def _answers(stack: MiniStack, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "MiniStack ended"
    url = f"{stack.endpoint}/_ministack/health"
    with suppress(OSError), urllib.request.urlopen(url, timeout=1):  # noqa: S310
        return True
    return False


def ministack_python() -> Path:
    """Return the interpreter that has MiniStack and the AWS CLI, installing both at first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "fanfold-tests" / f"ministack-{VERSION}-sam-py{sys.version_info.minor}"
    place.parent.mkdir(parents=True, exist_ok=True)
    python, done = place / "bin" / "python", place / "done"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
            subprocess.run(install, check=True)
            done.touch()
    return python

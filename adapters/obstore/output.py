"""Results in S3 buckets, through obstore."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from adapters.obstore.blobs import PART_BYTES, PARTS_AT_ONCE, s3_store
from adapters.obstore.s3_private import REFUSED, PrivatePrefix
from adapters.obstore.status import may_pass, status_of
from engine.errors import OutputError, UnavailableError

_URL: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/.*)?", re.IGNORECASE)
_DENIED: Final = "this service may not write there"


class ObstoreOutput:
    """Implements ``OutputStore`` for ``s3://bucket/prefix/``.

    Args:
        endpoint: Address of an S3-compatible store; AWS by default.
        environ: Where the standard AWS variables are.
        private: ``s3://bucket/prefix`` that the service keeps for itself; no job writes there.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        environ: Mapping[str, str] = os.environ,
        private: str | None = None,
    ) -> None:
        self._private = PrivatePrefix.of(private)
        self._endpoint = endpoint
        self._environ = environ

    def check(self, uri: str) -> None:
        """Refuse what is no bucket with a prefix; see ``OutputStore``."""
        found = _URL.fullmatch(uri)
        if found is None:
            raise ValueError("must be s3://bucket/prefix/")
        prefix = (found[2] or "").strip("/")
        if not uri.isprintable() or (prefix and not all(map(_is_name, prefix.split("/")))):
            raise ValueError("has a prefix that no key may have")
        # Each job writes below its own id, so it is what lies in the prefix that counts.
        if self._private is not None and self._private.is_reached(found[1], f"{prefix}/j-"):
            raise ValueError(REFUSED)

    def write(self, uri: str, name: str, chunks: Iterator[bytes]) -> None:
        """Write an object, in parts where it is large; see ``OutputStore``."""
        with _translated(uri):
            writer = obstore.open_writer(
                self._store_of(uri),
                name,
                buffer_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
            for chunk in chunks:
                writer.write(chunk)
            # Closed only here, because that is what makes the object; S3 forgets the parts of one
            # that breaks off by the bucket's own rules.
            writer.close()

    def remove(self, uri: str, name: str) -> None:
        """Remove an object; see ``OutputStore``."""
        with _translated(uri):
            obstore.delete(self._store_of(uri), name)

    def names(self, uri: str, folder: str) -> Collection[str]:
        """Return the objects in a folder; see ``OutputStore``."""
        try:
            with _translated(uri):
                pages = obstore.list(self._store_of(uri), folder)
                return [entry["path"].rpartition("/")[2] for page in pages for entry in page]
        except OutputError:  # whoever may write need not be allowed to list
            return ()

    def _store_of(self, uri: str) -> S3Store:
        return s3_store(f"s3{uri[2:]}", endpoint=self._endpoint, environ=self._environ)


def _is_name(part: str) -> bool:
    return part not in ("", ".", "..")


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Translate obstore's errors; their own text, which has addresses, goes no further."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as exc:
        raise OutputError(f"{uri}: {_DENIED}") from exc
    except FileNotFoundError as exc:
        raise OutputError(f"{uri}: there is no such bucket") from exc
    except (BaseError, OSError) as exc:
        raise _refused(uri, exc) from exc


def _refused(uri: str, error: Exception) -> OutputError | UnavailableError:
    """Tell what will not change from what may pass."""
    status = status_of(str(error))
    if status is None or may_pass(status):
        return UnavailableError(f"{uri}: the store does not answer")
    if status in ("401", "403"):
        return OutputError(f"{uri}: {_DENIED}")
    return OutputError(f"{uri}: the store refuses to answer: status {status}")

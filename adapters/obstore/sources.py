"""Sources in S3 and what speaks like it, through obstore.

``s3://bucket/key`` names an object, ``s3://bucket/folder/`` all below it, and ``*`` and ``**`` are
wildcards as on local disk: within one name, and any number of folders. ``?`` and ``[`` mean
themselves. Names that begin with a dot are passed over unless the pattern's name does too.

A listing in which a key has an empty name in it (``a//b``) is refused with that key: obstore cannot
read it, and leaving it out would give a wrong answer. An object without content is never
asked for: it may be a folder that a console has marked.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from adapters.obstore.s3_config import s3_client, s3_config
from adapters.obstore.s3_private import REFUSED, PrivatePrefix
from adapters.obstore.status import may_pass, status_of
from adapters.obstore.wanted import Wanted
from engine.entries import Entries
from engine.errors import SourceChangedError, SourceError, UnavailableError
from engine.source.choice import FileChoice
from engine.source.deadline import check_deadline
from engine.source.file import SourceFile
from engine.source.ranges import RangeFile
from engine.source.uri import refusal, shown

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

PAGE_OBJECTS: Final = 1_000
GIVE_UP_S: Final = 30.0
_URI: Final = re.compile(r"s3://([^/]*)/?(.*)", re.IGNORECASE | re.DOTALL)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_EMPTY: Final = '"d41d8cd98f00b204e9800998ecf8427e"'
# Asked by obstore, as the last resort, for the role of the machine.
_MACHINE_ROLE: Final = "http://169.254.169.254/latest/"
_BAD_KEY: Final = re.compile(r'\bPath "(.+?)"(?: contained|:)')


class ObstoreSources:
    """Implements ``engine.source.store.SourceStore`` for ``s3://``.

    Args:
        endpoint: Address of an S3-compatible store, with the bucket in the path; AWS if None.
        environ: Where the standard AWS variables for keys and region are; obstore finds roles
            of the machine by itself. An endpoint without keys is asked anonymously.
        give_up_s: For how long a request is repeated while the store does not answer.
        private: ``s3://bucket/prefix`` that the service keeps for itself; no job reads it.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        environ: Mapping[str, str] = os.environ,
        give_up_s: float = GIVE_UP_S,
        private: str | None = None,
    ) -> None:
        self._private = PrivatePrefix.of(private)
        self._endpoint = endpoint
        self._give_up_s = give_up_s
        self._environ = environ
        self._buckets: dict[str, S3Store] = {}

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        """Yield the objects of *uri* page by page, in the order of their keys.

        Raises:
            SourceError: It names no object, or one that may not be read.
            UnavailableError: The store does not answer within 30 s.
        """
        bucket, key = self._allowed(uri)
        if key and not key.endswith("/") and "*" not in key:
            yield self._stat(uri, bucket, key)
            return
        wanted = Wanted.of(key)
        is_found = False
        for entry in self._chosen(uri, bucket, wanted, choice):
            is_found = True
            yield _file_of(bucket, entry)
        if not is_found and not (choice and any(self._listed(uri, bucket, wanted, wanted.folder))):
            raise _nothing(uri, key)

    def list_entries(self, uri: str) -> Iterator[Entries]:
        """Yield the same objects by the page; see ``EntryStore``.

        Raises:
            SourceError: As ``list_files``.
            UnavailableError: As ``list_files``.
        """
        bucket, key = self._allowed(uri)
        if key and not key.endswith("/") and "*" not in key:
            meta = self._head(uri, bucket, key)
            yield _entries(bucket, [meta])
            return
        wanted = Wanted.of(key)
        is_found = False
        for page in self._pages(uri, bucket, wanted, wanted.folder):
            is_found = True
            yield _entries(bucket, page)
        if not is_found:
            raise _nothing(uri, key)

    def stat_file(self, path: str) -> SourceFile:
        """Return one object; see ``SourceStore``."""
        bucket, key = self._allowed(path)
        if not key:
            raise refusal(path, "names no object")
        return self._stat(path, bucket, key)

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        """Open an object; every read asks for the same version of it."""
        bucket, key = self._allowed(path)
        if version == _EMPTY:
            return io.BytesIO()
        store = self._store(bucket)
        condition: GetOptions = {"if_match": version} if version else {}
        with _translated(path, is_planned=True):
            meta = obstore.get(store, key, options={**condition, "head": True}).meta
        # Where no version is asked for, the one that is opened is the one that is read.
        if not version and meta["e_tag"]:
            condition = {"if_match": meta["e_tag"]}

        def fetch(start: int, end: int) -> bytes:
            options: GetOptions = {**condition, "range": (start, end)}
            with _translated(path, is_planned=True):
                data = bytes(obstore.get(store, key, options=options).bytes())
            if len(data) != end - start:
                raise UnavailableError(f"{path}: {len(data)} bytes came for {end - start}")
            return data

        return cast("BinaryIO", RangeFile(fetch, meta["size"]))

    def name_of(self, path: str) -> str:
        """Return *path*: it is what callers wrote."""
        return path

    def local_path(self, path: str) -> str | None:
        """Return None."""
        return None

    def _allowed(self, uri: str) -> tuple[str, str]:
        """Return bucket and key of what a job may read."""
        bucket, key = _parsed(uri)
        if self._private is not None and self._private.is_reached(bucket, key):
            raise refusal(uri, REFUSED)
        return bucket, key

    def _stat(self, uri: str, bucket: str, key: str) -> SourceFile:
        return _file_of(bucket, self._head(uri, bucket, key))

    def _head(self, uri: str, bucket: str, key: str) -> ObjectMeta:
        with _translated(uri):
            return obstore.head(self._store(bucket), key)

    def _chosen(
        self, uri: str, bucket: str, wanted: Wanted, choice: FileChoice | None
    ) -> Iterator[ObjectMeta]:
        folder = wanted.folder
        if choice is None:
            yield from self._listed(uri, bucket, wanted, folder)
        elif choice.folders([_name_of(bucket, folder)]):
            yield from self._chosen_below(uri, bucket, wanted, choice, folder)

    def _chosen_below(
        self, uri: str, bucket: str, wanted: Wanted, choice: FileChoice, folder: str | None
    ) -> Iterator[ObjectMeta]:
        """Yield the objects below *folder*, going into folders of it only as they are chosen.

        Folders are asked for only as long as there are some called ``name=value`` that may be left
        out: elsewhere, pages of a thousand objects cost fewer requests.
        """
        if not choice.is_open(_name_of(bucket, folder)):
            yield from self._listed(uri, bucket, wanted, folder)
            return
        with _translated(uri):
            listing = obstore.list_with_delimiter(self._store(bucket), folder)
        inner = {_name_of(bucket, path): path for path in listing["common_prefixes"]}
        if not any("=" in path.rpartition("/")[2] for path in inner.values()):
            yield from self._listed(uri, bucket, wanted, folder)
            return
        found: dict[str, ObjectMeta | None] = {
            entry["path"]: entry
            for entry in listing["objects"]
            if entry["path"] != folder and wanted.matches(entry["path"])
        }
        for name in choice.folders([name for name in inner if wanted.may_hold(inner[name])]):
            found[f"{inner[name]}/"] = None
        for path, entry in sorted(found.items()):
            if entry is None:
                yield from self._chosen_below(uri, bucket, wanted, choice, path[:-1])
            else:
                yield entry

    def _listed(
        self, uri: str, bucket: str, wanted: Wanted, folder: str | None
    ) -> Iterator[ObjectMeta]:
        for page in self._pages(uri, bucket, wanted, folder):
            yield from page

    def _pages(
        self, uri: str, bucket: str, wanted: Wanted, folder: str | None
    ) -> Iterator[list[ObjectMeta]]:
        """Yield the objects below *folder* that are wanted, page by page, none of them empty."""
        last: list[ObjectMeta] = []  # of the page before, as long as it may be the mark of a folder
        with _translated(uri):
            pages = obstore.list(
                self._store(bucket),
                folder,
                offset=wanted.offset if folder == wanted.folder else None,
                chunk_size=PAGE_OBJECTS,
            )
            for page in pages:
                check_deadline()
                found = _without_marks([*last, *page])
                found, last = found[:-1], found[-1:]
                if chosen := wanted.chosen(found):
                    yield chosen
                if wanted.is_passed(page[-1]["path"]):
                    break
            if chosen := wanted.chosen(last):
                yield chosen

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._buckets:
            self._buckets[bucket] = self._new_store(bucket)
        return self._buckets[bucket]

    def _new_store(self, bucket: str) -> S3Store:
        config = s3_config(self._environ, endpoint=self._endpoint)
        if self._endpoint is not None and "access_key_id" not in config:
            config["skip_signature"] = True
        return S3Store(
            bucket,
            config=config,
            client_options=s3_client(
                endpoint=self._endpoint,
                connect_s=min(5.0, self._give_up_s),
                timeout_s=self._give_up_s * 2 / 3,
            ),
            retry_config={
                "max_retries": 6,
                # The last repetition may begin now and take as long as one request may.
                "retry_timeout": timedelta(seconds=self._give_up_s / 3),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=3),
                    "base": 2,
                },
            },
        )


def _parsed(uri: str) -> tuple[str, str]:
    found = _URI.fullmatch(uri)
    if found is None or not _BUCKET.fullmatch(found[1]):
        raise refusal(uri, "expected s3://bucket/key")
    bucket, key = found[1], found[2]
    if any(name in ("", ".", "..") for name in key.rstrip("/").split("/")) and key:
        raise refusal(uri, "a key with an empty name, '.' or '..' cannot be read")
    if "\0" in key:
        raise refusal(uri, "a NUL byte is not allowed in a key")
    return bucket, key


def _name_of(bucket: str, folder: str | None) -> str:
    return f"s3://{bucket}/{folder}/" if folder else f"s3://{bucket}/"


def _without_marks(page: list[ObjectMeta]) -> list[ObjectMeta]:
    """Leave out the marks of folders: they have no slash any more, and come before what is in."""
    keys = [entry["path"] for entry in page]
    if not any(map(str.startswith, keys[1:], keys)):
        return page
    marks = {key for key, inner in pairwise(keys) if inner.startswith(f"{key}/")}
    return [entry for entry in page if entry["path"] not in marks]


def _entries(bucket: str, page: list[ObjectMeta]) -> Entries:
    root = f"s3://{bucket}/"
    return Entries(
        uris=[root + entry["path"] for entry in page],
        sizes=[entry["size"] for entry in page],
        etags=[(entry["e_tag"] or "").strip('"') or None for entry in page],
        modified_ms=[_modified_ms(entry) for entry in page],
    )


def _modified_ms(entry: ObjectMeta) -> int:
    return round(entry["last_modified"].timestamp() * 1000)


def _nothing(uri: str, key: str) -> SourceError:
    return refusal(uri, "matches no object" if "*" in key else "holds no objects")


def _file_of(bucket: str, entry: ObjectMeta) -> SourceFile:
    return SourceFile(
        path=f"s3://{bucket}/{entry['path']}",
        size_bytes=entry["size"],
        version=entry["e_tag"] or "",
        modified_ms=_modified_ms(entry),
    )


@contextmanager
def _translated(uri: str, *, is_planned: bool = False) -> Iterator[None]:
    """Translate obstore's errors; their own text, which has addresses, goes no further."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as exc:
        if is_planned:
            message = f"{uri}: was deleted after the job was planned"
            raise SourceChangedError(message, location=uri) from exc
        raise refusal(uri, "no such object or bucket") from exc
    except PreconditionError as exc:
        message = f"{uri}: was changed after the job was planned"
        raise SourceChangedError(message, location=uri) from exc
    except (PermissionDeniedError, UnauthenticatedError) as exc:
        raise refusal(uri, "access denied") from exc
    except InvalidPathError as exc:
        raise refusal(uri, _unreadable(str(exc))) from exc
    except (BaseError, OSError) as exc:
        raise _refused(uri, exc) from exc


def _unreadable(text: str) -> str:
    """Tell which key of a listing *text*, that of an ``InvalidPathError``, is about."""
    found = _BAD_KEY.search(text)
    key = f"the key {shown(found[1])}" if found else "a key"
    return f"holds {key}; an empty name, '.' or '..' in a key cannot be read"


def _refused(uri: str, error: Exception) -> SourceError | UnavailableError:
    """Tell what will not change from what may pass."""
    text = str(error)
    if _MACHINE_ROLE in text:
        return refusal(uri, "there are no credentials for S3; set AWS_ACCESS_KEY_ID")
    status = status_of(text)
    if status is None or may_pass(status):
        return UnavailableError(f"{uri}: the store does not answer")
    if "<Code>NoSuchBucket</Code>" in text:
        return refusal(uri, "no such bucket")
    if status in ("401", "403"):
        return refusal(uri, "access denied")
    if status.startswith("3"):
        return refusal(uri, "the bucket is in another region; set AWS_REGION")
    return refusal(uri, f"the store refuses to answer: status {status}")

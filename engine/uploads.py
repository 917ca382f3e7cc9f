"""Uploads: files that callers send for a job to read.

An upload is a blob ``uploads/<tenant>/<id>/<file name>``. The id tells when it was made and cannot
be guessed; the tenant is part of the name, so that nobody else's id leads anywhere.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NewType

from engine.blobs import BlobStore

UploadId = NewType("UploadId", str)

FOLDER: Final = "uploads"
UNFINISHED: Final = "upload-"
MAX_FILE_NAME: Final = 100
_ID: Final = re.compile(r"u-([0-9a-f]{11})[0-9a-f]{32}")
_PLAIN_TENANT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def new_upload_id(*, now_ms: int) -> UploadId:
    """Return a fresh id: ``u-``, the time in milliseconds, and 128 random bits, all in hex."""
    return UploadId(f"u-{now_ms:011x}{secrets.token_hex(16)}")


def upload_id_from(text: str) -> UploadId | None:
    """Return *text* as an upload's id; None when no upload can have it."""
    return UploadId(text) if _ID.fullmatch(text) else None


def upload_name(tenant: str, upload: UploadId, file_name: str) -> str:
    """Return the blob of an upload."""
    return f"{upload_folder(tenant, upload)}/{safe_file_name(file_name)}"


def upload_folder(tenant: str, upload: UploadId) -> str:
    """Return the folder that holds the blob of an upload and nothing else."""
    # A dot is in no plain name, so that no tenant can be called like another one's digest.
    plain = _PLAIN_TENANT.fullmatch(tenant)
    folder = tenant if plain else f"sha256.{sha256(tenant.encode()).hexdigest()}"
    return f"{FOLDER}/{folder}/{upload}"


def safe_file_name(file_name: str) -> str:
    """Return a name that means nothing to a file system, with the end, which tells the format."""
    last = file_name.replace("\\", "/").rpartition("/")[2]
    return _UNSAFE.sub("_", last)[-MAX_FILE_NAME:].lstrip(".") or "file"


def find_upload(blobs: BlobStore, tenant: str, upload: UploadId) -> str | None:
    """Return the blob of a finished upload; None if it was never sent, or is another's.

    Raises:
        UnavailableError: The store does not answer.
    """
    return next(iter(blobs.list(upload_folder(tenant, upload))), None)


def expired_uploads(blobs: BlobStore, *, now_ms: int, keep_s: float) -> Iterator[str]:
    """Yield the blobs of uploads that were made more than *keep_s* ago.

    Raises:
        UnavailableError: The store does not answer.
    """
    for name in blobs.list(FOLDER):
        parts = name.split("/")
        found = _ID.fullmatch(parts[2]) if len(parts) == 4 else None
        if found is not None and int(found[1], 16) < now_ms - keep_s * 1000:
            yield name


def unfinished_uploads(folder: Path, *, now_s: float, keep_s: float) -> Iterator[Path]:
    """Yield the folders of uploads to which nothing has been written for *keep_s*.

    Args:
        folder: Where they come in, each in a folder ``upload-*`` of its own.
        now_s: The time in seconds since 1970.
        keep_s: For longer than that no upload rests that is still coming.
    """
    for found in folder.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # it has just come to its end
            written_s = max(path.stat().st_mtime for path in (found, *found.iterdir()))
            if written_s < now_s - keep_s:
                yield found

"""Making a place to upload a file to, and finding what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.errors import InputError, Issue
from engine.signing import Grant
from engine.source.file import SourceFile
from engine.source.sources import BLOB_PREFIX
from engine.uploads import UploadId, find_upload, new_upload_id, upload_id_from, upload_name
from resolvers.access.authorize import require
from resolvers.access.caller import Caller, Scope
from resolvers.services import Services

EXPIRES_S: Final = 3_600
MAX_FIELD_LENGTH: Final = 200
PATH: Final = "/uploads/"


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A place to send a file to.

    Attributes:
        id: Names the file as a job's source, once it was sent.
        url: Where to PUT it.
        expires_at: Until when.
    """

    id: UploadId
    url: str
    expires_at: datetime


def create_upload(
    services: Services,
    *,
    caller: Caller,
    file_name: str,
    content_type: str | None,
    base_url: str,
) -> NewUpload:
    """Make a place for one file; blocks no longer than a signature takes.

    Args:
        services: What this process works with.
        caller: Who will send the file.
        file_name: What the caller calls it; its end tells the format.
        content_type: As the caller's program knows it; only looked at.
        base_url: Address of this service, for stores that take no uploads themselves.

    Raises:
        ForbiddenError: The caller may not submit.
        InputError: The name or the type is none.
    """
    require(caller, Scope.SUBMIT)
    issues = [*_issues("fileName", file_name)]
    if content_type is not None:
        issues += _issues("contentType", content_type)
    if issues:
        raise InputError(*issues)
    now_s = time.time()
    upload = new_upload_id(now_ms=int(now_s * 1000))
    name = upload_name(caller.tenant, upload, file_name)
    expires_s = int(now_s) + EXPIRES_S
    url = services.blobs.presigned_url(name, method="PUT", expires_s=EXPIRES_S)
    if url is None:
        token = services.signer.sign(Grant("PUT", caller.tenant, name, expires_s))
        url = base_url.rstrip("/") + PATH + token
    return NewUpload(upload, url, datetime.fromtimestamp(expires_s, UTC))


def resolve_upload(services: Services, caller: Caller, upload_id: str) -> SourceFile:
    """Return the file of an upload of the caller's; blocks.

    Raises:
        InputError: There is none, it was not sent yet, or it is another tenant's: all the same.
        UnavailableError: The blob store does not answer.
    """
    upload = upload_id_from(upload_id)
    name = find_upload(services.blobs, caller.tenant, upload) if upload else None
    if name is None:
        path = ("input", "source", "upload", "id")
        raise InputError(Issue(path, f"no upload {upload_id[:64]!r}, or no file was sent to it"))
    return services.sources.stat_file(BLOB_PREFIX + name)


def _issues(field: str, text: str) -> list[Issue]:
    if 0 < len(text) <= MAX_FIELD_LENGTH and text.isprintable():
        return []
    message = f"must be 1 to {MAX_FIELD_LENGTH} characters that can be printed"
    return [Issue(("input", field), message)]

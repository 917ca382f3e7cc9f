"""Uploads: their names, who finds them, and when they end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.uploads import (
    MAX_FILE_NAME,
    expired_uploads,
    find_upload,
    new_upload_id,
    safe_file_name,
    upload_id_from,
    upload_name,
)

HOUR_MS = 3_600_000
NOW_MS = 1_769_860_800_000


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("a.csv.gz", "a.csv.gz"),
        ("my file (1).csv", "my_file_1_.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a.csv", "a.csv"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("", "file"),
        ("a/", "file"),
        ("a\0b\n.csv", "a_b_.csv"),
        ("größe.csv", "gr_e.csv"),
        ("x" * 200 + ".csv", "x" * (MAX_FILE_NAME - 4) + ".csv"),
    ],
)
def test_a_file_name_is_made_safe_and_keeps_its_end(file_name: str, expected: str) -> None:
    assert safe_file_name(file_name) == expected


@given(tenant=st.text(), file_name=st.text())
def test_the_name_of_an_upload_stays_below_its_folder(tenant: str, file_name: str) -> None:
    upload = new_upload_id(now_ms=NOW_MS)

    parts = upload_name(tenant.encode(errors="replace").decode(), upload, file_name).split("/")

    assert (len(parts), parts[0], parts[2]) == (4, "uploads", upload)
    assert all(part.isascii() and part.strip(".") for part in parts)


def test_an_id_is_known_for_one() -> None:
    upload = new_upload_id(now_ms=NOW_MS)

    assert upload_id_from(upload) == upload
    for other in (
        "",
        "u-",
        upload[:-1],
        upload + "0",
        upload.upper(),
        f"{upload}\n",
        "j-" + upload,
    ):
        assert upload_id_from(other) is None


def test_an_upload_is_found_by_its_tenant_alone(tmp_path: Path) -> None:
    blobs = ObstoreBlobs.local(tmp_path)
    upload = new_upload_id(now_ms=NOW_MS)
    name = upload_name("acme", upload, "a.csv")
    assert find_upload(blobs, "acme", upload) is None

    blobs.put(name, b"a")

    assert find_upload(blobs, "acme", upload) == name
    assert find_upload(blobs, "other", upload) is None
    assert find_upload(blobs, "acme/../acme", upload) is None


def test_uploads_expire_by_the_time_in_their_id(tmp_path: Path) -> None:
    blobs = ObstoreBlobs.local(tmp_path)
    old = upload_name("acme", new_upload_id(now_ms=NOW_MS - 3 * HOUR_MS), "a.csv")
    new = upload_name("acme", new_upload_id(now_ms=NOW_MS - HOUR_MS), "b.csv")
    for name in (old, new, "uploads/README", "jobs/j-1/result/r"):
        blobs.put(name, b"")

    assert list(expired_uploads(blobs, now_ms=NOW_MS, keep_s=2 * 3600)) == [old]

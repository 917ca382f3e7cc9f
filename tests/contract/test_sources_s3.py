"""Sources in S3: against MiniStack for what is found and read, a stand-in for what goes wrong."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.obstore.blobs import ObstoreBlobs
from adapters.obstore.sources import ObstoreSources
from engine.entries import Entries
from engine.errors import SourceChangedError, SourceError, UnavailableError
from engine.source.file import SourceFile
from engine.source.hive import hive_columns
from engine.source.ranges import FIRST_BYTES, MOST_BYTES
from tests.support.ministack import ENVIRON, MiniStack
from tests.support.s3_stand_in import (
    CONTENT,
    ETAG,
    StandIn,
    no_fault,
    s3_stand_in,
    stalled,
    status,
    truncated,
)

ROOT = Path(__file__).parents[2]
KEYS = [
    "data/.hidden/e.csv",
    "data/2024-01.csv",
    "data/2024-02.csv",
    "data/2025-01.csv",
    "data/a b+c%20d.csv",
    "data/br[1]?.txt",
    "data/day=1/part-0.csv",
    "data/day=2/deep/part-0.csv",
    "data/ü#.txt",
    "data2/z.csv",
    "top.csv",
]


@pytest.fixture(scope="module")
def ministack(s3_endpoint: str) -> MiniStack:
    stack = MiniStack(s3_endpoint)
    for bucket in ("files", "empty", "scratch"):
        stack.create_bucket(bucket)
    for key in KEYS:
        stack.put("files", key, f"content of {key}\n".encode())
    stack.mark_folder("files", "data/day=1")
    return stack


@pytest.fixture
def s3(ministack: MiniStack) -> ObstoreSources:
    return ObstoreSources(endpoint=ministack.endpoint, environ=ENVIRON)


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with s3_stand_in() as state:
        yield state


def of(stand_in: StandIn, *, give_up_s: float = 5) -> ObstoreSources:
    return ObstoreSources(endpoint=stand_in.endpoint, environ=ENVIRON, give_up_s=give_up_s)


def keys(s3: ObstoreSources, uri: str) -> list[str]:
    return [file.path.removeprefix("s3://files/") for file in s3.list_files(uri)]


# ------------------------------------------------------------------ what is found


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("top.csv", ["top.csv"]),
        ("data/a b+c%20d.csv", ["data/a b+c%20d.csv"]),
        ("data/br[1]?.txt", ["data/br[1]?.txt"]),
        ("data/ü#.txt", ["data/ü#.txt"]),
        ("data/2024-*", ["data/2024-01.csv", "data/2024-02.csv"]),
        ("data/202*-01.csv", ["data/2024-01.csv", "data/2025-01.csv"]),
        ("data/br[1]?*", ["data/br[1]?.txt"]),
        ("data/day=*/*.csv", ["data/day=1/part-0.csv"]),
        ("data/**/part-0.csv", ["data/day=1/part-0.csv", "data/day=2/deep/part-0.csv"]),
        ("data/day=2/", ["data/day=2/deep/part-0.csv"]),
        ("data/day*/", ["data/day=1/part-0.csv", "data/day=2/deep/part-0.csv"]),
        ("data*/z.csv", ["data2/z.csv"]),
        ("*.csv", ["top.csv"]),
        ("data/.hidden/", ["data/.hidden/e.csv"]),
        ("data/", [key for key in KEYS if key.startswith("data/") and "hidden" not in key]),
        ("**", [key for key in KEYS if "hidden" not in key]),
        ("", [key for key in KEYS if "hidden" not in key]),
    ],
)
def test_keys_prefixes_and_wildcards_name_objects_in_order(
    s3: ObstoreSources, pattern: str, expected: list[str]
) -> None:
    assert keys(s3, f"s3://files/{pattern}") == expected


def test_a_bucket_alone_means_all_that_is_in_it(s3: ObstoreSources) -> None:
    assert keys(s3, "s3://files") == keys(s3, "s3://files/**")


def test_a_listed_object_has_length_version_and_time(
    s3: ObstoreSources, ministack: MiniStack
) -> None:
    etag = ministack.put("scratch", "facts.txt", b"12345")

    (listed,) = s3.list_files("s3://scratch/facts*")

    assert (listed.path, listed.size_bytes) == ("s3://scratch/facts.txt", 5)
    assert listed.version.strip('"') == etag.strip('"')
    assert listed.modified_ms
    found = s3.stat_file("s3://scratch/facts.txt")
    assert (found.path, found.size_bytes, found.version) == (listed.path, 5, listed.version)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://files/missing.csv", "no such object or bucket"),
        ("s3://files/missing/", "holds no objects"),
        ("s3://files/*.parquet", "matches no object"),
        ("s3://empty", "holds no objects"),
        ("s3://nobody/", "no such bucket"),
        ("s3://nobody/a.csv", "no such object or bucket"),
        ("s3:///a.csv", "expected s3://bucket/key"),
        ("s3://b?a/a.csv", "expected s3://bucket/key"),
        ("s3://files/a//b", "empty name"),
        ("s3://files/../b", "'..' cannot be read"),
        ("s3://files/a\0b", "NUL byte"),
    ],
)
def test_what_names_no_object_is_refused_with_its_place(
    s3: ObstoreSources, uri: str, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        list(s3.list_files(uri))
    assert caught.value.location == (uri if uri.isprintable() else ascii(uri))
    assert not caught.value.retryable


def test_a_hundred_thousand_objects_are_listed_in_little_memory(stand_in: StandIn) -> None:
    stand_in.objects = 100_000
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from adapters.obstore.sources import ObstoreSources\n"
        "files = ObstoreSources(endpoint=sys.argv[1], environ={}).list_files('s3://bucket/')\n"
        "size = sum(file.size_bytes for file in files)\n"
        # Not getrusage, which still counts what the parent had before the exec.
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(size, next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program, stand_in.endpoint],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    size, peak_kib = map(int, shown.split())
    assert size == 100_000 * 100_001 // 2
    assert peak_kib < 300 * 1024


@pytest.mark.parametrize(
    "uri",
    ["", "**", "data/", "data/**", "data/.hidden/", "data/day*/", "data/202*-01.csv", "top.csv"],
)
def test_entries_are_the_files_by_the_page(s3: ObstoreSources, uri: str) -> None:
    files = list(s3.list_files(f"s3://files/{uri}"))

    entries = Entries.joined(s3.list_entries(f"s3://files/{uri}"))

    assert entries.uris == [file.path for file in files]
    assert entries.sizes == [file.size_bytes for file in files]
    assert entries.etags == [file.version.strip('"') for file in files]
    assert entries.modified_ms == [file.modified_ms for file in files]


def test_no_entry_is_lost_or_doubled_between_pages(stand_in: StandIn) -> None:
    stand_in.objects = 2_500

    pages = list(of(stand_in).list_entries("s3://bucket/"))

    assert sum(map(len, pages)) == 2_500
    assert Entries.joined(pages).sizes == list(range(1, 2_501))


@pytest.mark.parametrize("uri", ["missing.csv", "missing/", "*.parquet"])
def test_no_entries_are_refused_as_no_files_are(s3: ObstoreSources, uri: str) -> None:
    with pytest.raises(SourceError) as of_files:
        list(s3.list_files(f"s3://files/{uri}"))

    with pytest.raises(SourceError, match=re.escape(str(of_files.value))):
        list(s3.list_entries(f"s3://files/{uri}"))


def test_the_first_object_needs_no_more_than_its_page(stand_in: StandIn) -> None:
    stand_in.objects = 100_000

    next(of(stand_in).list_files("s3://bucket/"))

    assert len(stand_in.requests) <= 3


def test_what_comes_before_a_wildcard_is_left_to_the_store(stand_in: StandIn) -> None:
    next(of(stand_in).list_files("s3://bucket/logs/2024/0*.csv"))

    assert "prefix=logs%2F2024%2F" in stand_in.requests[0]
    assert "start-after=logs%2F2024%2F.%7E" in stand_in.requests[0]


@pytest.mark.parametrize("key", ["odd/x//b.csv", "odd/x/../b.csv", "odd/x/./b.csv"])
def test_a_listing_with_a_key_that_cannot_be_read_is_refused_by_its_name(
    s3: ObstoreSources, ministack: MiniStack, key: str
) -> None:
    bucket = f"odd-{len(key)}-{key.count('.')}"
    ministack.create_bucket(bucket)
    ministack.put(bucket, "odd/a.csv", b"content")
    ministack.put_raw(bucket, key)

    with pytest.raises(SourceError, match=re.escape(f"{bucket}/odd/: holds the key {key};")):
        list(s3.list_files(f"s3://{bucket}/odd/"))


# ------------------------------------------------------------------ folders that are left out


@dataclass
class Years:
    """A choice of folders: some years.

    Attributes:
        wanted: The years.
        asked: Folders that it was asked for.
    """

    wanted: set[int]
    asked: list[str] = field(default_factory=list)

    def files(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        return (file for file in files if self._may_be(file.path))

    def folders(self, names: Sequence[str]) -> list[str]:
        self.asked += names
        return [name for name in names if self._may_be(name)]

    def is_open(self, folder: str) -> bool:
        return "year" not in hive_columns(folder)

    def _may_be(self, name: str) -> bool:
        columns = hive_columns(name)
        return "year" not in columns or columns["year"] in self.wanted


@pytest.fixture(scope="module")
def by_year(ministack: MiniStack) -> list[str]:
    """A bucket with folders of years, one of which holds a key that breaks any listing of it."""
    ministack.create_bucket("years")
    keys = [f"t/year={year}/m={m}/{n}.csv" for year in (2024, 2026) for m in (1, 2) for n in "ab"]
    keys += ["t/loose.csv", "t/zone/year=2026/c.csv", "other/a.csv"]
    for key in keys:
        ministack.put("years", key, b"content")
    ministack.mark_folder("years", "t/year=2026")
    ministack.put_raw("years", "t/year=2025//broken.csv")
    return sorted(keys)


@pytest.mark.parametrize("uri", ["t/", "t/**", "t/*/**/*.csv", "t/year=20*/", "t/year=202*/m=1/*"])
def test_folders_that_are_left_out_are_never_listed(
    s3: ObstoreSources, by_year: list[str], uri: str
) -> None:
    choice = Years({2024, 2026})
    pattern = {"t/": "t/.*", "t/**": "t/.*", "t/*/**/*.csv": "t/.*/.*", "t/year=20*/": "t/year.*"}
    wanted = re.compile(pattern.get(uri, "t/year=.*/m=1/.*")).fullmatch

    found = [file.path for file in s3.list_files(f"s3://years/{uri}", choice=choice)]

    assert found == [f"s3://years/{key}" for key in by_year if wanted(key)]
    assert "s3://years/t/year=2025/" in choice.asked
    with pytest.raises(SourceError, match="cannot be read"):
        list(s3.list_files(f"s3://years/{uri}"))


def test_a_folder_that_is_itself_left_out_gives_nothing_and_no_error(
    s3: ObstoreSources, by_year: list[str]
) -> None:
    assert list(s3.list_files("s3://years/t/year=2024/", choice=Years({2026}))) == []
    assert list(s3.list_files("s3://years/t/year=2024/m=1/*.csv", choice=Years({2026}))) == []
    with pytest.raises(SourceError, match="matches no object"):
        list(s3.list_files("s3://years/t/year=2024/*.txt", choice=Years({2026})))


def test_folders_without_values_are_listed_page_by_page(stand_in: StandIn) -> None:
    stand_in.objects = 2_500

    found = list(of(stand_in).list_files("s3://bucket/logs/", choice=Years({2026})))

    assert len(found) == 2_500


# ------------------------------------------------------------------ reading


def large(ministack: MiniStack, key: str) -> bytes:
    content = os.urandom(1024) * (9 * 1024)
    ministack.put("scratch", key, content)
    return content


def test_an_object_can_be_read_anywhere(s3: ObstoreSources, ministack: MiniStack) -> None:
    content = large(ministack, "large")

    with s3.open_file("s3://scratch/large") as stream:
        assert stream.read(10) == content[:10]
        assert stream.seek(-5, io.SEEK_END) == len(content) - 5
        assert stream.read() == content[-5:]
        assert stream.read(1) == b""
        stream.seek(MOST_BYTES - 7)
        assert stream.read(MOST_BYTES) == content[MOST_BYTES - 7 : 2 * MOST_BYTES - 7]
        stream.seek(0)
        assert stream.read() == content


def test_whoever_reads_on_gets_large_blocks(stand_in: StandIn) -> None:
    with of(stand_in).open_file("s3://bucket/a") as stream:
        data = b"".join(iter(lambda: stream.read(1000), b""))

    assert data == CONTENT
    assert len(stand_in.requests) == 1 + -(-len(CONTENT) // FIRST_BYTES)


def test_the_readers_of_python_and_arrow_work_on_it(
    s3: ObstoreSources, ministack: MiniStack
) -> None:
    table = pa.table({"a": list(range(1000)), "b": [str(i) for i in range(1000)]})
    parquet = io.BytesIO()
    pq.write_table(table, parquet, row_group_size=100)
    ministack.put("scratch", "t.parquet", parquet.getvalue())
    ministack.put("scratch", "t.csv", b"".join(b"%d,x\r\n" % i for i in range(1000)))

    with s3.open_file("s3://scratch/t.parquet") as stream:
        assert pq.ParquetFile(stream).read_row_group(7, columns=["a"])["a"][0].as_py() == 700
    with s3.open_file("s3://scratch/t.csv") as stream, io.TextIOWrapper(stream, newline="") as text:
        assert [int(a) for a, _ in csv.reader(text)] == list(range(1000))
    with s3.open_file("s3://scratch/t.csv") as stream:
        assert stream.readlines()[999] == b"999,x\r\n"


def test_an_empty_object_is_not_asked_for(stand_in: StandIn) -> None:
    empty = '"d41d8cd98f00b204e9800998ecf8427e"'

    with of(stand_in).open_file("s3://bucket/marked", version=empty) as stream:
        assert stream.read() == b""

    assert stand_in.requests == []


def test_an_object_that_changed_since_it_was_listed_is_not_opened(
    s3: ObstoreSources, ministack: MiniStack
) -> None:
    ministack.put("scratch", "changing", b"before")
    (listed,) = s3.list_files("s3://scratch/changing")
    ministack.put("scratch", "changing", b"after!")

    with pytest.raises(SourceChangedError, match=r"^s3://scratch/changing: was changed"):
        s3.open_file(listed.path, version=listed.version)


def test_an_object_that_changes_while_it_is_read_is_not_read_on(
    s3: ObstoreSources, ministack: MiniStack
) -> None:
    large(ministack, "growing")
    with s3.open_file("s3://scratch/growing") as stream:
        stream.read(10)
        large(ministack, "growing")
        stream.seek(-10, io.SEEK_END)

        with pytest.raises(SourceChangedError, match="was changed"):
            stream.read()


def test_an_object_that_was_deleted_since_it_was_listed_is_told(
    s3: ObstoreSources, ministack: MiniStack
) -> None:
    ministack.put("scratch", "going", b"before")
    (listed,) = s3.list_files("s3://scratch/going")
    ministack.delete("scratch", "going")

    with pytest.raises(SourceChangedError, match="was deleted after the job was planned"):
        s3.open_file(listed.path, version=listed.version)


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("code", [500, 502, 503])
def test_an_answer_that_may_pass_is_asked_for_again(stand_in: StandIn, code: int) -> None:
    stand_in.faults = [status(code), status(code)]
    assert len(list(of(stand_in).list_files("s3://bucket/"))) == 1

    stand_in.faults = [status(code), no_fault, status(code)]
    with of(stand_in).open_file("s3://bucket/a", version=ETAG) as stream:
        assert stream.read() == CONTENT


def test_a_store_that_keeps_failing_is_unavailable_after_a_while(stand_in: StandIn) -> None:
    stand_in.faults = [status(503)] * 100

    with pytest.raises(UnavailableError, match=r"^s3://bucket/: the store does not answer$"):
        list(of(stand_in, give_up_s=1).list_files("s3://bucket/"))


def test_a_store_that_is_away_is_unavailable() -> None:
    with s3_stand_in() as gone:
        pass

    with pytest.raises(UnavailableError, match="does not answer"):
        of(gone, give_up_s=1).stat_file("s3://bucket/a")


def test_a_body_that_breaks_off_is_read_again_or_told(stand_in: StandIn) -> None:
    stand_in.faults = [no_fault, truncated]

    with of(stand_in).open_file("s3://bucket/a") as stream:
        assert stream.read() == CONTENT

    stand_in.faults = [no_fault, *[truncated] * 100]
    with of(stand_in, give_up_s=1).open_file("s3://bucket/a") as stream:
        with pytest.raises(UnavailableError):
            stream.read()


def test_a_body_that_stalls_is_given_up_in_time(stand_in: StandIn) -> None:
    stand_in.faults = [no_fault, *[stalled] * 100]
    with of(stand_in, give_up_s=1.5).open_file("s3://bucket/a") as stream:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="does not answer"):
            stream.read()

    assert time.monotonic() - began < 5


def test_denied_access_is_told_without_credentials_or_addresses(stand_in: StandIn) -> None:
    for uri in ("s3://bucket/", "s3://bucket/a"):
        stand_in.faults = [status(403, "AccessDenied")]

        with pytest.raises(SourceError, match=f"^{uri}: access denied$") as caught:
            list(of(stand_in).list_files(uri))

        assert caught.value.location == uri


def test_without_keys_an_endpoint_is_asked_anonymously(stand_in: StandIn) -> None:
    found = ObstoreSources(endpoint=stand_in.endpoint, environ={}).stat_file("s3://bucket/a")

    assert found.size_bytes == len(CONTENT)


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_plain_http_is_spoken_to_an_endpoint_that_says_so_wherever_it_is(
    stand_in: StandIn, scheme: str
) -> None:
    port = urlsplit(stand_in.endpoint).port
    endpoint = f"{scheme}://0.0.0.0:{port}"

    sources = ObstoreSources(endpoint=endpoint, environ=ENVIRON, give_up_s=5)
    blobs = ObstoreBlobs.s3("s3://bucket", endpoint, environ=ENVIRON)

    assert sources.stat_file("s3://bucket/a").size_bytes == blobs.size("a") == len(CONTENT)


def test_an_endpoint_with_tls_is_never_asked_without(stand_in: StandIn) -> None:
    secure = stand_in.endpoint.replace("http://", "https://")

    with pytest.raises(UnavailableError):
        ObstoreSources(endpoint=secure, environ=ENVIRON, give_up_s=1).stat_file("s3://bucket/a")

    assert stand_in.requests == []

"""Result files: the same rows in every format, whoever wrote them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Piece
from engine.blobs import BlobStore
from engine.errors import InputError, NotFoundError, OutputError
from engine.jsonvalue import decode
from engine.output.write import write_arrow, write_query, write_rows
from engine.result import START, Cursor, Manifest, inline_rows, read_all, read_page
from engine.spec import DataFormat

Rows = list[dict[str, Any]]
FORMATS = [DataFormat.JSONL, DataFormat.CSV, DataFormat.PARQUET]

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT
NESTED = st.recursive(
    SCALAR | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
COLUMN = st.sampled_from(
    [
        TEXT | st.none(),
        st.booleans() | st.none(),
        st.integers(-(2**63), 2**64 - 1) | st.none(),
        st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False),
        st.lists(NESTED, max_size=2),
        st.dictionaries(TEXT, NESTED, max_size=2),
        st.none(),
        NESTED,
    ]
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def blobs(folder: Path) -> BlobStore:
    return ObstoreBlobs.local(folder / "blobs")


@pytest.fixture
def scratch(folder: Path) -> Path:
    (folder / "scratch").mkdir()
    return folder / "scratch"


def manifest_of(*files: Piece) -> Manifest:
    return Manifest(job="j-1", files=files, exact=True, facts={})


def paged(blobs: BlobStore, manifest: Manifest, first: int) -> Rows:
    rows: Rows = []
    after = START
    while True:
        page = read_page(blobs, manifest, first=first, after=after)
        rows += [decode(row) for _, row in page.rows]
        if not page.has_next:
            return rows
        after = Cursor.parse(str(page.rows[-1][0]))


@settings(max_examples=80)
@given(data=st.data(), names=st.lists(TEXT, unique=True, min_size=1, max_size=4))
def test_every_format_gives_back_the_rows_that_were_written(
    data: st.DataObject, names: list[str]
) -> None:
    kinds = {name: data.draw(COLUMN) for name in names}
    rows: Rows = data.draw(st.lists(st.fixed_dictionaries(kinds), max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        blobs = ObstoreBlobs.local(Path(folder) / "blobs")
        for format in FORMATS:
            piece = write_rows(
                rows, blobs=blobs, name="r", format=format, scratch=Path(folder) / "scratch"
            )

            assert piece.rows == len(rows)
            assert list(read_all(blobs, manifest_of(piece))) == rows, format
            assert paged(blobs, manifest_of(piece, piece), first=2) == rows + rows


@pytest.mark.parametrize("format", FORMATS)
def test_a_piece_tells_the_size_and_digest_of_its_blob(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    many = [{"a": n, "text": "x" * 100} for n in range(20_000)]
    for rows in ([], many[:3], many):
        piece = write_rows(rows, blobs=blobs, name="jobs/r", format=format, scratch=scratch)
        data = blobs.read(piece.name)

        assert piece.name == f"jobs/r.{format.lower()}"
        assert (piece.size_bytes, piece.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert list(read_all(blobs, manifest_of(piece))) == rows
        assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_rows_that_cannot_be_written_leave_nothing_behind(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    rows: Rows = [*({"a": "x" * 1_000} for _ in range(5_000)), {"a": {1}}]

    with pytest.raises(OutputError):
        write_rows(rows, blobs=blobs, name="r", format=format, scratch=scratch)

    assert list(scratch.iterdir()) == []
    assert list(blobs.list("")) == []


@pytest.mark.parametrize("format", [DataFormat.CSV, DataFormat.PARQUET])
def test_a_column_that_a_row_lacks_is_null(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    rows: Rows = [{"a": 1}, {"b": ""}, {}]

    piece = write_rows(rows, blobs=blobs, name="r", format=format, scratch=scratch)

    found = list(read_all(blobs, manifest_of(piece)))
    assert found == [{"a": 1, "b": None}, {"a": None, "b": ""}, {"a": None, "b": None}]


@pytest.mark.parametrize("format", FORMATS)
def test_rows_without_columns_are_counted(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    piece = write_rows([{}, {}, {}], blobs=blobs, name="r", format=format, scratch=scratch)

    assert paged(blobs, manifest_of(piece), first=2) == [{}, {}, {}]


@pytest.mark.parametrize("format", FORMATS)
def test_a_result_that_was_erased_cannot_be_found(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    piece = write_rows([{"a": 1}], blobs=blobs, name="r", format=format, scratch=scratch)
    assert list(read_all(blobs, manifest_of(piece))) == [{"a": 1}]

    blobs.delete([piece.name])

    with pytest.raises(NotFoundError):
        list(read_all(blobs, manifest_of(piece)))


TYPES = """
SELECT 170141183460469231731687303715884105::HUGEINT AS huge, 18446744073709551615::UBIGINT AS ub,
    1.50::DECIMAL(10, 2) AS price, 12::DECIMAL(5, 0) AS whole, DATE '2024-01-02' AS day,
    TIMESTAMP '2024-01-02 03:04:05.12' AS at, TIMESTAMP '2024-01-02 00:00:00' AS midnight,
    TIMESTAMPTZ '2024-01-02 03:04:05+02' AS instant, TIME '01:02:03.5' AS clock,
    TIMESTAMP_NS '2024-01-02 03:04:05.123456789' AS nano, TIMESTAMP_S '2024-01-02 03:04:05' AS sec,
    INTERVAL '1 day 2 hours' AS span, UUID '10d8de89-5792-42b8-8f4c-d726b65b1fc5' AS id,
    '\\xAA\\x01'::BLOB AS raw, 'a'::ENUM ('a', 'b') AS letter, [1, NULL, 2] AS list,
    {'a': 1, 'b': DATE '2020-01-01'} AS struct, MAP {'k': 1.5::DOUBLE} AS map,
    MAP {1: 'nan'::DOUBLE} AS counts, 'nan'::DOUBLE AS nan, '-inf'::FLOAT AS inf, 0.1::FLOAT AS f,
    [1.5, 'inf'::DOUBLE] AS floats, {'x y': 'nan'::DOUBLE, 'q''"': [{'deep': 'nan'::FLOAT}]} AS odd,
    NULL AS nothing, '{"a": [1, null]}'::JSON AS doc, [1, 2]::INTEGER[2] AS pair,
    '101'::BIT AS bits, TRUE AS yes, union_value(num := 2) AS either, '' AS empty, 'a,"b"
c' AS text, 1e300::DOUBLE AS big, DATE 'infinity' AS never, [170::HUGEINT] AS sums,
    {'at': TIMESTAMP '2024-01-02 03:04:05', 'raw': '\\x00'::BLOB} AS inside
"""
EXPECTED: dict[str, tuple[str, Any]] = {
    "huge": ("integer", 1.7014118346046923e35),
    "ub": ("integer", 2**64 - 1),
    "price": ("number", 1.5),
    "whole": ("number", 12),
    "day": ("date", "2024-01-02"),
    "at": ("timestamp", "2024-01-02T03:04:05.12"),
    "midnight": ("timestamp", "2024-01-02T00:00:00"),
    "instant": ("timestamp", "2024-01-02T01:04:05Z"),
    "clock": ("time", "01:02:03.5"),
    "nano": ("timestamp", "2024-01-02T03:04:05.123456789"),
    "sec": ("timestamp", "2024-01-02T03:04:05"),
    "span": ("string", "1 day 02:00:00"),
    "id": ("string", "10d8de89-5792-42b8-8f4c-d726b65b1fc5"),
    "raw": ("binary", "qgE="),
    "letter": ("string", "a"),
    "list": ("array", [1, None, 2]),
    "struct": ("object", {"a": 1, "b": "2020-01-01"}),
    "map": ("object", {"k": 1.5}),
    "counts": ("object", {"1": None}),
    "nan": ("number", None),
    "inf": ("number", None),
    "f": ("number", 0.1),
    "floats": ("array", [1.5, None]),
    "odd": ("object", {"x y": None, "q'\"": [{"deep": None}]}),
    "nothing": ("null", None),
    "doc": ("json", {"a": [1, None]}),
    "pair": ("array", [1, 2]),
    "bits": ("string", "101"),
    "yes": ("boolean", True),
    "either": ("string", "2"),
    "empty": ("string", ""),
    "text": ("string", 'a,"b"\nc'),
    "big": ("number", 1e300),
    "never": ("date", None),
    "sums": ("array", [170]),
    "inside": ("object", {"at": "2024-01-02T03:04:05", "raw": "AA=="}),
}


@pytest.mark.parametrize("format", FORMATS)
def test_every_type_of_a_query_is_the_same_json_in_every_format(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    with duckdb.connect() as con:
        piece = write_query(con, TYPES, {}, blobs=blobs, name="r", format=format, scratch=scratch)

    (row,) = read_all(blobs, manifest_of(piece))
    assert row == {name: value for name, (_, value) in EXPECTED.items()}
    assert piece.columns == tuple((name, kind) for name, (kind, _) in EXPECTED.items())


LONG = {
    "sum": ("46116860184273879035::HUGEINT", "46116860184273879035"),
    "least": ("-170141183460469231731687303715884105::HUGEINT", None),
    "most": ("18446744073709551615::UBIGINT", "18446744073709551615"),
    "whole": ("12345678901234567890123::DECIMAL(38, 0)", "12345678901234567890123"),
    "price": ("123456789012345678.91::DECIMAL(38, 2)", "123456789012345678.91"),
    "short": ("1234567890123456.78::DECIMAL(18, 2)", "1234567890123456.78"),
    "list": ("[123456789012345678.91::DECIMAL(38, 2)]", "[123456789012345678.91]"),
    "struct": ("{'sum': 46116860184273879035::HUGEINT}", '{"sum":46116860184273879035}'),
    "map": ("MAP {'a': 46116860184273879035::HUGEINT}", '{"a":46116860184273879035}'),
}


@pytest.mark.parametrize("format", FORMATS)
def test_numbers_that_no_float_holds_keep_their_digits_in_every_format(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    query = "SELECT " + ", ".join(f'{text} AS "{name}"' for name, (text, _) in LONG.items())
    with duckdb.connect() as con:
        piece = write_query(con, query, {}, blobs=blobs, name="r", format=format, scratch=scratch)

    shown = {name: shown or text.partition(":")[0] for name, (text, shown) in LONG.items()}
    line = "{" + ",".join(f'"{name}":{text}' for name, text in shown.items()) + "}"
    manifest = manifest_of(piece)
    assert inline_rows(blobs, manifest, limit_bytes=10_000) == f"[{line}]"
    assert [row for _, row in read_page(blobs, manifest, first=5).rows] == [line.encode()]


@pytest.mark.parametrize("format", FORMATS)
def test_null_of_every_type_is_null(blobs: BlobStore, scratch: Path, format: DataFormat) -> None:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE t AS {TYPES}")
        con.execute("INSERT INTO t (letter) VALUES (NULL)")
        query = "SELECT * FROM t OFFSET 1"
        piece = write_query(con, query, {}, blobs=blobs, name="r", format=format, scratch=scratch)

    assert list(read_all(blobs, manifest_of(piece))) == [dict.fromkeys(EXPECTED)]


@pytest.mark.parametrize("format", FORMATS)
def test_a_query_keeps_its_order_and_takes_only_its_own_parameters(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    query = "SELECT i, i AS i FROM range($n) t(i) ORDER BY hash(i) -- the end"
    with duckdb.connect(config={"threads": 1}) as con:
        expected = [{"i": i, "i_1": i} for i, _ in con.execute(query, {"n": 3_000}).fetchall()]
        piece = write_query(
            con,
            query,
            {"n": 3_000, "other": 1},
            blobs=blobs,
            name="r",
            format=format,
            scratch=scratch,
        )

    assert piece.rows == 3_000
    assert paged(blobs, manifest_of(piece), first=1_000) == expected


@pytest.mark.parametrize("format", FORMATS)
def test_a_query_without_rows_is_an_empty_result(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    with duckdb.connect() as con:
        piece = write_query(
            con,
            "SELECT 1 AS a WHERE false",
            {},
            blobs=blobs,
            name="r",
            format=format,
            scratch=scratch,
        )

    assert (piece.rows, piece.columns) == (0, (("a", "integer"),))
    assert paged(blobs, manifest_of(piece), first=5) == []
    assert inline_rows(blobs, manifest_of(piece), limit_bytes=2) == "[]"


@pytest.mark.parametrize("format", FORMATS)
def test_a_query_that_fails_leaves_nothing_behind(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    query = "SELECT CASE WHEN i > 9 THEN error('no') ELSE i END AS a FROM range(20) t(i)"
    with duckdb.connect() as con, pytest.raises(duckdb.Error):
        write_query(con, query, {}, blobs=blobs, name="r", format=format, scratch=scratch)

    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("of", [pa.Table.from_batches, pa.RecordBatchReader.from_batches])
def test_arrow_is_written_in_its_order(
    blobs: BlobStore, scratch: Path, format: DataFormat, of: Callable[..., Any]
) -> None:
    batches = [pa.record_batch({"a": [n, None], "b": [[n], []]}) for n in range(3)]
    data = of(batches) if of == pa.Table.from_batches else of(batches[0].schema, batches)

    piece = write_arrow(data, blobs=blobs, name="r", format=format, scratch=scratch)

    expected = [row for batch in batches for row in batch.to_pylist()]
    assert list(read_all(blobs, manifest_of(piece))) == expected


def test_row_groups_are_small_enough_for_a_page(blobs: BlobStore, scratch: Path) -> None:
    with duckdb.connect(config={"threads": 1}) as con:
        query = "SELECT i AS a FROM range(250_000) t(i)"
        piece = write_query(
            con, query, {}, blobs=blobs, name="r", format=DataFormat.PARQUET, scratch=scratch
        )

    path = blobs.local_path(piece.name)
    assert path is not None
    assert pq.read_metadata(path).num_row_groups >= 3
    page = read_page(blobs, manifest_of(piece), first=2, after=Cursor(0, 204_799))
    assert [(cursor, decode(row)) for cursor, row in page.rows] == [
        (Cursor(0, 204_800), {"a": 204_799}),
        (Cursor(0, 204_801), {"a": 204_800}),
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_a_page_ends_where_its_rows_become_too_long(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    rows = [{"a": "x" * length} for length in (10, 500, 5_000, 5_000, 10)]
    manifest = manifest_of(write_rows(rows, blobs=blobs, name="r", format=format, scratch=scratch))

    after, pages = START, []
    while True:
        page = read_page(blobs, manifest, first=4, after=after, limit_bytes=1_000)
        pages.append([decode(row) for _, row in page.rows])
        if not page.has_next:
            break
        after = page.rows[-1][0]

    assert pages == [rows[:2], rows[2:3], rows[3:4], rows[4:]]


@pytest.mark.parametrize("format", FORMATS)
def test_rows_are_inline_exactly_up_to_the_limit(
    blobs: BlobStore, scratch: Path, format: DataFormat
) -> None:
    rows = [{"a": n, "b": "é"} for n in range(3)]
    piece = write_rows(rows, blobs=blobs, name="r", format=format, scratch=scratch)
    text = '[{"a":0,"b":"é"},{"a":1,"b":"é"},{"a":2,"b":"é"}]'
    length = len(text.encode())

    assert inline_rows(blobs, manifest_of(piece), limit_bytes=length) == text
    assert inline_rows(blobs, manifest_of(piece), limit_bytes=length - 2) is None


def test_a_csv_cursor_into_a_row_is_refused_or_gives_rows_of_the_right_shape(
    blobs: BlobStore, scratch: Path
) -> None:
    rows = [{"a": 'x\n"y",z\n', "b": n} for n in range(4)]
    piece = write_rows(rows, blobs=blobs, name="r", format=DataFormat.CSV, scratch=scratch)

    for offset in range(piece.size_bytes + 2):
        try:
            page = read_page(blobs, manifest_of(piece), first=9, after=Cursor(0, offset))
        except InputError:
            continue
        assert all(set(decode(row)) == {"a", "b"} for _, row in page.rows)

"""Numbers that no double holds, on their way from an answer to paper; and those that cannot go."""

from __future__ import annotations

import asyncio
import io
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app.client.cells import json_line
from app.client.errors import ServiceError
from app.client.json_reading import read_exactly
from app.client.parquet import write_rows
from app.client.service import Service
from app.client.tables import csv_lines, rows_table
from tests.support.running import free_port, url_of

ROW = '{"s":46116860184273879035,"d":123456789012345678.91,"n":[{"x":0.10000000000000001}]}'


def parquet_of(*lines: str) -> list[dict[str, Any]]:
    out = io.BytesIO()
    write_rows([read_exactly(line) for line in lines], out)
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


@given(
    st.lists(
        st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.decimals(allow_nan=False, allow_infinity=False)
    )
)
def test_what_is_written_is_what_is_read(numbers: list[Any]) -> None:
    again = read_exactly(json_line(numbers))

    assert [Decimal(str(number)) for number in again] == [Decimal(str(each)) for each in numbers]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_a_float_holds_is_a_float(number: float) -> None:
    again = read_exactly(json.dumps(number))

    assert (type(again), again) == (float, number)


def test_rows_are_printed_with_every_digit() -> None:
    row = read_exactly(ROW)
    out = io.StringIO()
    Console(file=out, width=200).print(rows_table(["s", "d"], [row]))

    assert json_line(row) == ROW
    assert csv_lines(["s", "d"], [row], header=False) == (
        "46116860184273879035,123456789012345678.91\n"
    )
    assert out.getvalue().splitlines()[-1].split() == [
        "46116860184273879035",
        "123456789012345678.91",
    ]


def test_rows_are_saved_as_parquet_with_every_digit() -> None:
    first, second = parquet_of(ROW, '{"s":null,"d":0.5,"word":"a"}')

    assert first["s"] == 46116860184273879035
    assert first["d"] == Decimal("123456789012345678.91")
    assert first["n"] == '[{"x":0.10000000000000001}]'
    assert second == {"s": None, "d": Decimal("0.50"), "n": None, "word": "a"}


def test_a_column_of_numbers_and_words_is_saved_as_json() -> None:
    rows = parquet_of('{"a":12345678901234567890123}', '{"a":"b"}', '{"a":1e400}')

    assert [row["a"] for row in rows] == ["12345678901234567890123", '"b"', "1E+400"]


def test_numbers_that_no_decimal_of_parquet_holds_are_saved_as_json() -> None:
    assert parquet_of('{"a":1e400}', '{"a":1.5}') == [{"a": "1E+400"}, {"a": "1.5"}]


def test_a_request_that_cannot_be_written_is_refused_at_once() -> None:
    async def submit() -> None:
        async with Service(url_of(free_port())) as service:
            await service.submit({"params": {"top": math.inf}})

    with pytest.raises(ServiceError, match="the request cannot be written") as caught:
        asyncio.run(submit())

    assert caught.value.exit_status == 3

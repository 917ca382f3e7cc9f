# ruff: noqa: S608
"""Numbers that no float holds, on their way through the steps of a query."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.isolating import Lab

HUGE = 46116860184273879035


@pytest.mark.parametrize("isolates", [False, True])
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("HUGEINT", [str(HUGE), str(HUGE + 1), str(-HUGE)]),
        ("DECIMAL(38, 2)", ["123456789012345678.91", "123456789012345678.92"]),
        ("UBIGINT", ["18446744073709551615", "18446744073709551614"]),
    ],
)
@pytest.mark.parametrize("last", ["", " HAVING count(*) > 0", " ORDER BY key", " LIMIT 9"])
def test_keys_keep_their_digits_across_batches(
    tmp_path: Path, kind: str, keys: list[str], last: str, isolates: bool
) -> None:
    inner = f"SELECT k::{kind} AS key, count(*) AS n FROM input GROUP BY k::{kind}{last}"
    rows = [{"k": key} for key in keys * 3]

    ran = Lab(tmp_path).run(
        inner.replace("AS key", "AS key, max(k) AS text"),
        rows,
        batching={"maxItems": 2},
        isolates=isolates,
        output={"format": "CSV"},
    )

    assert sorted((row["text"], row["n"]) for row in ran.rows) == sorted((k, 3) for k in keys)


@pytest.mark.parametrize("last", ["", " ORDER BY 1", " HAVING count(*) > 0"])
def test_sums_keep_their_digits_across_batches(tmp_path: Path, last: str) -> None:
    rows = [{"a": 2**63 - 1, "d": "123456789012345678.91"} for _ in range(5)]

    ran = Lab(tmp_path).run(
        "SELECT sum(a)::VARCHAR AS s, sum(d::DECIMAL(38, 2))::VARCHAR AS d, "
        "max(d::DECIMAL(38, 2))::VARCHAR AS m, sum(a + 0::HUGEINT)::VARCHAR AS h "
        f"FROM input{last}",
        rows,
        batching={"maxItems": 2},
    )

    assert ran.rows == [
        {
            "s": str(5 * (2**63 - 1)),
            "d": "617283945061728394.55",
            "m": "123456789012345678.91",
            "h": str(5 * (2**63 - 1)),
        }
    ]

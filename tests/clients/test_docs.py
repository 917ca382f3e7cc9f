"""What ``docs/CLIENTS.md`` shows is what the tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.told import CLIENTS

HERE: Final = Path(__file__).parent
DOCS: Final = HERE.parents[1] / "docs" / "CLIENTS.md"
BLOCK: Final = re.compile(
    r"^\[`tests/clients/(?P<name>[\w.]+)`\]\S*\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S
)
SHOWN: Final = [(found["name"], found["text"]) for found in BLOCK.finditer(DOCS.read_text())]


@pytest.mark.parametrize(("name", "text"), SHOWN, ids=[name for name, _ in SHOWN])
def test_a_block_is_a_piece_of_the_file_that_it_names(name: str, text: str) -> None:
    assert text in (HERE / name).read_text()


def test_every_client_is_shown_and_no_block_is_without_a_file() -> None:
    shown = {name.partition(".")[0].removesuffix("_client") for name, _ in SHOWN}

    assert shown == {*CLIENTS, "documents"}
    assert DOCS.read_text().count("\n```\n") == len(SHOWN)

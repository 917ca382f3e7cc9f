"""What ``docs/REST.md`` shows for checking a signature does check it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from engine.webhooks import signature
from tests.support.node import Node, NoNodeError

TEXT = (Path(__file__).parents[2] / "docs" / "REST.md").read_text()
SECRET = "whsec_example"
BODY = '{"message":"ä"}'.encode()
NOW_S = int(time.time())
CASES: dict[str, tuple[str, bytes, bool]] = {
    "genuine": (signature(SECRET, BODY, at_s=NOW_S), BODY, True),
    "of another secret": (signature("whsec_other", BODY, at_s=NOW_S), BODY, False),
    "with another body": (signature(SECRET, BODY, at_s=NOW_S), BODY + b" ", False),
    "old": (signature(SECRET, BODY, at_s=NOW_S - 3_600), BODY, False),
    "with another time": (
        signature(SECRET, BODY, at_s=NOW_S - 3_600).replace(str(NOW_S - 3_600), str(NOW_S)),
        BODY,
        False,
    ),
    "empty": ("", BODY, False),
    "odd": ("t=,v1=ä", BODY, False),
}


def example(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("case", CASES)
def test_python_tells_what_is_genuine(case: str) -> None:
    known: dict[str, Any] = {}
    exec(example("python"), known)  # noqa: S102 - our own text
    sent, body, expected = CASES[case]

    assert known["is_genuine"](SECRET, sent, body) is expected


def test_node_tells_what_is_genuine(tmp_path: Path) -> None:
    try:
        node = Node.find().node
    except NoNodeError as exc:
        pytest.skip(str(exc))
    calls = "".join(
        f"console.log(isGenuine({json.dumps(SECRET)}, {json.dumps(sent)},"
        f" Buffer.from({json.dumps(body.decode())})));\n"
        for sent, body, _ in CASES.values()
    )
    program = tmp_path / "verify.cjs"
    program.write_text(example("js") + calls)

    ran = subprocess.run(
        [*node, str(program)], capture_output=True, text=True, timeout=30, check=False
    )

    assert ran.stdout.split() == [str(expected).lower() for *_, expected in CASES.values()], (
        ran.stderr
    )

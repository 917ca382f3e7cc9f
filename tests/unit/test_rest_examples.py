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
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError

TEXT = (Path(__file__).parents[2] / "docs" / "REST.md").read_text()
SECRET = "whsec_example"
BODY = '{"message":"ä"}'.encode()
NAMES = (
    "genuine",
    "of another secret",
    "with another body",
    "old",
    "with another time",
    "empty",
    "odd",
)


def cases() -> dict[str, tuple[str, bytes, bool]]:
    """What may come, as of now: signature, body, whether it is genuine."""
    now_s = int(time.time())
    genuine, old = (signature(SECRET, BODY, at_s=now_s - age_s) for age_s in (0, 3_600))
    found = (
        (genuine, BODY, True),
        (signature("whsec_other", BODY, at_s=now_s), BODY, False),
        (genuine, BODY + b" ", False),
        (old, BODY, False),
        (old.replace(str(now_s - 3_600), str(now_s)), BODY, False),
        ("", BODY, False),
        ("t=,v1=ä", BODY, False),
    )
    return dict(zip(NAMES, found, strict=True))


def example(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("case", NAMES)
def test_python_tells_what_is_genuine(case: str) -> None:
    known: dict[str, Any] = {}
    exec(example("python"), known)  # noqa: S102 - our own text
    sent, body, expected = cases()[case]

    assert known["is_genuine"](SECRET, sent, body) is expected


def test_node_tells_what_is_genuine(tmp_path: Path) -> None:
    try:
        node = Node.find().node
    except NoNodeError as exc:
        do_without(str(exc))
    known = cases()
    calls = "".join(
        f"console.log(isGenuine({json.dumps(SECRET)}, {json.dumps(sent)},"
        f" Buffer.from({json.dumps(body.decode())})));\n"
        for sent, body, _ in known.values()
    )
    program = tmp_path / "verify.cjs"
    program.write_text(example("js") + calls)

    ran = subprocess.run(
        [*node, str(program)], capture_output=True, text=True, timeout=30, check=False
    )

    assert ran.stdout.split() == [str(expected).lower() for *_, expected in known.values()], (
        ran.stderr
    )

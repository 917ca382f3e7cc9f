"""What documents show of a terminal: commands after ``$``, and below what they print.

``…`` stands for any text within a line, a line of ``…`` alone for any lines. A job that is shown as
queued may have been begun by then, or have ended.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.running import environment

_BLOCK: Final = re.compile(r"^```console\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Shown:
    """One block of a document.

    Attributes:
        script: Its commands, one a line.
        output: What is shown of both outputs, in order.
    """

    script: str
    output: str

    def run(self, folder: Path, environ: Mapping[str, str]) -> str:
        """Run the commands in *folder*, each of which must succeed, and return what they print.

        Raises:
            AssertionError: One has failed.
        """
        command = folder / "bin" / "fanfold"
        if not command.exists():
            command.parent.mkdir()
            command.write_text(f'#!/bin/sh\nexec {sys.executable} -m app.cli "$@"\n')
            command.chmod(0o755)
        settings = environment(environ)
        done = subprocess.run(
            ["sh", "-e", "-c", self.script],
            cwd=folder,
            env=settings | {"PATH": f"{command.parent}:{settings['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def matches(self, printed: str) -> bool:
        """Whether *printed* is what is shown; spaces at the ends of lines do not count."""
        pattern = "".join(
            r"(?:.*\n)*?" if line == "…" else rf"{'.*'.join(map(re.escape, line.split('…')))} *\n"
            for line in self.output.splitlines()
        ).replace("QUEUED", "(?:QUEUED|RUNNING|SUCCEEDED|FAILED)")
        return re.fullmatch(pattern, printed) is not None


def shown_in(document: Path) -> list[Shown]:
    """Return the blocks of a document that show a terminal."""
    blocks = []
    for found in _BLOCK.finditer(document.read_text()):
        lines = found["text"].splitlines(keepends=True)
        script = "".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))
        blocks.append(Shown(script, "".join(line for line in lines if not line.startswith("$ "))))
    return blocks

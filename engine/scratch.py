"""A folder for what an attempt puts aside, made when it is first wanted: most want none."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class ScratchFolder:
    """A folder of one attempt below *parent*, gone when the context ends."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder, which is there from now on."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(dir=self._parent, prefix="attempt-"))
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)

"""Who failed: what a program raises becomes a ``TaskError`` with its function, line and item."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.context import Context
from engine.errors import FanfoldError, NonRetryable, OutputError, UserCodeError
from engine.program import Program

MAX_MESSAGE_LENGTH: Final = 4_096
_ENGINE: Final = f"{Path(__file__).parent}/"
_PROGRAMS: Final = f"{_ENGINE}programs/"


@contextmanager
def blame(function: str, program: Program, ctx: Context) -> Iterator[None]:
    """Turn whatever a program raises into a TaskError that says where."""
    try:
        yield
    except NonRetryable as exc:
        raise UserCodeError(report(function, program, ctx, exc), retryable=False) from exc
    except OutputError as exc:
        if function != "map":
            raise
        raise OutputError(f"{exc}{_item_place(ctx)}") from exc
    except FanfoldError:
        raise
    except Exception as exc:
        raise UserCodeError(report(function, program, ctx, exc)) from exc


def report(function: str, program: Program, ctx: Context, exc: BaseException) -> str:
    """Say which function of the program raised what, in which of its lines and at which item."""
    frame = _programs_frame(exc)
    line = f" ({frame.filename.rpartition('/')[2]}, line {frame.lineno})" if frame else ""
    place = _item_place(ctx) if function == "map" else ""
    text = f"{function} of {program.name} raised {type(exc).__name__}: {exc}{line}{place}"
    return text[:MAX_MESSAGE_LENGTH]


def _programs_frame(exc: BaseException) -> traceback.FrameSummary | None:
    """Return where the program was: below us, above any library that it called."""
    frames = [f for f in traceback.extract_tb(exc.__traceback__) if not _is_ours(f.filename)]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return own[-1] if own else None


def _is_ours(filename: str) -> bool:
    return filename.startswith(_ENGINE) and not filename.startswith(_PROGRAMS)


def _item_place(ctx: Context) -> str:
    place = ctx.place
    return f", at {place}" if place else ""

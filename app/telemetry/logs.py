"""Log lines of a process: one form for all libraries, with what they are about, without secrets.

Lines go to standard error. At ``DEBUG`` only Fanfold itself says more: what libraries say there
has headers and payloads in it. A warning that comes again and again is held back for a while.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from engine.log_context import current_log_fields

LogForm = Literal["text", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

TEXT_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(about)s"
WARNINGS_IN_A_ROW: Final = 5
HELD_BACK_S: Final = 10.0
MAX_KINDS: Final = 1_000
OURS: Final = (
    "adapters",
    "app",
    "engine",
    "fanfold",
    "resolvers",
    "schema",
    "transport",
    "workers",
)
_TALKATIVE: Final = ("httpcore", "httpx")
"""They log the addresses that they call, at INFO; those of webhooks are secrets of a kind."""
_HIDDEN: Final = "***"
_SECRETS: Final = (
    re.compile(r"(?i)(?<=\bbearer )[^\s'\",]+"),
    re.compile(r"(?<=://)[^/@\s'\"]+(?=@)"),  # of an address
    re.compile(r"\b(?:fanv?|whsec)_[\w.-]{16,}"),  # keys, viewer tokens, secrets of webhooks
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JWT
)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_FIELDS: Final = {"asctime": "time", "levelname": "level", "name": "logger"}


def set_up_logging(
    form: LogForm = "text", level: LogLevel = "INFO", *, secrets: Iterable[str | None] = ()
) -> None:
    """Send the log lines of this process to standard error.

    Args:
        form: A line for people, or a JSON object with a field for each thing.
        level: Of Fanfold's own lines; those of libraries are at least ``INFO``.
        secrets: Never to be shown: addresses with a password in them, or the secret itself.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(_formatter(form), secrets))
    handler.addFilter(_About())
    handler.addFilter(SeldomWarnings())
    logging.basicConfig(level=max(logging.INFO, logging.getLevelName(level)), handlers=[handler])
    logging.captureWarnings(True)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class SeldomWarnings(logging.Filter):
    """Holds back warnings of one kind that come in a row, as a service without its Redis has them.

    Errors always pass: their references are looked for. The kind is logger and text without values.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether *record* is to be shown; tell how many were not."""
        if record.levelno != logging.WARNING:
            return True
        kind, now = (record.name, str(record.msg)), self._clock()
        if len(self._seen) > MAX_KINDS:  # somebody puts values into the text itself
            self._seen.clear()
        since, count = self._seen.get(kind, (now, 0))
        if now - since < HELD_BACK_S:
            self._seen[kind] = since, count + 1
            return count < WARNINGS_IN_A_ROW
        if (held_back := count - WARNINGS_IN_A_ROW) > 0:
            record.msg = f"{record.msg} (and {held_back} more of these since)"
        self._seen[kind] = now, 1
        return True


class _About(logging.Filter):
    """Adds the fields of the context to a record, and their text."""

    def filter(self, record: logging.LogRecord) -> bool:
        fields = current_log_fields()
        for name, value in fields.items():
            setattr(record, name, value)
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        record.about = f" [{text}]" if text else ""
        return True


class _Redacting(logging.Formatter):
    """Shows what another formatter gives, without secrets."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str | None]) -> None:
        super().__init__()
        self._inner = inner
        known = {part for secret in secrets if secret for part in _parts(secret)}
        self._known = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
        self._is_any_known = bool(known)

    def format(self, record: logging.LogRecord) -> str:
        text = self._inner.format(record)
        if self._is_any_known:
            text = self._known.sub(_HIDDEN, text)
        for pattern in _SECRETS:
            text = pattern.sub(_HIDDEN, text)
        return text


class _OneLine(logging.Formatter):
    """Keeps a message on its line, whatever callers put into it; a traceback follows as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], super().formatMessage(record))


def _formatter(form: LogForm) -> logging.Formatter:
    if form == "text":
        return _OneLine(TEXT_FORMAT)
    return JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields=_FIELDS,
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        json_ensure_ascii=False,
        reserved_attrs=[*RESERVED_ATTRS, "about"],
    )


def _parts(secret: str) -> list[str]:
    """Return what must not be shown of a secret: of an address only its password."""
    if "://" not in secret:
        return [secret]
    parts = urlsplit(secret)
    found = [parts.password or "", unquote(parts.password or "")]
    for name, value in parse_qsl(parts.query):
        if name == "password":
            found += [value, quote(value, safe="")]
    return [text for text in found if text]

"""What the item of a task says of its outcome."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.dynamodb.items import COUNTER_PREFIX, log_text, now_ms
from adapters.dynamodb.values import Item
from engine.attempt import Outcome, Piece
from engine.job import TaskState
from engine.jsonvalue import decode, encode


def committed(outcome: Outcome) -> dict[str, Any]:
    """Return what a task's item says of its outcome."""
    piece = outcome.piece
    failed = sum(failure.items for failure in outcome.failures)
    found: dict[str, Any] = {
        "state": TaskState.SUCCEEDED.value,
        "finished": now_ms(),
        "items": outcome.items,
        "failed_items": failed or None,
        "bytes": outcome.bytes_read,
        "log": log_text(outcome.log),
        "counters": encode(outcome.counters).decode() if outcome.counters else None,
        "error": None,
    }
    if piece is not None:
        bare = replace(piece, cuts=(), data=None)
        found |= {"piece": encode(bare.to_json()).decode(), "piece_bytes": piece.size_bytes}
        if piece.cuts:
            found["cuts"] = struct.pack(f">{len(piece.cuts)}Q", *piece.cuts)
    return found


def read_piece(task: Item) -> Piece:
    """Return what a committed task left."""
    packed = task.get("cuts", b"")
    cuts = struct.unpack(f">{len(packed) // 8}Q", packed)
    return replace(Piece.from_json(decode(task["piece"])), cuts=cuts)


def summary_of(meta: Item, task: Item) -> dict[str, Any]:
    """Return facts for the manifest, from a job and its finish task."""
    return {
        "items": meta.get("items_succeeded", 0),
        "failedItems": meta.get("items_failed", 0),
        "bytesRead": meta.get("bytes_read", 0),
        "tenant": meta["tenant"],
        "submittedBy": meta["by"],
        "createdAtMs": meta["created"],
        "startedAtMs": meta.get("started", 0),
        "finishedAtMs": task["started"],
        "run": meta["run"],
    }


def prefixed(counters: Mapping[str, float]) -> dict[str, float]:
    """Return counters under names that no key of an item has."""
    return {f"{COUNTER_PREFIX}{name}": value for name, value in counters.items()}

"""The batch that is being filled, and when it is full."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Final

from engine.batch import Batch, FileSlice

_SLIVER_BYTES: Final = 64 * 1024


class Basket:
    """Fills batches up to a number of bytes and items.

    A file that fits into a batch starts a new one rather than be cut.
    """

    def __init__(self, *, max_bytes: int, max_items: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.counts_items = max_items is not None
        self._max_items = max_items or sys.maxsize
        self._slices: list[FileSlice] = []
        self.room_bytes = max_bytes
        self.room_items = self._max_items

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._slices

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits."""
        return self.room_bytes <= 0 or self.room_items <= 0

    def is_cut(self, size_bytes: int) -> bool:
        """Whether a file of records is cut rather than kept whole."""
        return self.counts_items or size_bytes > self.max_bytes

    def has_room_for(self, size_bytes: int) -> bool:
        """Whether something that stays whole goes into this batch rather than the next."""
        return size_bytes <= self.room_bytes

    def add(self, part: FileSlice, *, items: int = 0) -> None:
        """Put a slice that is not empty into the batch; one with the rest before it becomes one."""
        self.room_bytes -= part.size_bytes
        self.room_items -= items
        last = self._slices[-1] if self._slices else None
        if last and last.path == part.path and last.groups and part.groups:
            groups = (last.groups[0], part.groups[1])
            self._slices[-1] = replace(last, end=part.end, groups=groups)
        else:
            self._slices.append(part)

    def take(self) -> Batch:
        """Return the batch and begin the next."""
        batch = Batch(slices=tuple(self._slices))
        self._slices = []
        self._refill()
        return batch

    def _refill(self) -> None:
        self.room_bytes = self.max_bytes
        self.room_items = self._max_items


class Shares(Basket):
    """Fills a given number of batches with equal shares of the source.

    The n-th batch ends where n shares of the whole source end, not a share after the last batch,
    so that what is left over at each record border does not add up. Files are cut wherever a
    share ends; what cannot be cut goes where its middle lies.
    """

    def __init__(self, *, total_bytes: int, batches: int) -> None:
        super().__init__(max_bytes=-(-total_bytes // batches))
        self._total_bytes = total_bytes
        self._batches = batches
        self._taken_bytes = 0
        self._share = 0
        self._refill()

    def is_cut(self, size_bytes: int) -> bool:
        """Whether a file of records is cut: when more than a sliver of it lies past the share."""
        return size_bytes > self.room_bytes + _SLIVER_BYTES

    def has_room_for(self, size_bytes: int) -> bool:
        """Whether the middle of it lies within this share."""
        return size_bytes // 2 <= self.room_bytes

    def take(self) -> Batch:
        """Return the batch and begin the next."""
        self._taken_bytes += sum(part.size_bytes for part in self._slices)
        return super().take()

    def _refill(self) -> None:
        """Set the room to what is left up to the next share that ends after what was taken."""
        reached = self._taken_bytes * self._batches // self._total_bytes
        self._share = max(self._share, reached) + 1
        end = -(-self._share * self._total_bytes // self._batches)
        self.room_bytes = end - self._taken_bytes

"""Writing the listings of a job: files that grow page by page, none of which stays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

import orjson

from engine.blobs import BlobStore
from engine.job import ItemFailure, JobError, TaskId, TaskState
from engine.listings import INCLUDED_BYTES, BatchRecord, Listing, ListingStatus, listing_file


class ListingWriter:
    """Writes listings page by page, as a context manager; none of it stays in memory.

    Batches come before failures, of which those that stand for a whole batch are passed over.

    Args:
        job: The job's id.
        machine: The program's name, or ``sql``.
        scratch: A folder for temporary files.
        run: Of the job.
    """

    def __init__(self, *, job: str, machine: str, scratch: Path, run: int = 1) -> None:
        self._job = job
        self._machine = machine
        self._scratch = scratch
        self._run = run
        self._failed: set[TaskId] = set()
        self._files: dict[ListingStatus, _File] = {}
        self._stack = ExitStack()
        self._folder = scratch

    def __enter__(self) -> Self:
        folder = TemporaryDirectory(dir=self._scratch, prefix="listings-")
        self._folder = Path(self._stack.enter_context(folder))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add_batches(self, records: Iterable[BatchRecord]) -> None:
        """List batches, each of which has not been listed before."""
        for record in records:
            status = _STATUS.get(record.state, ListingStatus.PENDING)
            if status is ListingStatus.FAILED:
                self._failed.add(record.task)
            self._file(status).add(self._entry(record.task, status) | _batch_fields(record, status))

    def add_failures(self, failures: Iterable[ItemFailure]) -> None:
        """List items that were set aside."""
        for failure in failures:
            task = TaskId(failure.error.task_id or "")
            if task not in self._failed:
                entry = self._entry(task, ListingStatus.FAILED) | _failure_fields(failure)
                self._file(ListingStatus.FAILED).add(entry)

    def store(self, blobs: BlobStore, name_of: Callable[[str], str]) -> tuple[Listing, ...]:
        """Put the files into the store and return them, in the order of their names.

        Args:
            blobs: The store.
            name_of: Gives the blob's name for a file's, such as ``FAILED_0.json``.
        """
        found = []
        for status, file in sorted(self._files.items()):
            name = name_of(listing_file(status))
            found.append(file.closed(status, name))
            blobs.put_file(name, file.path)
        self._files.clear()
        return tuple(found)

    def _file(self, status: ListingStatus) -> _File:
        if status not in self._files:
            file = self._files[status] = _File(self._folder / status)
            self._stack.callback(file.close)
        return self._files[status]

    def _entry(self, task: TaskId, status: ListingStatus) -> dict[str, Any]:
        is_done = status is ListingStatus.SUCCEEDED
        return {
            "ExecutionArn": f"{self._job}/{task}",
            "Name": task,
            "StateMachineArn": self._machine,
            "RedriveCount": self._run - 1,
            "RedriveStatus": "NOT_REDRIVABLE" if is_done else "REDRIVABLE",
            "Status": status,
        }


class _File:
    """An array of JSON that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")
        self._digest = sha256()
        self._entries = 0
        self._size_bytes = 0

    def add(self, entry: dict[str, Any]) -> None:
        self._write((b",\n" if self._entries else b"[\n") + orjson.dumps(entry))
        self._entries += 1

    def closed(self, status: ListingStatus, name: str) -> Listing:
        self._write(b"\n]\n")
        self.close()
        return Listing(status, name, self._entries, self._size_bytes, self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._size_bytes += len(data)


_STATUS: Final = {
    TaskState.SUCCEEDED: ListingStatus.SUCCEEDED,
    TaskState.FAILED: ListingStatus.FAILED,
}


def _batch_fields(record: BatchRecord, status: ListingStatus) -> dict[str, Any]:
    batch = _included(record)
    fields: dict[str, Any] = {
        "Input": "" if batch is None else batch.decode(),
        "InputDetails": {"Included": batch is not None},
        "Items": record.items,
        "FailedItems": record.failed_items,
        "Attempts": record.attempts,
    }
    if record.started_at is not None:
        fields["StartDate"] = _instant(record.started_at)
    if status is ListingStatus.PENDING:
        return fields
    if record.finished_at is not None:
        fields["StopDate"] = _instant(record.finished_at)
    if status is ListingStatus.SUCCEEDED:
        output = {"items": record.items, "failedItems": record.failed_items}
        return fields | {
            "Output": orjson.dumps(output).decode(),
            "OutputDetails": {"Included": True},
        }
    return fields | _error_fields(record.error)


def _failure_fields(failure: ItemFailure) -> dict[str, Any]:
    return {
        "Location": failure.location,
        "Input": failure.preview,
        "InputDetails": {"Included": bool(failure.preview)},
        "Items": failure.items,
        **_error_fields(failure.error),
    }


def _error_fields(error: JobError | None) -> dict[str, Any]:
    return {} if error is None else {"Error": error.code, "Cause": error.message}


def _included(record: BatchRecord) -> bytes | None:
    """Return the batch unless it is long and of no further use; slices tell file versions."""
    batch = record.batch
    if batch is None or len(batch) <= INCLUDED_BYTES or record.state is not TaskState.SUCCEEDED:
        return batch
    return batch if batch.startswith(b'{"slices"') else None


def _instant(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

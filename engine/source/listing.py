"""Which files a job reads, whatever kind of source it names."""

from __future__ import annotations

from collections.abc import Iterator

from engine.entries import Entries
from engine.errors import SourceError
from engine.source.choice import FileChoice
from engine.source.deadline import check_deadline
from engine.source.file import SourceFile
from engine.source.manifest import manifest_files, result_files
from engine.source.objects import entries_of
from engine.source.sources import BLOB_PREFIX, Sources
from engine.spec import FilesMode, JobSpec


def list_sources(
    spec: JobSpec,
    sources: Sources,
    *,
    resolved: str | None = None,
    choice: FileChoice | None = None,
) -> Iterator[SourceFile]:
    """Yield the files of a job in order, each once, as they are found.

    Args:
        spec: The job; its items are not inline.
        sources: Where to look.
        resolved: What the id of an upload or of another job stands for, checked when the job was
            submitted: the blob of the upload, or of the other job's manifest, by its name or
            by its path as a source.
        choice: Files that it leaves out do not come; where folders are listed, they are not
            even looked for.

    Raises:
        SourceError: The source names no file, or something that may not be read.
        UnavailableError: A store does not answer.
    """
    files = _in_time(_listed(spec, sources, resolved, choice))
    yield from files if choice is None else choice.files(files)


def list_entries(
    spec: JobSpec, sources: Sources, *, choice: FileChoice | None = None
) -> Iterator[Entries]:
    """Yield the files of a job in mode OBJECTS as ``list_sources`` does, page by page.

    Raises:
        SourceError: As ``list_sources``.
        UnavailableError: As ``list_sources``.
    """
    uris = set(spec.source.files.uris) if spec.source.files else set()
    if choice is None and len(uris) == 1:
        pages = sources.list_entries(uris.pop())
        if pages is not None:
            return pages
    return entries_of(list_sources(spec, sources, choice=choice), sources)


def _listed(
    spec: JobSpec, sources: Sources, resolved: str | None, choice: FileChoice | None
) -> Iterator[SourceFile]:
    source = spec.source
    if source.files is not None:
        if source.files.mode is FilesMode.MANIFEST:
            yield from manifest_files(source.files.uris, sources)
        else:
            yield from sources.list_files(source.files.uris, choice=choice)
        return
    if resolved is None:
        raise SourceError("the job's source names no file")
    if source.upload is not None:
        yield sources.stat_file(_blob_path(resolved))
    elif source.job is not None:
        yield from result_files(_blob_path(resolved), sources)


def _in_time(files: Iterator[SourceFile]) -> Iterator[SourceFile]:
    for file in files:
        check_deadline()
        yield file


def _blob_path(name: str) -> str:
    return BLOB_PREFIX + name.removeprefix(BLOB_PREFIX)

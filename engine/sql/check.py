"""Checking a job in SQL: what its source looks like, whether the query fits it, how it is split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from engine.catalog import Catalog
from engine.errors import InputError, Issue, RecordError, SourceError
from engine.source.file import SourceFile
from engine.source.listing import list_sources
from engine.source.sources import Sources
from engine.spec import BadItems, FilesMode, JobSpec
from engine.sql.checker import CheckedSql, SqlCheck
from engine.sql.columns import ShapeFinder
from engine.sql.fault import told
from engine.sql.job import Columns, SqlJob, TableShape
from engine.sql.params import bound_params
from engine.sql.program import SqlProgram
from engine.sql.pruning import folder_filter
from engine.sql.query import Query, parameters_of, parse_query
from engine.sql.recent import Recent
from engine.sql.reduction import Reduction
from engine.sql.sandbox import identifier
from engine.sql.serialized import check_serialized
from engine.sql.split.splitter import split, whole_in_one
from engine.sql.split.steps import Combining, SqlSteps
from engine.sql.tables import INPUT

Params = Mapping[str, Any]
Splits = dict[Combining, SqlSteps]

LISTED_FILES: Final = 1_000
_OBJECT_COLUMNS: Final = (
    ("uri", "VARCHAR"),
    ("key", "VARCHAR"),
    ("size", "BIGINT"),
    ("etag", "VARCHAR"),
    ("lastModified", "VARCHAR"),
)


class SqlInspector:
    """Checks jobs on one connection, in a process that may be killed meanwhile."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        catalog: Catalog,
        sources: Sources,
        scratch: Path,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._sources = sources
        self._scratch = scratch
        self._reduction = Reduction(connection, sources=sources, scratch=scratch)
        self._finder = ShapeFinder(connection, sources=sources, scratch=scratch)
        self._lenient_finder = ShapeFinder(
            connection, sources=sources, scratch=scratch, is_lenient=True
        )
        self._seen: Recent[Splits] = Recent()

    def check(self, request: SqlCheck) -> CheckedSql:
        """Look at the source, bind the query to its columns, and split it; see ``SqlChecker``."""
        spec = JobSpec.model_validate(request.spec)
        program = self._program_of(spec)
        path = ("input", "sql") if program is None else ("input", "program")
        text = spec.sql if program is None else program.query
        params = bound_params(self._catalog, spec)
        query = None
        if text is not None:
            query = parse_query(text, *path)
            check_serialized(self._connection, text)
        if program is None and query is not None:
            _check_names(params, query.parameters)
        files = self._listed(spec, request.resolved_source)
        shape = self._shape_of(spec, files)
        if query is not None:
            # Callers often send a query again on the same columns.
            splits = self._seen.answer(
                (query.text, shape.every_column, repr(params)),
                lambda: self._splits(query, shape, params, path),
            )
            steps = self._chosen(splits, spec, shape, files, params)
        else:
            steps = self._own_steps(program, path)
            self._bind(steps, shape, params, path)
        folders = [name for name, _ in shape.folder_columns]
        job = SqlJob(
            steps=steps,
            shape=shape,
            folder_filter=folder_filter(text, folders) if text and folders else None,
        )
        return CheckedSql(
            job=job.to_json(),
            is_map_only=job.is_map_only,
            has_one_reducer=job.has_one_reducer,
            # Rows of map that are the result themselves are in files that nothing reads yet.
            supports_partial=steps.supports_partial and bool(steps.reduce or steps.finish),
        )

    def _program_of(self, spec: JobSpec) -> SqlProgram | None:
        if spec.program is None:
            return None
        program = self._catalog.require(spec.program)
        if not isinstance(program, SqlProgram):
            issue = Issue(("input", "program"), f"{program.name} is not a program in SQL")
            raise InputError(issue)
        return program

    def _own_steps(self, program: SqlProgram | None, path: tuple[str, ...]) -> SqlSteps:
        """Return the steps that a program gives one by one."""
        assert program is not None  # noqa: S101 - there is either a query or a program
        for step in filter(None, (program.map, program.reduce, program.finish)):
            parse_query(step, *path)
            check_serialized(self._connection, step)
        return SqlSteps(
            map=program.map or "",
            partition_by=tuple(program.partition_by),
            reduce=program.reduce,
            finish=program.finish,
        )

    def _splits(
        self, query: Query, shape: TableShape, params: Params, path: tuple[str, ...]
    ) -> Splits:
        """Return what the query may be split into, by what map combines.

        All have the columns of the query itself; where that cannot be had, one reduce task.

        Raises:
            InputError: The query does not fit the source.
        """
        wanted, _ = self._bound(query.text, self._empty(shape.every_column), params, path)
        names = [name for name, _ in shape.every_column]
        found: Splits = {}
        for combining in Combining:
            steps = split(query, columns=names, combining=combining)
            if steps in found.values() or self._fits(steps, shape, params, wanted):
                found[combining] = steps
        if Combining.GROUPS not in found:
            return {Combining.GROUPS: whole_in_one(query)}
        return found

    def _fits(self, steps: SqlSteps, shape: TableShape, params: Params, wanted: Columns) -> bool:
        try:
            return self._bind(steps, shape, params, ()) == wanted
        except InputError:
            return False

    def _chosen(
        self,
        splits: Splits,
        spec: JobSpec,
        shape: TableShape,
        files: Sequence[SourceFile],
        params: Params,
    ) -> SqlSteps:
        """Return the split that is likely to be the fastest on these files.

        An answer that is shown while it grows is computed again and again from map's rows, of which
        there should be few. Rows that fail are told apart in map, so it should compute as much as
        it can.
        """
        usual = splits[Combining.GROUPS]
        loose = splits.get(Combining.NOTHING, usual)
        tight = splits.get(Combining.VALUES, usual)
        if loose == tight or spec.partial_every_ms or _skips(spec):
            return usual
        reduced = self._reduction.expected(
            loose, files, layout=spec.source.layout, shape=shape, params=params
        )
        if reduced is None:
            return usual
        return tight if reduced.is_worth_it else loose

    def _listed(self, spec: JobSpec, resolved_source: str | None) -> list[SourceFile]:
        """Return the first files of the source that are not empty, or of those that are.

        None where there are none to be looked into.
        """
        is_listing = spec.source.files is not None and spec.source.files.mode is FilesMode.OBJECTS
        if spec.source.inline is not None or is_listing:
            return []
        found: list[SourceFile] = []
        empty: list[SourceFile] = []
        for file in list_sources(spec, self._sources, resolved=resolved_source):
            listed = found if file.size_bytes else empty
            if len(listed) < LISTED_FILES:
                listed.append(file)
            if len(found) == LISTED_FILES:
                break
        return found or empty

    def _shape_of(self, spec: JobSpec, files: Sequence[SourceFile]) -> TableShape:
        if spec.source.inline is not None:
            return self._finder.of_items(spec.source.inline)
        if spec.source.files is not None and spec.source.files.mode is FilesMode.OBJECTS:
            return TableShape(columns=_OBJECT_COLUMNS)
        try:
            finder = self._lenient_finder if _skips(spec) else self._finder
            shape = finder.of_files(files, spec.source.layout)
        except RecordError as exc:
            raise SourceError(exc.message) from exc
        if shape is None:
            raise self._nothing_in(files)
        return shape

    def _nothing_in(self, files: Sequence[SourceFile]) -> SourceError:
        name = self._sources.name_of(files[0].path)
        others = len(files) - 1
        which = f"{name} and {others} more: they are" if others else f"{name}: it is"
        return SourceError(f"{which} empty, and no record tells what columns there are")

    def _bind(
        self, steps: SqlSteps, shape: TableShape, params: Params, path: tuple[str, ...]
    ) -> Columns:
        """Bind each step to the columns of the one before; return those of the last."""
        table = self._empty(shape.every_column)
        columns: Columns = ()
        for step in filter(None, (steps.map, steps.reduce, steps.finish)):
            columns, table = self._bound(step, table, params, path)
        return columns

    def _empty(self, columns: Columns) -> pa.Table:
        """Return a table without rows."""
        listed = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns)
        empty = self._connection.sql(f"SELECT {listed or 'NULL AS line'} WHERE false")
        return empty.to_arrow_table()

    def _bound(
        self, query: str, table: pa.Table, params: Params, path: tuple[str, ...]
    ) -> tuple[Columns, pa.Table]:
        """Have DuckDB bind *query* to a table; return the columns of its rows, and none of them.

        Raises:
            InputError: It does not fit; the message says where in the query.
        """
        self._connection.register(INPUT, table)
        bound = {name: params[name] for name in parameters_of(query)}
        try:
            relation = self._connection.sql(query, params=bound)
            columns = tuple(zip(relation.columns, map(str, relation.types), strict=True))
            return columns, relation.limit(0).to_arrow_table()
        except duckdb.Error as exc:
            raise InputError(Issue(path, told(self._connection, query, bound, exc))) from exc
        finally:
            self._connection.unregister(INPUT)


def _skips(spec: JobSpec) -> bool:
    """Whether bad records and rows are set aside."""
    return spec.failure_policy.bad_items is BadItems.SKIP


def _check_names(params: Params, wanted: Sequence[str]) -> None:
    missing = [
        Issue(("input", "params", name), f"the query has a parameter ${name}; give a value")
        for name in wanted
        if name not in params
    ]
    unknown = [
        Issue(("input", "params", name), f"the query has no parameter ${name}")
        for name in params
        if name not in wanted
    ]
    if missing or unknown:
        raise InputError(*missing, *unknown)

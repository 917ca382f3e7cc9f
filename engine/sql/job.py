"""A job in SQL, as it is kept with the job: its steps, and what its input looks like."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.sql.split.steps import SqlSteps

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TableShape:
    """What the table ``input`` looks like.

    Attributes:
        columns: Names and DuckDB types, without those of folders.
        folder_columns: Names and types of Hive-style folders such as ``year=2026``.
        csv_options: What DuckDB found out about dates in CSV files, by its option's name.
    """

    columns: Columns
    folder_columns: Columns = ()
    csv_options: dict[str, str] = field(default_factory=dict)

    @property
    def every_column(self) -> Columns:
        """Columns of the files, then those of folders."""
        return (*self.columns, *self.folder_columns)


@dataclass(frozen=True, slots=True)
class SqlJob:
    """The steps of a job in SQL.

    Attributes:
        steps: What map, reduce and finish run.
        shape: Of the source.
        folder_filter: A condition on folder columns alone that every wanted file fulfils.
    """

    steps: SqlSteps
    shape: TableShape
    folder_filter: str | None = None

    @property
    def is_map_only(self) -> bool:
        """Whether map's rows go straight to finish or are the result."""
        return self.steps.reduce is None

    @property
    def has_one_reducer(self) -> bool:
        """Whether all rows must meet in one reduce task."""
        return self.steps.reduce is not None and not self.steps.partition_by

    def to_json(self) -> dict[str, Any]:
        """Return a form that ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SqlJob:
        """Read what ``to_json`` wrote."""
        steps, shape = data["steps"], data["shape"]
        return cls(
            steps=SqlSteps(**{**steps, "partition_by": tuple(steps["partition_by"])}),
            shape=TableShape(
                columns=_columns(shape["columns"]),
                folder_columns=_columns(shape["folder_columns"]),
                csv_options=shape["csv_options"],
            ),
            folder_filter=data["folder_filter"],
        )


def _columns(data: list[list[str]]) -> Columns:
    return tuple((name, kind) for name, kind in data)

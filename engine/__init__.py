"""What a job is, and the map-reduce itself. Programs import their names from here."""

from engine.context import Context
from engine.errors import NonRetryable
from engine.program import Program
from engine.sql.program import SqlProgram

__all__ = ["Context", "NonRetryable", "Program", "SqlProgram"]

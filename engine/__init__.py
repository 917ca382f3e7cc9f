"""What a job is, and the map-reduce itself. Programs import their three names from here."""

from engine.context import Context
from engine.errors import NonRetryable
from engine.program import Program

__all__ = ["Context", "NonRetryable", "Program"]

"""The values that a job binds to ``$name`` in its query."""

from __future__ import annotations

from typing import Any

from engine.catalog import Catalog
from engine.spec import JobSpec


def bound_params(catalog: Catalog, spec: JobSpec) -> dict[str, Any]:
    """Return the values of a job's ``$name`` parameters.

    Raises:
        InputError: They are not those of the program.
    """
    if spec.program is None:
        return dict(spec.params)
    parsed = catalog.require(spec.program).parse_params(spec.params, "input", "params")
    return dict(parsed if isinstance(parsed, dict) else parsed.model_dump(mode="json"))

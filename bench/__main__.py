"""Run measurements by name, or all of them: ``python -m bench [pickup] [submit] [wordcount]``."""

from __future__ import annotations

import sys

from bench import pickup, submit, wordcount

MEASUREMENTS = {"pickup": pickup.main, "submit": submit.main, "wordcount": wordcount.main}


def main() -> None:
    """Run what was asked for."""
    names = sys.argv[1:] or list(MEASUREMENTS)
    if unknown := set(names) - set(MEASUREMENTS):
        sys.exit(f"no measurement named {', '.join(unknown)}; known: {', '.join(MEASUREMENTS)}")
    for name in names:
        MEASUREMENTS[name]()


main()

"""Run measurements by name, or all of them: ``python -m bench [NAME …]``."""

from __future__ import annotations

import sys

from bench import blocks, data_plane, growth, headline, partials, pickup, push, submit, wordcount

MEASUREMENTS = {
    "pickup": pickup.main,
    "submit": submit.main,
    "blocks": blocks.main,
    "push": push.main,
    "wordcount": wordcount.main,
    "data_plane": data_plane.main,
    "growth": growth.main,
    "partials": partials.main,
    "headline": headline.main,
}


def main() -> None:
    """Run what was asked for."""
    names = sys.argv[1:] or list(MEASUREMENTS)
    if unknown := set(names) - set(MEASUREMENTS):
        sys.exit(f"no measurement named {', '.join(unknown)}; known: {', '.join(MEASUREMENTS)}")
    for name in names:
        MEASUREMENTS[name]()


if __name__ == "__main__":  # a pool's processes import this module under another name
    main()

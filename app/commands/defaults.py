"""What is meant where nobody says otherwise."""

from __future__ import annotations

from typing import Final

DEFAULT_URL: Final = "http://127.0.0.1:8000"
"""Where the service is that commands talk to."""

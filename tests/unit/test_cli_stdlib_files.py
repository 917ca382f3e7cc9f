"""The demonstration's input."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.local.stdlib_files import find_stdlib_files
from engine.source.roots import SourceRoots
from engine.source.sources import LOCAL, Sources


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("abc.py", "json/decoder.py", "json/deep/er.py", "site-packages/no.py"):
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import this\n")
    (tmp_path / "lib" / "empty").mkdir()
    (tmp_path / "lib" / "notes.txt").write_text("no source\n")
    return tmp_path / "lib"


def listed(root: Path) -> list[str]:
    """What a job over these URIs reads."""
    files = find_stdlib_files(root)
    found = list(Sources({LOCAL: SourceRoots((root,))}).list_files(files.uris))
    assert len(found) == files.count
    return sorted(str(Path(file.path).relative_to(root)) for file in found)


def test_patterns_name_every_source_but_those_of_others(root: Path) -> None:
    assert find_stdlib_files(root).uris == ["*.py", "json/**/*.py"]
    assert listed(root) == ["abc.py", "json/decoder.py", "json/deep/er.py"]


def test_a_source_that_is_not_utf8_is_left_out(root: Path) -> None:
    (root / "json" / "latin.py").write_bytes(b"# caf\xe9\n")

    assert find_stdlib_files(root).uris == ["*.py", "json/decoder.py", "json/deep/**/*.py"]
    assert listed(root) == ["abc.py", "json/decoder.py", "json/deep/er.py"]


def test_a_link_out_of_the_folder_is_left_out(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").touch()
    (root / "sitecustomize.py").symlink_to(tmp_path / "elsewhere.py")
    (root / "json" / "linked").symlink_to(tmp_path)

    assert listed(root) == ["abc.py", "json/decoder.py", "json/deep/er.py"]


def test_the_library_of_this_python_is_found() -> None:
    import sysconfig

    root = Path(sysconfig.get_path("stdlib"))

    assert len(listed(root)) > 500

"""Which files a URI names, and what is refused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import SourceChangedError, SourceError
from engine.source.file import SourceFile
from engine.source.roots import SourceRoots
from engine.source.sources import Sources
from tests.support.nobody import as_nobody

URIS = ("input", "source", "files", "uris")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def roots(root: Path) -> SourceRoots:
    return SourceRoots((root,))


def write(path: Path, content: str = "a line\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def listed(roots: SourceRoots, *uris: str) -> list[str]:
    """Return the names of the files that *uris* name together."""
    return [roots.name_of(file.path) for file in Sources({"": roots}).list_files(uris)]


def first_of(roots: SourceRoots, uri: str) -> SourceFile:
    return next(roots.list_files(uri))


@pytest.fixture
def public_root() -> Iterator[Path]:
    """A root that everybody may enter, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        yield Path(folder)


# ------------------------------------------------------------------ what is found


def test_a_relative_path_names_a_file_with_its_size(roots: SourceRoots, root: Path) -> None:
    file = write(root / "a" / "b.txt", "12345")

    (found,) = roots.list_files("a/b.txt")

    assert (found.path, found.size_bytes) == (str(file), 5)
    assert found.modified_ms == file.stat().st_mtime_ns // 1_000_000
    assert roots.stat_file(str(file)) == found


@pytest.mark.parametrize(
    "uri", ["{root}/a.txt", "file://{root}/a.txt", "./a.txt", "/{root}//a.txt"]
)
def test_other_spellings_of_a_path_name_the_same_file(
    roots: SourceRoots, root: Path, uri: str
) -> None:
    file = write(root / "a.txt")

    assert first_of(roots, uri.format(root=root)).path == str(file)


@pytest.mark.parametrize("uri", ["data", "data/", "{root}/data", "data/**"])
def test_a_folder_means_all_files_below_it(roots: SourceRoots, root: Path, uri: str) -> None:
    for name in ("c.txt", "a/z.txt", "a/b/y.txt"):
        write(root / "data" / name)
    write(root / "other.txt")

    names = listed(roots, uri.format(root=root))

    assert names == ["data/a/b/y.txt", "data/a/z.txt", "data/c.txt"]


def test_a_dot_means_the_whole_root(roots: SourceRoots, root: Path) -> None:
    write(root / "a/b.txt")

    assert listed(roots, ".") == ["a/b.txt"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("[!a].csv", ["b.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("*/*.csv", ["x/c.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]),
        ("x/**/d.csv", ["x/y/d.csv"]),
        ("**/y/**", ["x/y/d.csv"]),
        ("**/**/d.csv", ["x/y/d.csv"]),
        ("x/*", ["x/c.csv"]),
        ("*/**", ["x/c.csv", "x/y/d.csv"]),
        ("*/", ["x/c.csv", "x/y/d.csv"]),
        (".hidden/*.csv", [".hidden/e.csv"]),
        ("**/.h*/e.csv", [".hidden/e.csv"]),
        ("__pycache__/*", ["__pycache__/f.csv"]),
        ("x/[[]1].tsv", ["x/[1].tsv"]),
    ],
)
def test_wildcards_match_as_in_a_shell(
    roots: SourceRoots, root: Path, uri: str, expected: list[str]
) -> None:
    names = ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv", ".hidden/e.csv", "__pycache__/f.csv"]
    for name in names:
        write(root / name)
    if "tsv" in uri:
        write(root / "x/[1].tsv")

    assert listed(roots, uri) == expected


def test_the_first_root_with_a_match_wins(tmp_path: Path) -> None:
    write(tmp_path / "one" / "data" / "a.txt")
    write(tmp_path / "two" / "data" / "a.txt")
    second = write(tmp_path / "two" / "data" / "b.csv")
    roots = SourceRoots((tmp_path / "one", tmp_path / "two"))

    assert [file.path for file in roots.list_files("data")] == [str(tmp_path / "one/data/a.txt")]
    assert [file.path for file in roots.list_files("data/*.csv")] == [str(second)]


def test_files_are_listed_once_in_the_order_of_the_uris(roots: SourceRoots, root: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        write(root / name)

    assert listed(roots, "c.txt", "*.txt", "a.txt") == ["c.txt", "a.txt", "b.txt"]


def test_a_root_that_is_a_link_may_be_named_by_the_link(tmp_path: Path) -> None:
    file = write(tmp_path / "real" / "a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = SourceRoots((tmp_path / "link",))

    assert [found.path for found in roots.list_files(f"{tmp_path}/link/a.txt")] == [str(file)]


def test_links_within_the_roots_are_followed_and_no_file_comes_twice(
    roots: SourceRoots, root: Path
) -> None:
    write(root / "z" / "a.txt")
    (root / "link.csv").symlink_to(root / "z" / "a.txt")
    (root / "folder").symlink_to(root / "z")

    assert listed(roots, "link.csv") == ["link.csv"]
    assert listed(roots, "folder/a.txt") == ["folder/a.txt"]
    assert listed(roots, "f*/a.txt") == ["folder/a.txt"]
    assert listed(roots, "z", "folder", "link.csv") == ["z/a.txt"]
    assert listed(roots, ".") == ["link.csv"]


def test_links_in_a_circle_end(roots: SourceRoots, root: Path) -> None:
    write(root / "a" / "1.txt")
    write(root / "b" / "2.txt")
    (root / "a" / "to_b").symlink_to(root / "b")
    (root / "b" / "to_a").symlink_to(root / "a")
    (root / "a" / "up").symlink_to(root)

    assert listed(roots, "**") == ["a/1.txt", "b/2.txt"]
    assert listed(roots, "a") == ["a/1.txt", "a/to_b/2.txt"]


def test_probe_stops_at_the_first_file(roots: SourceRoots, root: Path) -> None:
    write(root / "a.txt")
    (root / "sub").mkdir()
    os.mkfifo(root / "sub" / "pipe")

    found = Sources({"": roots}).probe(["a.txt", "*.txt", "."])

    assert found == first_of(roots, "a.txt")
    with pytest.raises(SourceError, match="pipe is not a regular file"):
        listed(roots, ".")


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "must not be empty"),
        ("../root/a.txt", "'..' is not allowed"),
        ("a/../a.txt", "'..' is not allowed"),
        ("file:///etc/../etc/passwd", "'..' is not allowed"),
        ("a\0.txt", "NUL byte"),
        ("a\ud800.txt", "not valid Unicode"),
        ("/etc/passwd", "not below one of the source roots"),
        ("/no/such/file", "not below one of the source roots"),
        ("/*/passwd", "not below one of the source roots"),
        ("file:///etc/passwd", "not below one of the source roots"),
        ("file://a.txt", "must be followed by an absolute path"),
        ("s3://bucket/a.csv", "s3:// is not available in this deployment"),
        ("https://example.com/a.csv", "https:// is not available in this deployment"),
        ("missing.txt", "no such file or folder"),
        ("a.txt/b", "no such file or folder"),
        ("a.txt/", "no such file or folder"),
        ("n" * 300, "name too long"),
        ("empty", "the folder holds no files"),
        ("empty/", "the folder holds no files"),
        ("*.parquet", "matches no file"),
        ("missing/*.txt", "matches no file"),
        ("pipe", "pipe is not a regular file"),
        ("p*", "pipe is not a regular file"),
        ("out.txt", "leads out of the source roots"),
        ("out_*", "leads out of the source roots"),
        ("out_folder/secret.txt", "leads out of the source roots"),
        ("out_folder/missing.txt", "leads out of the source roots"),
        ("*/secret.txt", "leads out of the source roots"),
        ("**/secret.txt", "matches no file below the source roots"),
        ("dangling_out", "leads out of the source roots"),
        ("broken", "no such file or folder"),
        ("brok*", "cannot be read: No such file"),
    ],
)
def test_refused(roots: SourceRoots, root: Path, uri: str, reason: str) -> None:
    write(root / "a.txt")
    (root / "empty").mkdir()
    os.mkfifo(root / "pipe")
    outside = write(root.parent / "outside" / "secret.txt")
    (root / "out.txt").symlink_to(outside)
    (root / "out_folder").symlink_to(outside.parent)
    (root / "dangling_out").symlink_to(root.parent / "nothing")
    (root / "broken").symlink_to(root / "nothing")

    for is_sorted in (False, True):
        with pytest.raises(SourceError, match=reason) as caught:
            next(roots.list_files(uri, is_sorted=is_sorted))
        assert caught.value.path == URIS
        assert caught.value.location == (uri if uri.isprintable() and uri else ascii(uri))
        caught.value.message.encode()


def test_a_root_whose_name_begins_like_another_folder_is_not_confused(
    roots: SourceRoots, root: Path
) -> None:
    write(root.parent / "rooted" / "a.txt")

    with pytest.raises(SourceError, match="not below one"):
        first_of(roots, f"{root}ed/a.txt")


def test_one_bad_uri_among_good_ones_is_named(roots: SourceRoots, root: Path) -> None:
    write(root / "a.txt")

    with pytest.raises(SourceError) as caught:
        Sources({"": roots}).probe(["a.txt", "b.txt"])

    assert caught.value.location == "b.txt"


def test_without_roots_the_setting_is_named() -> None:
    with pytest.raises(SourceError, match="FANFOLD_SOURCE_ROOTS is not set"):
        first_of(SourceRoots(()), "a.txt")


def test_a_file_name_that_is_not_utf8_is_refused(roots: SourceRoots, root: Path) -> None:
    with open(os.fsencode(root) + b"/caf\xe9.txt", "w"):
        pass

    with pytest.raises(SourceError, match="is not UTF-8"):
        first_of(roots, ".")


@pytest.mark.parametrize("uri", ["locked.txt", "*.txt", ".", "locked/a.txt", "locked/*", "locked"])
def test_what_may_not_be_read_is_refused(public_root: Path, uri: str) -> None:
    write(public_root / "locked.txt").chmod(0)
    write(public_root / "locked" / "a.txt").parent.chmod(0)
    roots = SourceRoots((public_root,))

    with as_nobody(), pytest.raises(SourceError, match=r"(?i)permission denied"):
        first_of(roots, uri)


# ------------------------------------------------------------------ opening


def planned(root: Path) -> str:
    return str(write(root / "sub" / "a.txt", "content"))


def test_a_planned_file_can_be_opened(roots: SourceRoots, root: Path) -> None:
    with roots.open_file(planned(root)) as stream:
        assert stream.read() == b"content"


def test_a_link_within_the_roots_can_be_opened(roots: SourceRoots, root: Path) -> None:
    (root / "link.txt").symlink_to(planned(root))

    with roots.open_file(str(root / "link.txt")) as stream:
        assert stream.read() == b"content"


@pytest.mark.parametrize("later", ["CONTENT", "content and more"])
def test_a_file_that_was_changed_since_it_was_listed_is_not_opened(
    roots: SourceRoots, root: Path, later: str
) -> None:
    path = planned(root)
    (listed_before,) = roots.list_files("sub/a.txt")
    roots.open_file(path, version=listed_before.version).close()
    write(root / "sub" / "a.txt", later)
    os.utime(path, ns=(0, 0))

    with pytest.raises(SourceChangedError, match=r"^sub/a\.txt: was changed after") as caught:
        roots.open_file(path, version=listed_before.version)
    assert caught.value.location == "sub/a.txt"
    with roots.open_file(path) as stream:
        assert stream.read() == later.encode()


def test_a_deleted_file_counts_as_changed(roots: SourceRoots, root: Path) -> None:
    path = planned(root)
    delete(root)

    with pytest.raises(SourceChangedError, match="was deleted"):
        roots.open_file(path)


def test_a_local_path_is_told_for_what_may_be_read_alone(roots: SourceRoots, root: Path) -> None:
    path = planned(root)
    (root / "link.txt").symlink_to(path)

    assert roots.local_path(str(root / "link.txt")) == path

    link_file_out(root)
    with pytest.raises(SourceError, match="is not below one of the source roots"):
        roots.local_path(path)


def test_wildcards_mean_themselves_where_one_file_is_looked_up(
    roots: SourceRoots, root: Path
) -> None:
    write(root / "a.txt")

    with pytest.raises(SourceError, match="there is no such file"):
        roots.stat_file(str(root / "*.txt"))
    with pytest.raises(SourceError, match="is not below one of the source roots"):
        roots.stat_file("/etc/passwd")


def delete(root: Path) -> None:
    (root / "sub" / "a.txt").unlink()


def delete_folder(root: Path) -> None:
    delete(root)
    (root / "sub").rmdir()


def link_file_out(root: Path) -> None:
    delete(root)
    (root / "sub" / "a.txt").symlink_to(write(root.parent / "outside" / "a.txt"))


def link_folder_out(root: Path) -> None:
    write(root.parent / "outside" / "a.txt")
    delete_folder(root)
    (root / "sub").symlink_to(root.parent / "outside")


def make_pipe(root: Path) -> None:
    delete(root)
    os.mkfifo(root / "sub" / "a.txt")


def make_folder(root: Path) -> None:
    delete(root)
    (root / "sub" / "a.txt").mkdir()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (delete, "was deleted after the job was planned"),
        (delete_folder, "was deleted after the job was planned"),
        (link_file_out, "is not below one of the source roots"),
        (link_folder_out, "is not below one of the source roots"),
        (make_pipe, "cannot be read: not a regular file"),
        (make_folder, "cannot be read: not a regular file"),
    ],
)
def test_a_file_that_changed_its_nature_after_planning_is_not_opened(
    roots: SourceRoots, root: Path, change: Callable[[Path], None], reason: str
) -> None:
    path = planned(root)
    change(root)

    with pytest.raises(SourceError, match=rf"^sub/a\.txt: {reason}") as caught:
        roots.open_file(path)
    assert caught.value.location == "sub/a.txt"


def test_a_file_that_lost_its_permission_is_not_opened(public_root: Path) -> None:
    path = write(public_root / "a.txt")
    path.chmod(0)
    roots = SourceRoots((public_root,))

    with as_nobody(), pytest.raises(SourceError, match="cannot be read: Permission denied"):
        roots.open_file(str(path))


def test_no_descriptor_is_left_open(roots: SourceRoots, root: Path) -> None:
    path = planned(root)
    before = os.listdir("/proc/self/fd")
    for change in (lambda _: None, make_pipe, delete_folder):
        change(root)
        with _nothing_raised_but_source_errors():
            roots.open_file(path).close()

    assert os.listdir("/proc/self/fd") == before


@contextmanager
def _nothing_raised_but_source_errors() -> Iterator[None]:
    try:
        yield
    except SourceError:
        return


def test_a_link_out_of_the_roots_that_nobody_named_is_passed_over(
    roots: SourceRoots, root: Path
) -> None:
    write(root / "app.log")
    (root / "README").symlink_to(write(root.parent / "outside" / "README.logs"))

    for uri in ("**/*.log", ".", "**"):
        assert [Path(file.path).name for file in roots.list_files(uri)] == ["app.log"]


class TestPrivateFolders:
    """A root may hold the service's own folder; its files are not there for jobs."""

    @pytest.fixture
    def holding(self, tmp_path: Path) -> SourceRoots:
        (tmp_path / "data" / "files").mkdir(parents=True)
        (tmp_path / "a.txt").write_text("a")
        (tmp_path / "data" / "signing.key").write_text("secret")
        (tmp_path / "data" / "files" / "b.txt").write_text("b")
        return SourceRoots((tmp_path,), private=(tmp_path / "data",))

    def test_it_is_passed_over_where_a_pattern_leads_through(self, holding: SourceRoots) -> None:
        assert [Path(file.path).name for file in holding.list_files("**")] == ["a.txt"]

    @pytest.mark.parametrize(
        "uri", ["data/signing.key", "data/", "data/*", "data/files/b.txt", "./data/signing.key"]
    )
    def test_it_cannot_be_named(self, holding: SourceRoots, uri: str) -> None:
        with pytest.raises(SourceError):
            list(holding.list_files(uri))

    def test_it_cannot_be_opened(self, holding: SourceRoots, tmp_path: Path) -> None:
        path = str(tmp_path / "data" / "signing.key")
        for ask in (holding.open_file, holding.stat_file, holding.local_path):
            with pytest.raises(SourceError):
                ask(path)

    def test_a_link_does_not_lead_into_it(self, holding: SourceRoots, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "data")

        with pytest.raises(SourceError):
            list(holding.list_files("link/signing.key"))

    def test_a_root_within_it_may_be_read(self, holding: SourceRoots, tmp_path: Path) -> None:
        own = tmp_path / "data"
        for folders in ((own / "files",), (tmp_path, own / "files")):
            roots = SourceRoots(folders, private=(own,))
            listed = [file.path for file in roots.list_files("b.txt")]
            assert listed == [str(own / "files" / "b.txt")]
            with roots.open_file(listed[0]) as file:
                assert file.read() == b"b"

"""Every page leads where it says, and names what there is."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.aws.settings import AwsSettings
from app.settings import PREFIX, Settings
from tests.deploy.manifests import DEPLOY, ROOT

PAGES: Final = [
    page for folder in (".", "docs", "examples") for page in sorted((ROOT / folder).glob("*.md"))
]
SETTINGS: Final = {PREFIX + name.upper() for name in Settings.model_fields}
OF_AWS: Final = {f"{PREFIX}AWS_{name.upper()}" for name in AwsSettings.model_fields}
OF_CLIENTS: Final = {"FANFOLD_URL", "FANFOLD_TOKEN"}
A_SETTING: Final = re.compile(r"\bFANFOLD_[A-Z0-9_]*[A-Z0-9]\b")
A_PATH: Final = re.compile(
    r"(?:adapters|app|bench|console|deploy|docs|engine|examples|resolvers|schema|tests|transport"
    r"|workers)/(?:[\w.-]+/)*[\w-]*(?:\.(?:py|md|json|ya?ml|service|svg|mjs|sh|lua|graphql))?"
)

CODE: Final = [
    path
    for folder in (
        *("adapters", "app", "bench", "deploy", "engine", "examples", "resolvers", "schema"),
        *("tests", "transport", "workers"),
    )
    for ending in ("py", "lua", "js", "mjs", "sh", "graphql")
    for path in sorted((ROOT / folder).rglob(f"*.{ending}"))
    if "node_modules" not in path.parts
]
A_CODE_FILE: Final = re.compile(r"(?<![\w/.*-])[\w./-]*\w\.(?:py|lua|js|mjs|sh|graphql)\b(?!\()")
A_NAME_OF_OURS: Final = re.compile(
    r"`((?:adapters|app|bench|engine|resolvers|schema|tests|transport|workers)(?:\.\w+)+)`"
)


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def inline(page: Path) -> list[Token]:
    return [child for token in tokens(page) for child in token.children or ()]


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading, text in zip(tokens(page), tokens(page)[1:], strict=False):
        if heading.type != "heading_open":
            continue
        words = "".join(
            child.content for child in text.children or () if child.type in ("text", "code_inline")
        )
        slug = "".join(
            letter
            for letter in unicodedata.normalize("NFC", words).lower().replace(" ", "-")
            if letter.isalnum() or letter in "-_"
        )
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def named(page: Path) -> list[str]:
    links = [str(token.attrs["href"]) for token in inline(page) if token.type == "link_open"]
    images = [str(token.attrs["src"]) for token in inline(page) if token.type == "image"]
    return links + images


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in named(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # tells of what was
    paths = {
        token.content
        for token in inline(page)
        if token.type == "code_inline" and A_PATH.fullmatch(token.content)
    }

    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def remarks(path: Path) -> Iterator[str]:
    """Return the comments of a file in Python or Lua, and the docstrings."""
    text = path.read_text()
    if path.suffix == ".lua":
        yield from re.findall(r"--.*", text)
    elif path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Expr(value=ast.Constant(value=str(docstring))):
                    yield docstring


def is_defined(name: str) -> bool:
    """Tell whether a dotted name leads to a module of ours, and to words that stand in it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if module.exists():
            words = {*re.findall(r"\w+", module.read_text())}
            return {*parts[length:]} <= words
    return False


def test_what_comments_and_docstrings_name_is_there() -> None:
    ends = {
        "/".join(parts[start:])
        for parts in (path.relative_to(ROOT).parts for path in CODE)
        for start in range(len(parts))
    }
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in CODE
        for remark in remarks(path)
        for name in [
            *(name for name in A_CODE_FILE.findall(remark) if name not in ends),
            *(name for name in A_NAME_OF_OURS.findall(remark) if not is_defined(name)),
        ]
    }

    assert missing == set()


def test_settings_that_are_named_exist() -> None:
    files = (path for path in DEPLOY.rglob("*") if path.is_file())
    texts = [*PAGES, *(path for path in files if "node_modules" not in path.parts)]
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts
        for name in A_SETTING.findall(path.read_text())
        if name not in SETTINGS | OF_CLIENTS | OF_AWS
    }

    assert unknown == set()


def test_every_setting_has_one_row_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(FANFOLD_\w+)` \| (.*?) \|", (ROOT / "docs" / "SETTINGS.md").read_text(), re.M
    )
    plain = {
        PREFIX + name.upper(): str(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, int | str | Path) and not isinstance(field.default, bool)
    }

    assert sorted(name for name, _ in rows) == sorted(SETTINGS | OF_CLIENTS)
    assert {name: default for name, default in rows if name in plain} == plain


def test_every_setting_on_aws_has_one_row() -> None:
    rows = re.findall(r"^\| `(FANFOLD_AWS_\w+)` \|", (ROOT / "docs" / "AWS.md").read_text(), re.M)

    assert sorted(rows) == sorted(OF_AWS)


def test_every_variable_of_the_measurements_has_one_row() -> None:
    rows = re.findall(r"^\| `(BENCH_\w+)` \|", (ROOT / "docs" / "BENCHMARKS.md").read_text(), re.M)
    read = {
        name
        for path in sorted((ROOT / "bench").rglob("*.py"))
        for name in re.findall(r'environ\.get\(\s*"(BENCH_\w+)"', path.read_text())
    }

    assert sorted(rows) == sorted(read)


def test_every_page_can_be_found_from_the_map() -> None:
    reached, waiting = {ROOT / "README.md", ROOT / "CHANGELOG.md"}, [ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in PAGES:
            continue
        reached.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve()
            for link in named(page)
            if not re.match(r"[a-z]+:|#", link)
        ]

    assert [page.name for page in PAGES if page not in reached] == []

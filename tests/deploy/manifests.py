"""What ``deploy/`` says, as Python values."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from app.cli import app
from app.settings import Settings, load_settings

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"
DATA_DIR: Final = "/var/lib/fanfold"
_VARIABLE: Final = re.compile(r"\$\{\w+:-([^}]*)\}")

Document = dict[str, Any]


def read_yaml(path: Path) -> list[Document]:
    """Return the documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def compose_services() -> Document:
    """Return the services of the compose file, with the defaults of its variables."""
    [document] = read_yaml(DEPLOY / "compose.yaml")
    services: Document = _with_defaults(document["services"])
    return services


def manifests(kind: str | None = None) -> dict[str, Document]:
    """Return what Kubernetes gets by name, such as ``Deployment/fanfold-api``."""
    found = {
        f"{document['kind']}/{document['metadata']['name']}": document
        for path in sorted(KUBERNETES.rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in read_yaml(path)
    }
    return {name: value for name, value in found.items() if kind in (None, value["kind"])}


def pods() -> dict[str, Document]:
    """Return the pod that each workload makes, by the workload's name."""
    return {
        name.partition("/")[2]: document["spec"]["template"]
        for name, document in manifests().items()
        if document["kind"] in ("Deployment", "StatefulSet")
    }


def kustomizations() -> dict[Path, Document]:
    return {path: read_yaml(path)[0] for path in sorted(KUBERNETES.rglob("kustomization.yaml"))}


def cluster_settings() -> dict[str, str]:
    """Return the variables that the base's ConfigMap holds."""
    [generator] = kustomizations()[KUBERNETES / "base" / "kustomization.yaml"]["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def settings_given(environ: dict[str, Any], tmp_path: Path) -> Settings:
    """Return what the service makes of *environ*, with folders that exist here.

    Raises:
        ConfigError: It would not start.
    """
    files = tmp_path / "files"
    files.mkdir(exist_ok=True)
    variables = {name: "" if value is None else str(value) for name, value in environ.items()}
    return load_settings(variables, data_dir=tmp_path / "data", source_roots=str(files))


def commands() -> set[str]:
    """Return the commands that there are."""
    return {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback is not None
    }


def version() -> str:
    """Return the version that this checkout has."""
    project: Document = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def strings_in(value: object) -> Iterator[str]:
    """Yield every text in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from strings_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner)
    elif isinstance(value, str):
        yield value


def _with_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_defaults(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_defaults(inner) for inner in value]
    return _VARIABLE.sub(r"\1", value) if isinstance(value, str) else value

"""What ``deploy/kubernetes/`` says: the schemas of Kubernetes, and what they cannot know."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import kubernetes_validate
import pytest
import yaml

from app.serving.health import health_routes
from app.serving.server import SHUTDOWN_WITHIN_S
from engine.errors import ConfigError
from tests.deploy.manifests import (
    DATA_DIR,
    KUBERNETES,
    ROOT,
    Document,
    cluster_settings,
    commands,
    compose_services,
    kustomizations,
    manifests,
    pods,
    settings_given,
    version,
)
from tests.support.needs import do_without

OLDEST: Final = "1.31"
NEWEST: Final = "1.37"
ROLES: Final = ("fanfold-api", "fanfold-worker")
PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")


def container_of(workload: str) -> Document:
    [container] = pods()[workload]["spec"]["containers"]
    return dict(container)


def matches(selector: Document, labels: dict[str, str]) -> bool:
    """Whether a selector finds what has *labels*; the base adds two to both."""
    added = {"app.kubernetes.io/name": "fanfold", "app.kubernetes.io/part-of": "fanfold"}
    wanted: dict[str, str] = selector.get("matchLabels", selector)
    return wanted.items() <= (added | labels).items()


def validate(document: Document, release: str) -> None:
    """Check a document as the API server of a release would.

    Raises:
        Exception: It would be refused.
    """
    kubernetes_validate.validate(document, release, strict=True)


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
def test_every_document_is_what_kubernetes_takes(release: str) -> None:
    own = {name: document for name, document in manifests().items() if name != _SCALED}

    assert own
    for document in own.values():
        validate(document, release)


def test_the_example_comes_together(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        do_without("needs kubectl")

    built = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / "example"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert built.returncode == 0, built.stderr
    documents = {
        f"{document['kind']}/{document['metadata']['name']}": document
        for document in yaml.safe_load_all(built.stdout)
    }
    assert len(documents) == len(manifests()) + 1  # the ConfigMap
    for name, document in documents.items():
        if name != _SCALED:
            validate(document, OLDEST)
    worker = documents["Deployment/fanfold-worker"]["spec"]
    assert "replicas" not in worker  # the autoscaler's own
    assert worker["template"]["spec"]["containers"][0]["image"].endswith(f"/fanfold:{version()}")


def test_kustomizations_name_what_is_there() -> None:
    for path, document in kustomizations().items():
        named = [*document.get("resources", ()), *document.get("components", ())]
        missing = [name for name in named if not (path.parent / name).exists()]
        files = {file.name for file in path.parent.glob("*.yaml")} - {"kustomization.yaml"}

        assert not missing
        assert files <= set(named)


@pytest.mark.parametrize("workload", ROLES)
def test_a_role_starts_with_the_settings_that_it_gets(workload: str, tmp_path: Path) -> None:
    container = container_of(workload)
    secret = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"]}
    given = {"FANFOLD_REDIS_URL": "redis://redis:6379/0", "FANFOLD_SIGNING_KEY": "k" * 44}

    settings = settings_given(cluster_settings() | given, tmp_path)

    assert settings.auth
    assert (settings.result_uri or "").startswith("s3://")
    assert secret.keys() == given.keys()
    assert {reference["name"] for reference in secret.values()} == {"fanfold"}
    assert container["args"] == [workload.removeprefix("fanfold-")]
    assert set(container["args"]) <= commands()


def test_without_a_key_of_its_own_nobody_else_would_start_on_all_addresses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FANFOLD_HOST"):
        settings_given(cluster_settings() | {"FANFOLD_AUTH": "off"}, tmp_path)


@pytest.mark.parametrize("workload", [*ROLES, "fanfold-redis"])
def test_kubernetes_adds_no_variables_that_look_like_settings(workload: str) -> None:
    assert pods()[workload]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("workload", [*ROLES, "fanfold-redis"])
def test_a_pod_has_no_rights_that_it_does_not_need(workload: str) -> None:
    pod, container = pods()[workload]["spec"], container_of(workload)

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("workload", ROLES)
def test_the_user_is_the_image_s_and_may_write_where_it_must(workload: str) -> None:
    pod, container = pods()[workload]["spec"], container_of(workload)
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    user, group = (pod["securityContext"][name] for name in ("runAsUser", "runAsGroup"))

    assert f"USER {user}:{group}\n" in image
    assert pod["securityContext"]["fsGroup"] == group
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {DATA_DIR, "/tmp"}  # noqa: S108
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


def test_probes_ask_what_is_served_by_a_name_that_is_answered() -> None:
    served = {route.path for route in health_routes(None, is_closing=lambda: False)}  # type: ignore[arg-type]
    api = container_of("fanfold-api")
    asked = {name: api[name]["httpGet"] for name in PROBES}

    assert {name: get["path"] for name, get in asked.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert {get["path"] for get in asked.values()} <= served


def test_a_worker_is_not_restarted_because_redis_is_away() -> None:
    worker = container_of("fanfold-worker")
    ports = {port["name"]: port["containerPort"] for port in worker["ports"]}
    get = worker["livenessProbe"]["httpGet"]

    assert get == {"path": "/metrics", "port": "metrics"}
    assert ports["metrics"] == int(cluster_settings()["FANFOLD_METRICS_PORT"])
    assert cluster_settings()["FANFOLD_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - what is checked
    assert "readinessProbe" not in worker  # nobody calls it


def test_pods_get_the_time_to_end_that_their_roles_take(tmp_path: Path) -> None:
    settings = settings_given(cluster_settings(), tmp_path)
    api, worker = pods()["fanfold-api"]["spec"], pods()["fanfold-worker"]["spec"]
    pause = container_of("fanfold-api")["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert api["terminationGracePeriodSeconds"] >= pause + SHUTDOWN_WITHIN_S + 10
    assert worker["terminationGracePeriodSeconds"] >= settings.grace_seconds + 10


def test_what_refers_to_pods_finds_them() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods().items()}
    selectors = {
        name: document["spec"]["selector"]
        for name, document in manifests().items()
        if document["kind"] in ("Service", "PodDisruptionBudget")
    }

    for name, selector in selectors.items():
        found = [workload for workload, has in labels.items() if matches(selector, has)]
        stem = name.partition("/")[2]
        assert found == ["fanfold-api" if stem == "fanfold" else stem]


def test_what_grows_is_there_and_its_number_is_nobody_else_s() -> None:
    names = {name.partition("/")[2]: value for name, value in manifests("Deployment").items()}
    api = manifests()["HorizontalPodAutoscaler/fanfold-api"]["spec"]
    worker = manifests()[_SCALED]["spec"]

    assert api["scaleTargetRef"]["name"] in names
    assert "replicas" not in names[api["scaleTargetRef"]["name"]]["spec"]
    assert worker["scaleTargetRef"]["name"] in names
    assert 1 <= worker["minReplicaCount"] < worker["maxReplicaCount"]


def test_the_signal_for_growth_is_made_of_figures_that_there_are() -> None:
    [trigger] = manifests()[_SCALED]["spec"]["triggers"]
    named = set(re.findall(r"fanfold_\w+", trigger["metadata"]["query"]))
    documented = (ROOT / "docs" / "OPERATING.md").read_text()

    assert trigger["type"] == "prometheus"
    assert "fanfold_queue_depth" in named
    assert all(f"`{name}" in documented for name in named)


def test_nobody_outside_reads_figures_or_redis() -> None:
    ports = {
        name: [port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]]
        for name, policy in manifests("NetworkPolicy").items()
    }

    assert ports == {
        "NetworkPolicy/fanfold-nothing": [],
        "NetworkPolicy/fanfold-callers": [8000],
        "NetworkPolicy/fanfold-metrics": [9464],
        "NetworkPolicy/fanfold-needs": [],
        "NetworkPolicy/fanfold-redis": [6379],
    }


def test_redis_is_the_one_of_the_compose_file_but_for_its_size() -> None:
    container, service = container_of("fanfold-redis"), compose_services()["redis"]

    differs = set(container["args"]) ^ set(service["command"])

    assert container["image"] == service["image"]
    assert differs == {"1gb", "2gb"}


_SCALED: Final = "ScaledObject/fanfold-worker"

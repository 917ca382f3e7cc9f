"""What ``deploy/aws`` says: the template, the state machines, the resolvers and their checks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from app.aws.settings import load_deployment
from app.commands.service import SignIn, schema
from schema.appsync import SIGN_IN_MODES
from schema.build import build_schema
from tests.deploy.manifests import DEPLOY
from tests.support.needs import do_without
from tests.support.node import Node, NoNodeError, without_proxies
from transport.appsync.fields import fields_of

AWS: Final = DEPLOY / "aws"
TEMPLATE: Final = AWS / "template.yaml"
RESOLVERS: Final = AWS / "resolvers"
MAX_TEMPLATE_BYTES: Final = 51_200
"""What CloudFormation takes without a bucket."""
LOOP: Final = "Fn::ForEach::"


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads templates; of ``!Ref x`` it makes ``Ref x``."""


def _read_tag(loader: Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return f"{tag} {node.value}"
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {tag: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _read_tag)


@cache
def template() -> dict[str, Any]:
    return dict(yaml.load(TEMPLATE.read_text(), Loader))  # noqa: S506 - a safe one


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of resources of a type that no loop makes."""
    return {
        name: found["Properties"]
        for name, found in template()["Resources"].items()
        if not name.startswith(LOOP) and found["Type"] == f"AWS::{kind}"
    }


def loop(name: str) -> tuple[list[str], dict[str, Any]]:
    """Return what a loop goes through, and the properties of what it makes."""
    _, values, body = template()["Resources"][LOOP + name]
    [made] = body.values()
    return values, made["Properties"]


def functions() -> dict[str, dict[str, Any]]:
    return resources("Serverless::Function")


def variables_of(function: dict[str, Any]) -> dict[str, Any]:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    return {**shared, **function.get("Environment", {"Variables": {}})["Variables"]}


def nulls(value: Any, path: str = "") -> Iterator[str]:
    """Yield where nothing is said, as by ``{Description: this, or that}``."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from nulls(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from nulls(inner, f"{path}.{index}")
    elif value is None:
        yield path


@pytest.fixture(scope="module")
def node() -> Node:
    try:
        found = Node.find()
        found.install(AWS)
    except NoNodeError as exc:
        do_without(str(exc))
    return found


def said_by(node: Node, script: str, *words: str | Path) -> str:
    command = node.command(AWS / "node_modules" / script, *map(str, words))
    ran = subprocess.run(
        command, cwd=AWS, env=without_proxies(), capture_output=True, text=True, check=False
    )
    return f"{ran.stdout}{ran.stderr}" if ran.returncode else ""


class TestTheTemplate:
    def test_cfn_lint_has_nothing_to_say(self) -> None:
        lint = Path(sys.executable).with_name("cfn-lint")

        ran = subprocess.run([lint, TEMPLATE], capture_output=True, text=True, check=False)

        assert (ran.returncode, ran.stdout) == (0, "")

    def test_it_is_small_enough_and_uses_no_yaml_that_cloudformation_refuses(self) -> None:
        text = TEMPLATE.read_text()

        assert len(text.encode()) < MAX_TEMPLATE_BYTES
        assert not re.findall(r"(?:^|\s)[&*]\w+\s*$", text, re.M), "an anchor or alias"
        assert list(nulls(template())) == []

    def test_each_function_starts_a_handler_that_exists(self) -> None:
        for name, function in functions().items():
            [command] = function["ImageConfig"]["Command"]
            module, _, handler = command.rpartition(".")

            assert callable(getattr(import_module(module), handler)), name

    @pytest.mark.parametrize("name", functions())
    def test_each_function_has_settings_that_are_understood(self, name: str) -> None:
        given = {
            "FANFOLD_RESULT_URI": "s3://bucket/fanfold",
            "FANFOLD_AUTH": "keys,jwt",
            "FANFOLD_JWKS_URL": "https://issuer.example/keys",
            "FANFOLD_JWT_ISSUER": "https://issuer.example",
            "FANFOLD_JWT_AUDIENCE": "fanfold",
            "FANFOLD_JWT_TENANT_CLAIM": "tenant",
            "FANFOLD_ALLOWED_ORIGINS": "",
            "FANFOLD_PROGRAMS": "",
            "FANFOLD_RETENTION_SECONDS": "604800",
            "FANFOLD_LOG_LEVEL": "info",
            "FANFOLD_SIGNING_KEY": "x" * 64,
            "FANFOLD_AWS_API_KEY_SCOPES": "read,submit",
        }
        environ = {
            variable: given.get(variable, "named-by-aws" if _is_made(value) else str(value))
            for variable, value in variables_of(functions()[name]).items()
        }

        load_deployment(environ)

    def test_each_function_has_an_alarm(self) -> None:
        watched, _ = loop("FunctionAlarms")

        assert sorted(watched) == sorted(functions())

    def test_every_parameter_is_explained_or_named_for_what_it_is(self) -> None:
        groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]

        assert sorted(shown) == sorted(template()["Parameters"])


class TestAppSync:
    def test_python_answers_the_fields_that_it_knows(self) -> None:
        named, properties = loop("AnsweredByPython")

        assert named == list(fields_of(build_schema().graphql))
        assert properties["DataSourceName"] == "GetAtt ResolverSource.Name"

    def test_every_subscription_is_filtered(self) -> None:
        named, properties = loop("Subscriptions")
        subscription = build_schema().graphql.subscription_type

        assert subscription is not None
        assert named == list(subscription.fields)
        assert properties["DataSourceName"] == "GetAtt TableSource.Name"

    def test_the_code_of_resolvers_is_that_of_the_files(self) -> None:
        [publish] = resources("AppSync::Resolver").values()
        codes = {
            "python.js": loop("AnsweredByPython")[1],
            "subscribe.js": loop("Subscriptions")[1],
            "publishJobStatus.js": publish,
        }

        assert {path.name for path in RESOLVERS.iterdir()} == set(codes)
        for name, properties in codes.items():
            assert properties["Code"] == (RESOLVERS / name).read_text(), name

    def test_the_schema_is_printed_for_other_modes(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        schema(appsync=True, sign_in=[SignIn.COGNITO])

        printed = capsys.readouterr().out

        assert "type Job @aws_iam @aws_cognito_user_pools {" in printed
        assert "aws_api_key" not in printed

    def test_those_modes_are_switched_on_in_which_callers_sign_in(self) -> None:
        [api] = resources("AppSync::GraphQLApi").values()
        modes = [api["AuthenticationType"]]
        modes += [each["AuthenticationType"] for each in api["AdditionalAuthenticationProviders"]]

        assert sorted(f"aws_{mode.lower().removeprefix('aws_')}" for mode in modes) == sorted(
            SIGN_IN_MODES
        )


class TestTheChecks:
    def test_the_state_machines_are_valid(self, node: Node) -> None:
        paths = sorted((AWS / "state_machines").iterdir())
        words = [word for path in paths for word in ("--json-path", path)]

        assert said_by(node, "asl-validator/dist/bin/asl-validator.js", *words) == ""

    def test_the_resolvers_are_what_appsync_runs(self, node: Node) -> None:
        assert said_by(node, "eslint/bin/eslint.js", "--max-warnings", "0", "resolvers") == ""

    def test_what_appsync_does_not_run_is_told(self, node: Node, tmp_path: Path) -> None:
        for name in ("eslint.config.js", "package.json", "tsconfig.json"):
            shutil.copy(AWS / name, tmp_path)
        (tmp_path / "node_modules").symlink_to(AWS / "node_modules")
        (tmp_path / "resolvers").mkdir()
        refused = {
            "new Set([1])": "there is no new",
            "Math.random()": "util.autoId",
            "Date.now()": "'Date' is not defined",
            "ctx.args.count++": "++ is not supported",
            "/a/": "Regex literals are not supported",
            "fetch('x')": "'fetch' is not defined",
        }
        statements = {
            "throw ctx": "there is no throw",
            "try { f(ctx); } catch { f(ctx); }": "Try statements",
            "for (;;) { f(ctx); }": "For statements",
            "while (ctx.on) { f(ctx); }": "While statements",
        }
        lines = [*(f"  f({each});" for each in refused), *(f"  {each};" for each in statements)]
        code = ["const f = (x) => x;", "export function request(ctx) {", *lines, "}"]
        (tmp_path / "resolvers" / "wrong.js").write_text("\n".join(code))

        eslint = node.command(AWS / "node_modules/eslint/bin/eslint.js", "resolvers")
        ran = subprocess.run(eslint, cwd=tmp_path, capture_output=True, text=True, check=False)

        wanted = [*refused.values(), *statements.values()]
        assert [told for told in wanted if told not in ran.stdout] == [], ran.stdout

    def test_the_lock_names_no_registry(self) -> None:
        assert "://" not in re.sub(
            r'"(?:url|funding)": "[^"]*"', "", (AWS / "package-lock.json").read_text()
        )


def _is_made(value: Any) -> bool:
    """Return whether CloudFormation makes a value of something."""
    return not isinstance(value, str) or bool(re.match(r"(Ref|Sub|GetAtt|Join|If) ", value))

"""The command ``fanfold``: reads words, calls what does the work, returns an exit status.

Exit status: 0 succeeded, 1 failed, cancelled or timed out, 2 partly succeeded (or, for the roles
of a service, ``key`` and ``webhook-secret``, wrongly configured), 3 called wrongly or a refused
input, 4 no service, 70 a fault of the command itself, 130 Ctrl-C, 143 SIGTERM.

What does the work is imported when its command runs, so that help appears at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from app.client.errors import REFUSED, ServiceError
from app.commands import job, keys, lists, result, service, share, submit
from app.commands.ending import FAULT, INTERRUPTED, tell
from app.commands.examples import EXAMPLES
from app.commands.help import SectionedCommand, SectionedGroup

WIDTH: Final = {"max_content_width": 100}

app = typer.Typer(
    name="fanfold",
    cls=SectionedGroup,
    context_settings=WIDTH,
    help="Map-reduce jobs over GraphQL, followed live.",
    epilog="Start with 'fanfold demo'.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"fanfold {version('fanfold')}")
        raise typer.Exit


@app.callback()
def fanfold(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Map-reduce jobs over GraphQL, followed live."""


key = typer.Typer(cls=SectionedGroup, help="Make, list and revoke API keys.", no_args_is_help=True)


def _add(
    command: Callable[..., Any], panel: str | None = None, *, to: typer.Typer = app, name: str = ""
) -> None:
    name = name or command.__name__
    examples = EXAMPLES.get(name) if to is app else None
    as_written = to.command(
        name,
        cls=SectionedCommand,
        context_settings=WIDTH,
        rich_help_panel=panel,
        epilog=examples,
    )
    as_written(command)


_SECTIONS: Final[dict[str, tuple[Callable[..., Any], ...]]] = {
    "Run it": (service.demo, service.up, service.api, service.worker),
    "Use it": (submit.submit, submit.plan, job.watch, result.result, share.share),
    "Look around": (lists.jobs, job.failures, lists.programs),
    "Change a job": (job.cancel, job.update, job.redrive, job.delete),
    "Set it up": (service.schema,),
}
for _section, _commands in _SECTIONS.items():
    for _command in _commands:
        _add(_command, _section)
_add(keys.webhook_secret, "Set it up", name="webhook-secret")
_add(keys.create_key, to=key, name="create")
_add(keys.list_keys, to=key, name="list")
_add(keys.revoke_key, to=key, name="revoke")
app.add_typer(key, name="key", rich_help_panel="Set it up")


def main() -> None:
    """Run the command of this process."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str], commands: typer.Typer = app) -> int:
    """Run one of *commands* and return its exit status; what is wrong goes to standard error."""
    try:
        status: int | None = commands(args, prog_name="fanfold", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as exc:
        return _refuse_words(exc)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ServiceError as exc:
        tell(exc.lines)
        return exc.exit_status
    except OSError as exc:
        return _end_without_output(exc)
    except Exception as exc:  # noqa: BLE001 - nobody is to see a traceback
        return _admit(exc)
    return status or 0


def _refuse_words(exc: typer.TyperException) -> int:
    """Tell what is wrong with the words, and where to read what would be right."""
    context: typer.Context | None = getattr(exc, "ctx", None)
    lines = exc.format_message().splitlines()
    if context is None or len(lines) != 1:
        # Several lines are the help itself, which comes when there are no words at all.
        typer.echo("\n".join(lines) if len(lines) > 1 else f"fanfold: {lines[0]}", err=True)
        return REFUSED
    message = lines[0].replace("Value error, ", "").rstrip(".")
    tell([f"{message}; '{context.command_path} --help' tells more"])
    return REFUSED


def _end_without_output(exc: OSError) -> int:
    """Tell that something of this machine is wrong, such as a full disk below standard output."""
    import os

    from app.client.errors import FAILED

    if not isinstance(exc, BrokenPipeError):  # whoever left early has seen enough
        what = "" if exc.filename is None else f"{exc.filename}: "
        tell([f"{what}{exc.strerror or exc}"])
    # What is left in the buffer would complain when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _admit(exc: Exception) -> int:
    """Tell that the command itself is at fault, and where the traceback is."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="fanfold-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(exc, file=file)
    tell([f"a fault of this command, {type(exc).__name__}: {exc}", f"more is in {file.name}"])
    return FAULT


if __name__ == "__main__":
    main()

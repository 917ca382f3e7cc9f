"""The command ``fanfold``: reads words, calls what does the work, returns an exit status.

Exit status: 0 succeeded, 1 failed, cancelled or timed out, 2 partly succeeded (or, for the roles
of a service, wrongly configured), 3 wrong words or a refused input, 4 no service, 70 a fault of the
command itself, 130 Ctrl-C, 143 SIGTERM.

What does the work is imported when its command runs, so that help appears at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.client.errors import REFUSED, ServiceError
from app.commands import job, keys, lists, result, service, submit
from app.commands.ending import FAULT, INTERRUPTED, tell

app = typer.Typer(
    name="fanfold",
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


key = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

for command in (
    service.demo,
    service.up,
    service.api,
    service.worker,
    service.schema,
    submit.submit,
    submit.plan,
    job.watch,
    result.result,
    lists.jobs,
    job.failures,
    job.cancel,
    job.update,
    job.redrive,
    job.delete,
    lists.programs,
):
    app.command()(command)
app.command("webhook-secret")(keys.webhook_secret)
key.command("create")(keys.create_key)
key.command("list")(keys.list_keys)
key.command("revoke")(keys.revoke_key)
app.add_typer(key, name="key")


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

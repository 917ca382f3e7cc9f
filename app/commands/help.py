"""Commands as people read and type them.

Help is plain text: options in sections, examples as they are typed. An option that is given has a
value: an empty one is refused, for it is mostly a variable of a script that was not set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typer._click import Context, HelpFormatter  # it has them nowhere else


_MAY_BE_EMPTY: Final = frozenset({"items_pointer"})  # which then points to the whole document


class SectionedCommand(TyperCommand):
    """A command whose options stand under the names of their panels, in order of appearance."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the words.

        Raises:
            BadParameter: They are wrong, or an option is empty.
        """
        rest = super().parse_args(ctx, args)
        empty = [
            param.opts[0]
            for param in self.params
            if param.param_type_name == "option"
            and param.name not in _MAY_BE_EMPTY
            and _is_empty(ctx.params.get(param.name or ""))
        ]
        if empty and not ctx.resilient_parsing:
            raise typer.BadParameter("it is empty", ctx, param_hint=empty)
        return rest

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return the words of the usage line as their metavars say them."""
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        return [self.options_metavar or "", *(param.metavar or "" for param in arguments)]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write arguments, options without a panel, then the others by section."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if param.param_type_name == "argument":
                # Typer adds the Python type, which tells a reader of help nothing.
                sections["Arguments"].append((param.metavar or record[0], record[1]))
            else:
                panel = getattr(param, "rich_help_panel", None) or "Options"
                sections.setdefault(panel, []).append(record)
        _write_sections(formatter, sections.items())

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the examples, one a line, not wrapped."""
        if self.epilog:
            lines = self.epilog.splitlines()
            title = "Example" if len(lines) == 1 else "Examples"
            formatter.write(f"\n{title}:\n" + "".join(f"  {line}\n" for line in lines))


class SectionedGroup(TyperGroup):
    """A group whose commands stand under the names of their panels, in order of appearance."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write commands by section."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        longest = max(len(name) for name, _ in commands)
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in commands:
            if command is None or command.hidden:
                continue
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            summary = command.get_short_help_str(formatter.width - 6 - longest)
            sections.setdefault(panel, []).append((name.ljust(longest), summary))
        _write_sections(formatter, sections.items())


def _is_empty(value: object) -> bool:
    return value == "" or (isinstance(value, list) and "" in value)


def _write_sections(
    formatter: HelpFormatter, sections: Iterable[tuple[str, list[tuple[str, str]]]]
) -> None:
    for name, rows in sections:
        if rows:
            with formatter.section(name):
                formatter.write_dl(rows)

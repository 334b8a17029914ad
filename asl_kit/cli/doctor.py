"""The command ``asl-kit doctor``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from asl_kit.cli.options import json_option
from asl_kit.environment import Check, Verdict, examine

_STYLES = {Verdict.OK: "green", Verdict.NOTE: "dim", Verdict.WARNING: "yellow", Verdict.BROKEN: "bold red"}


@click.command()
@json_option("the checks")
@click.pass_context
def doctor(ctx: click.Context, json_path: str | None) -> None:
    """Check this machine and the installation.

    The exit code is 1 if something is broken that extract, train, eval, predict or
    report needs. A warning reports what makes them slow or may make them fail later.
    """
    from asl_kit.cli.output import write_json

    click.echo("loading PyTorch and the decoders ...", err=True)
    checks = examine()
    if json_path != "-":
        _print(checks)
    if json_path is not None:
        write_json({"checks": [check.to_json() for check in checks]}, json_path)
    if any(check.verdict is Verdict.BROKEN for check in checks):
        ctx.exit(1)


def _print(checks: Sequence[Check]) -> None:
    try:
        from rich.table import Table
        from rich.text import Text

        from asl_kit.base.console import out
    except Exception:  # rich may be what is broken
        for check in checks:
            click.echo(f"{check.verdict}: {check.name}: {check.found}{f' -> {check.advice}' * bool(check.advice)}")
        return
    table = Table()
    for column in ("check", "found", "verdict", "what to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(
            Text(check.name), Text(check.found), Text(check.verdict, _STYLES[check.verdict]), Text(check.advice)
        )
    out().print(table)

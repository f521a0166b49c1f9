"""`fwsync sandbox`: hands its arguments to the sandbox's own command line."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> int:
    """Run an embedded Flywheel-compatible server: `fwsync sandbox --demo`; see `fwsync sandbox --help`."""
    from fwsync.cli import garbage
    from fwsync.sandbox.command import main

    garbage.loaded()
    return main(list(arguments), prog="fwsync sandbox")

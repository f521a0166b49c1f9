"""`fwsync completion`."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print a completion script.

    \b
    Examples:
      fwsync completion bash > ~/.local/share/bash-completion/completions/fwsync
      fwsync completion fish > ~/.config/fish/completions/fwsync.fish
    """
    from click.shell_completion import get_completion_class

    from fwsync.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click.Choice has refused it before
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(cli, {}, "fwsync", "_FWSYNC_COMPLETE").source())
    return 0

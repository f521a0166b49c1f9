"""`fwsync login` and `fwsync whoami`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fwsync.cli.options import Common, common

if TYPE_CHECKING:
    from fwsync.client.api import Flywheel
    from fwsync.model import User


@click.command()
@common
def login(common: Common) -> int:
    """Store an API key for later commands, after checking it against the site.

    The key is asked for without showing it, or read from standard input; it is never a command line argument. It is
    kept in fwsync's own configuration folder, readable by you alone.

    \b
    Examples:
      fwsync login
      fwsync login < key.txt
    """
    import anyio

    from fwsync.client.api import Flywheel
    from fwsync.credentials import store_key
    from fwsync.errors import AuthError

    settings = common.settings()
    text = click.prompt("API key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise AuthError("no key was given")

    async def check() -> tuple[str, User]:
        async with Flywheel.from_key(text, settings.network) as fw:
            await fw.auth_status()
            return fw.site, await fw.whoami()

    site, user = anyio.run(check)
    path = store_key(settings, text)
    _show(common, site, user, str(path))
    return 0


@click.command()
@common
def whoami(common: Common) -> int:
    """Show the site, the user, and where the API key comes from."""
    from fwsync.cli.start import run_reading
    from fwsync.credentials import find_key

    settings = common.settings()
    source = find_key(settings, flag=common.api_key_file).source

    async def ask(fw: Flywheel) -> tuple[str, User]:
        return fw.site, await fw.whoami()

    site, user = run_reading(common, settings, ask)
    _show(common, site, user, source)
    return 0


def _show(common: Common, site: str, user: User, source: str) -> None:
    import msgspec

    name = " ".join(filter(None, (user.firstname, user.lastname)))
    if common.json:
        click.echo(msgspec.json.encode({"site": site, "user": user.id, "name": name, "key": source}))
    else:
        click.echo(f"site  {site}\nuser  {user.id} ({name})\nkey   {source}")

"""The entry point: commands are loaded when they are used, and every error ends in one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import click

from fwsync.cli import garbage
from fwsync.cli.lazy import LazyGroup

COMMANDS = {
    "import": ("importing:import_", "Create subjects, sessions and acquisitions from a CSV."),
    "export": ("exporting:export", "Write a project's containers as the table that import reads."),
    "plan": ("planning:plan", "Write what an import would do to a file."),
    "apply": ("planning:apply_", "Carry out a plan file."),
    "mirror": ("mirroring:mirror", "Bring a selection of files into a local tree, and keep them in step."),
    "status": ("checking:status", "Tell how far a local tree is from what it should be."),
    "verify": ("checking:verify", "Read a local tree again and compare it with its hashes; repair it."),
    "push": ("pushing:push", "Send local changes of a mirrored tree back to where they came from."),
    "upload": ("transfers:upload", "Attach local files to a container."),
    "download": ("transfers:download", "Bring files of containers into a folder."),
    "collection": ("collections:collection", "List, show and build collections."),
    "ls": ("looking:ls", "List what is right below a path."),
    "tree": ("looking:tree", "Show the hierarchy below a path."),
    "find": ("looking:find", "Find containers by a finder filter."),
    "report": ("report:report", "Tables about a selection: demographics, overview, missing, gear status, quality."),
    "retry": ("runs:retry", "Try again what a run did not get done."),
    "gear": ("gears:gear", "List gears, show what one takes, run one on a selection, follow its jobs."),
    "runs": ("runs:runs", "List past runs, or show one."),
    "undo": ("undoing:undo", "Delete what an import created, where nobody has touched it since."),
    "login": ("keys:login", "Store an API key for later commands."),
    "whoami": ("keys:whoami", "Show the site, the user, and where the key comes from."),
    "init": ("init:init", "Write a commented fwsync.toml into this folder."),
    "sandbox": ("sandbox:sandbox", "Run an embedded Flywheel-compatible server."),
    "completion": ("completion:completion", "Print a shell completion script."),
}
"""Command to where it is defined and its one line of help: `--help` must not load what it lists."""


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="fwsync", message="fwsync %(version)s")
def cli() -> None:
    """Async, high-throughput ingestion and sync for Flywheel.

    \b
    Begin with:
      fwsync login                       store your API key
      fwsync init                        write fwsync.toml: project, zone, target folder
      fwsync import subjects.csv         rows become subjects, sessions, acquisitions
      fwsync mirror --gear NAME          the gear's outputs become a local tree
    """


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code (docs/reference/exit-codes.md lists them)."""
    try:
        result = cli.main(args=argv, prog_name="fwsync", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.Abort:
        return _say("stopped", 130)
    except click.ClickException as error:
        return _say(" ".join(error.format_message().split()), 2)
    except SystemExit as leave:
        # click ends so when the reader of our output has gone.
        return 0 if isinstance(leave.__context__, BrokenPipeError) else int(leave.code or 0)
    except KeyboardInterrupt:
        return _say("stopped; run the same command again to go on from here", 130)
    except BrokenPipeError:
        # The reader of our output has gone: nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _report(error)


def _report(error: BaseException) -> int:
    from fwsync.errors import FwsyncError
    from fwsync.logs import scrub

    known = _first_known(error, FwsyncError)
    if known is not None:
        return _say(scrub(known.line), known.exit_code)
    if os.environ.get("FWSYNC_DEBUG"):
        raise error
    where = _keep_traceback(error)
    return _say(f"this is a bug in fwsync ({type(error).__name__}); the details are in {where}", 1)


def _first_known(error: BaseException, kind: type[Any]) -> Any:
    """The error itself, or the first of a task group's errors that is one of ours."""
    if isinstance(error, kind):
        return error
    for inner in getattr(error, "exceptions", ()):
        if (found := _first_known(inner, kind)) is not None:
            return found
    return None


def _keep_traceback(error: BaseException) -> str:
    import tempfile
    import traceback

    from fwsync.logs import scrub

    text = scrub("".join(traceback.format_exception(error)))
    descriptor, path = tempfile.mkstemp(prefix="fwsync-bug-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as out:
        out.write(text)
    return path


def _say(line: str, code: int) -> int:
    # Labels and headers come from anyone: nothing of them may act on the terminal.
    shown = "".join(char if char.isprintable() else "\ufffd" for char in line)
    with contextlib.suppress(OSError):
        click.echo(f"fwsync: {shown}", err=True)
    return code


def run() -> None:
    """The console script."""
    garbage.put_off()
    code = main()
    garbage.leave()
    sys.exit(code)


if __name__ == "__main__":
    run()

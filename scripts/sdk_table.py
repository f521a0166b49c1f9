"""Writes the table of docs/sandbox.md: every public method of the official SDK, and what the sandbox does with it.

usage: python scripts/sdk_table.py [--check]        with --check it writes nothing and fails if the table is stale

The methods, their requests and the helpers that call them are read from the installed flywheel-sdk; which requests are
served is read from the sandbox's own router; what differs from a real site is written down here.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import flywheel.api as rooms
from aiohttp.test_utils import make_mocked_request
from flywheel.flywheel import Flywheel

from fwsync.sandbox import http
from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.server import make_app
from fwsync.sandbox.site import Site

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/sandbox.md"
BEGIN, END = "<!-- sdk table: scripts/sdk_table.py writes it -->", "<!-- end of the sdk table -->"

EXAMPLES = {
    "container_name": "projects",
    "subcontainer_name": "sessions",
    "permission_type": "users",
    "job_state": "pending",
}
"""Values for parameters that choose a route; all others are ids."""

DIFFERS = {
    "add_job": "runs a scripted gear, as `--jobs` says; a missing required input fails the run, not the request",
    "add_project_rule": "kept, never starts a job",
    "add_site_rule": "kept, never starts a job",
    "add_view": "kept on the container, the site or the user; never public",
    "add_provider": "kept, nothing is stored there",
    "bulk_move_sessions": "without a conflict mode nothing moves if there is a conflict",
    "complete_job": "needs no job ticket",
    "complete_s3_multipart_upload": "accepted, there is nothing to complete",
    "cleanup_signed_upload_url": "accepted, there is nothing to clean up",
    "create_signed_upload_url": "409 without `--signed-urls`",
    "delete_by_search": "a search that would find everything is refused",
    "delete_gear": "disables it",
    "delete_project": "at once, also with `background`",
    "determine_provider_for_job": "always the one that every sandbox has",
    "engine_complete_job": "needs no job ticket",
    "get_config": "what clients look at, no more",
    "get_current_user_avatar": "404 unless an avatar was set",
    "get_mapped_fields": "the fields of the newest document of a kind",
    "get_search_query_suggestions": "containers and top-level fields, no values",
    "get_search_status": "always up to date: there is no index",
    "get_user_avatar": "404 unless an avatar was set",
    "get_version": "says `sandbox`",
    "modify_project_settings": "kept, nothing obeys it",
    "modify_site_settings": "kept, nothing obeys it",
    "parse_search_query": "the grammar in `query/grammar.py`",
    "project_copy": "done when it is answered; no snapshot",
    "queue_adhoc": "finished when it is answered",
    "queue_saved": "finished when it is answered",
    "reap_jobs": "nothing is ever orphaned",
    "retry_job": "the provider is ignored",
    "search": "no index, so no lag; conditions on files hold for one and the same file",
    "upload_by_label": "never signed",
    "upload_by_reaper": "never signed",
    "upload_by_uid": "never signed",
}
"""What a method does otherwise than on a real site. All deletes take `delete_reason` and keep no audit trail."""


@dataclass(frozen=True)
class Row:
    """One method: its room in the SDK, its name, the request it makes, and `works`, `501` or how it differs."""

    room: str
    method: str
    request: str
    state: str


def api_methods() -> list[tuple[str, str, str, str]]:
    """(room, method, HTTP method, path) of every request that the SDK can make."""
    out = []
    for name, room in vars(rooms).items():
        if not inspect.isclass(room):
            continue
        for method, function in vars(room).items():
            if method.endswith("_with_http_info"):
                found = re.search(r"call_api\(\s*'([^']*)',\s*'(\w+)'", inspect.getsource(function))
                assert found, method
                out.append((name.removesuffix("Api"), method.removesuffix("_with_http_info"), found[2], found[1]))
    return sorted(out)


def helpers(known: dict[str, Row]) -> list[Row]:
    """The methods of the client that make no request of their own but call others."""
    out = []
    for name, function in vars(Flywheel).items():
        if name.startswith("_") or name in known or not inspect.isfunction(function):
            continue
        source = inspect.getsource(function)
        called = {one.removesuffix("_with_http_info") for one in re.findall(r"\bself\.(?:\w+_api\.)?(\w+)\(", source)}
        called = sorted(one for one in called if one in known)
        states = {known[one].state for one in called}
        state = "501" if states == {"501"} else "works"
        out.append(Row("Client", name, ", ".join(f"`{one}`" for one in called) or "-", state))
    return sorted(out, key=lambda row: row.method)


def filled(path: str) -> str:
    """A path with an example for each parameter."""
    return re.sub(r"\{(\w+)\}", lambda found: EXAMPLES.get(found[1], "5dc091c169d4f3002d16f32f"), path)


async def served(requests: list[tuple[str, str]]) -> list[bool]:
    """For each (method, path) whether the sandbox has a handler."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(SandboxOptions(), Path(folder))
        app = make_app(site)
        app.freeze()
        out = []
        for method, path in requests:
            match = await app.router.resolve(make_mocked_request(method, "/api" + filled(path)))
            out.append(match.http_exception is None and match.handler is not http.unknown_route)
        site.close()
    return out


def rows() -> list[Row]:
    """The whole table."""
    methods = api_methods()
    known = {}
    for (room, name, verb, path), there in zip(methods, asyncio.run(served([m[2:] for m in methods])), strict=True):
        state = f"differs: {DIFFERS[name]}" if there and name in DIFFERS else "works" if there else "501"
        known[name] = Row(room, name, f"{verb} {path}", state)
    made = [*sorted(known.values(), key=lambda row: (row.room, row.method)), *helpers(known)]
    unknown = sorted(DIFFERS.keys() - {row.method for row in made})
    assert not unknown, f"no such method: {unknown}"
    return made


def table() -> str:
    """The lines between the two markers."""
    made = rows()
    count = {state: sum(row.state.startswith(state) for row in made) for state in ("works", "differs", "501")}
    head = f"{count['works']} methods work, {count['differs']} differ, {count['501']} answer 501."
    lines = [BEGIN, head, "", "| room | method | request | what it does |", "|---|---|---|---|"]
    lines += [f"| {row.room} | `{row.method}` | {row.request} | {row.state} |" for row in made]
    return "\n".join([*lines, END])


def main(argv: list[str]) -> int:
    """Write the table, or with --check say whether it is fresh."""
    held = PAGE.read_text(encoding="utf-8")
    before, _, rest = held.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = before + table() + after
    if "--check" in argv:
        if new != held:
            print(f"{PAGE.name} is stale; run python scripts/sdk_table.py")
        return int(new != held)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

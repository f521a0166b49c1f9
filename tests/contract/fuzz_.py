"""Hostile requests: every route of the sandbox, with paths, queries and bodies of right and wrong kinds."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

HOSTILE = (
    "", " ", ".", "..", "%", "%00", "\x00", "a\nb", "a/b", "a,b", "'", '"', "\\", "<id:>", "<id:x>", "null", "true", "NaN",
    "-1", "0", "1e400", "9" * 40, "é", "日本語", "🧠", "\u202eabc", "x" * 300, "$where", "info.$a", "_id", "{}", "[]", "*",
    "5dc091c169d4f3002d16f32f", "(a+)+$", "(?P<a", "[", "^(.*)*x", "2024-13-45", "2024-01-01", "0001-01-01", "9999-12-31T23:59:59+23:59",
)  # fmt: skip
NAMES = (
    "_id", "id", "label", "code", "group", "project", "subject", "session", "acquisition", "info", "tags", "notes", "text",
    "value", "set", "replace", "delete", "add", "remove", "classification", "modality", "type", "name", "size", "filenames",
    "metadata", "inputs", "destination", "gear_id", "gear", "category", "config", "job", "jobs", "state", "priority",
    "job_ids", "targets", "contents", "operation", "nodes", "level", "path", "structured_query", "search_string",
    "return_type", "filters", "sort", "all_data", "columns", "src", "dst", "fileSpec", "groupBy", "filter", "container",
    "match", "format", "formatOptions", "analysisFilter", "processFiles", "missingDataStrategy", "containers", "sources",
    "destinations", "destination_container_type", "conflict_mode", "container_reference", "parent_ref", "permissions",
    "access", "role_ids", "timestamp", "timezone", "age", "weight", "sex", "uid", "date_of_birth", "optional", "fields",
    "projects", "subjects", "sessions", "acquisitions", "files", "analysis", "origin", "attempt", "success", "elapsed",
    "version", "manifest", "exchange", "description", "viewId", "containerId", "containerType", "filename", "search",
    "limit", "skip", "fd", "msg", "whitelist", "return", "capabilities", "peek", "success", "failure_reason", "profile",
    "container_filters", "mlset_filters", "types", "plus", "minus", "since", "query", "expr", "accumulator", "regex",
    "optional_input_policy", "use_context", "compute_provider_id", "key", "permissions_template", "email", "firstname",
)  # fmt: skip
QUERIES = (
    "filter", "sort", "limit", "skip", "page", "after_id", "include_all_info", "exhaustive", "ticket", "info", "member",
    "view", "version", "hash", "size", "simple", "csv", "format", "file_format", "containerId", "job", "inflate_job",
    "collection_id", "session", "user_id", "type", "prefix", "analyses", "metadata", "filename", "all_versions",
    "project_id", "full_tree", "preserve_metadata", "force", "delete_reason", "tags", "gear_id", "facets", "stats",
    "download_count", "check_count", "intent", "id", "root_id", "get_data",
)  # fmt: skip
FIELDS = (
    "label", "_id", "tags", "info.a", "info.a.b.c", "parents.project", "created", "age", "files.type", "files.info.x",
    "notes.text", "nothing", "subject.label", "a..b", ".", "info.", "project", "session", "timestamp", "type", "size",
)  # fmt: skip
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "=~", "=|", "", "==", "=>", "~", "!~")
SPANS = {"limit": "1 0 -1 999999999999 9999999999999 x 1.5", "page": "0 1 2 -3 99999999", "version": "0 1 -1 x 9e9"}


@dataclass
class Request:
    """One request, ready to send."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    route: str = ""


@dataclass(frozen=True)
class Route:
    """A method and a path whose placeholders have names, and choices where the router knows them."""

    method: str
    template: str
    choices: dict[str, list[str]]


def routes(app: web.Application) -> list[Route]:
    """All of a running application's table, without the catch-alls."""
    out = []
    for route in app.router.routes():
        if route.method == "*" or route.resource is None:
            continue
        told = route.resource.get_info()
        template = told.get("formatter") or told["path"]
        pattern = told["pattern"].pattern if "pattern" in told else ""
        choices = re.findall(r"\(\?P<(\w+)>([\w|-]+)\)", pattern)
        out.append(Route(route.method, template, {name: text.split("|") for name, text in choices}))
    assert len(out) > 100
    return out


class Maker:
    """Makes requests from a seed. `ids` are real ids by kind in the plural, `names` real file names by container id."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.ids: dict[str, str] = {}
        self.file_names: list[str] = ["a.csv"]

    def one(self, route: Route) -> Request:
        """A request for this route."""
        dice = self.dice
        chosen = {name: dice.choice(values) for name, values in route.choices.items()}
        names = re.findall(r"\{(\w+)\}", route.template)
        segments = {name: chosen.get(name) or self._segment(name, chosen, route) for name in names}
        path = route.template
        for name, value in segments.items():
            path = path.replace(f"{{{name}}}", value if name in chosen else quote(value, safe=""))
        if dice.random() < 0.5:
            pairs = [(name, self._query(name)) for name in dice.sample(QUERIES, dice.randint(1, 3))]
            path += "?" + urlencode(pairs)
        body, headers = self._body(route)
        return Request(route.method, path, body, headers, f"{route.method} {route.template}")

    def _segment(self, name: str, chosen: dict[str, str], route: Route) -> str:
        dice = self.dice
        if dice.random() < 0.15:
            return dice.choice([one for one in HOSTILE if one not in ("", ".", "..")])
        if name == "name" and "/files/" in route.template:
            return dice.choice(self.file_names)
        if name == "file_id":
            return self.ids.get("files", "x")
        kind = chosen.get("parents" if name == "parent" else "kind") or chosen.get("parents")
        if kind is None:
            found = re.search(r"/api/(\w+)/\{", route.template)
            kind = found.group(1) if found else None
        if name in ("id", "parent", "container_id") and kind in self.ids:
            return self.ids[kind]
        return dice.choice([*self.ids.values(), "x"])

    def _query(self, name: str) -> str:
        dice = self.dice
        if name == "filter":
            return self.filter()
        if name == "sort":
            return ",".join(
                f"{dice.choice(FIELDS)}{dice.choice((':asc', ':desc', '', ':x', ':1', ':-1'))}" for _ in range(2)
            )
        if name in SPANS:
            return dice.choice(SPANS[name].split())
        return dice.choice(("true", "false", "1", "csv", "json", "", *HOSTILE, *self.ids.values()))

    def filter(self) -> str:
        """A filter that may be right, slightly wrong or nonsense."""
        dice = self.dice
        clauses = []
        for _ in range(dice.choice((1, 1, 2, 3))):
            value = dice.choice(
                (*HOSTILE, "sub", '"a,b"', '"', "[a|b]", "[", "null", "1.5", "24", "\\,", *self.ids.values())
            )
            clauses.append(f"{dice.choice(FIELDS)}{dice.choice(OPERATORS)}{value}")
        text = ",".join(clauses)
        if dice.random() < 0.2:
            cut = dice.randrange(len(text) + 1)
            text = text[:cut] + dice.choice(HOSTILE) + text[cut:]
        return text

    def query(self) -> str:
        """A structured query that may be right, slightly wrong or nonsense."""
        dice = self.dice

        def one(depth: int) -> str:
            draw = dice.random()
            if depth < 4 and draw < 0.3:
                return f"({one(depth + 1)} {dice.choice(('AND', 'OR', 'and', 'XOR'))} {one(depth + 1)})"
            if depth < 4 and draw < 0.4:
                return f"NOT {one(depth + 1)}"
            kind = dice.choice(
                ("file", "session", "acquisition", "subject", "project", "analysis", "group", "collection", "x")
            )
            operator = dice.choice(
                ("=", "!=", "<", ">=", "CONTAINS", "LIKE", "IN", "NOT IN", "=~", "!~", "EXISTS", "??", "")
            )
            value = dice.choice((*HOSTILE, "[a, b]", "[a", "[]", '"a b"', "'x", "T2*", ".*SBRef.*", "%a_", "630720000"))
            return f"{kind}.{dice.choice(FIELDS)} {operator} {value}"

        text = one(0)
        if dice.random() < 0.3:
            cut = dice.randrange(len(text) + 1)
            text = text[:cut] + dice.choice((*HOSTILE, "(", ")", "NOT", "AND")) + text[cut:]
        return text

    def view(self) -> dict[str, Any]:
        """A data view with wrong members here and there."""
        dice = self.dice

        def maybe(*right: Any) -> Any:
            return self.value() if dice.random() < 0.15 else dice.choice(right)

        def column() -> Any:
            src = f"{dice.choice(('project', 'subject', 'session', 'acquisition', 'file', 'analysis', 'x'))}.{dice.choice(FIELDS)}"
            made = {
                "src": maybe(src, "subject", "file.name", "session.age_years"),
                "dst": maybe(None, "d"),
                "type": maybe(None, "int", "string"),
            }
            if dice.random() < 0.3:
                made["expr"] = maybe(
                    "x + 1", "x / 0", "x ** 9999999", "1 +", "__import__('os')", "x * 1e308 * 1e308", "(" * 200
                )
            if dice.random() < 0.3:
                made["accumulator"] = maybe("avg", "sum", "count", "max")
            return maybe(made)

        view: dict[str, Any] = {"label": maybe("v"), "columns": maybe([column() for _ in range(dice.randint(0, 4))])}
        if dice.random() < 0.6:
            view["fileSpec"] = maybe(
                {
                    "container": maybe("acquisition", "session", "subject", "project"),
                    "filter": maybe({"value": maybe("*.csv", "*", "(a+)+"), "regex": maybe(True, False)}),
                    "match": maybe("first", "all", "newest"),
                    "processFiles": maybe(True, False),
                    "format": maybe("csv", "json", "tsv", None),
                    "zipMember": maybe(None, {"value": "*.csv"}),
                    "formatOptions": maybe({}, {"delimiter": "ab"}, {"delimiter": ""}),
                    "columns": maybe([], [{"src": "a"}]),
                }
            )
        for name, right in (
            ("filter", ""),
            ("groupBy", None),
            ("sort", True),
            ("includeIds", False),
            ("errorColumn", True),
        ):
            if dice.random() < 0.3:
                view[name] = maybe(right, self.filter(), {"columns": [column()]})
        view["missingDataStrategy"] = maybe("none", "drop-row")
        return view

    def value(self, depth: int = 0) -> Any:
        """Any JSON value."""
        dice = self.dice
        draw = dice.random()
        if depth < 3 and draw < 0.25:
            return {dice.choice(NAMES): self.value(depth + 1) for _ in range(dice.randint(0, 4))}
        if depth < 3 and draw < 0.4:
            return [self.value(depth + 1) for _ in range(dice.randint(0, 3))]
        if draw < 0.6:
            return dice.choice(
                (None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, 2**64, 10**30, 1e308, -0.0, 59999999999999)
            )
        if draw < 0.8:
            return dice.choice((*self.ids.values(), *self.ids.keys(), "acquisition", "session", "project"))
        return dice.choice((*HOSTILE, "add", "analysis", "complete", "running", "high", "\ud800", "a\udfffb"))

    def _body(self, route: Route) -> tuple[bytes | None, dict[str, str]]:
        dice, json_kind = self.dice, {"Content-Type": "application/json"}
        if route.method in ("GET", "HEAD") and dice.random() < 0.9:
            return None, {}
        draw = dice.random()
        if draw < 0.08:
            return dice.choice(
                (b"", b" ", b"{", b"\xff\xfe", b"[" * 3000, b"NaN", b'{"a":1e999}', b'{"a":' * 2000, b"\x00", b'"x"')
            ), json_kind
        if draw < 0.12:
            return self._deep(), json_kind
        if draw < 0.22 or (route.template.endswith(("/files", "{how}")) and draw < 0.7):
            return self._multipart()
        if route.template.endswith("/search") and draw < 0.7:
            return _text(
                {"structured_query": self.query(), "return_type": dice.choice(("file", "session", "group"))}
            ), json_kind
        if "/views" in route.template and draw < 0.7:
            return _text(self.view()), json_kind
        known = _KNOWN.get((route.method, route.template.replace("{kind}", "_").replace("{parents}", "_")))
        if known is not None and draw < 0.6:
            return _text(
                {name: self.value(1) if dice.random() < 0.3 else right for name, right in known.items()}
            ), json_kind
        if draw < 0.8:
            return _text({dice.choice(NAMES): self.value() for _ in range(dice.randint(0, 6))}), json_kind
        if draw < 0.9:
            return _text([self.value() for _ in range(dice.randint(0, 4))]), json_kind
        return _text(self.value()), json_kind

    def _deep(self) -> bytes:
        """JSON that is right but nested far too deep for anything that recurses."""
        name, depth = json.dumps(self.dice.choice(NAMES)).encode(), self.dice.choice((90, 300, 600, 950))
        opens, closes = self.dice.choice(((b'{"a":', b"}"), (b"[", b"]"), (b"{" + name + b":", b"}")))
        return b'{"label":"d","group":"g",' + name + b":" + opens * depth + b"1" + closes * depth + b"}"

    def _multipart(self) -> tuple[bytes, dict[str, str]]:
        dice, edge = self.dice, "edge"
        kind = {
            "Content-Type": dice.choice(
                (f"multipart/form-data; boundary={edge}", "multipart/form-data", "multipart/mixed; boundary=x")
            )
        }
        parts = []
        for _ in range(dice.randint(0, 3)):
            name = dice.choice(("file", "file1", "metadata", "", "x"))
            file_name = dice.choice((None, "a.csv", "b.zip", "", "x" * 300, "..", "a/b", "é.txt"))
            head = f'Content-Disposition: form-data; name="{name}"' + (
                f'; filename="{file_name}"' if file_name is not None else ""
            )
            head = dice.choice(
                (head, head, head, "", "Content-Disposition", "Content-Transfer-Encoding: base64\r\n" + head)
            )
            content = dice.choice((b"x", b"", _text(self.value()), b"PK\x03\x04", b"\xff\xfe{"))
            parts.append(f"--{edge}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
        end = dice.choice((f"--{edge}--\r\n", f"--{edge}--\r\n", "", f"--{edge}")).encode()
        return b"".join([*parts, end]), kind


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()


_KNOWN: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/api/_/{id}/info"): {"set": {"a": 1}, "delete": ["a"]},
    ("POST", "/api/_/{id}/notes"): {"text": "x"},
    ("POST", "/api/_/{id}/tags"): {"value": "x"},
    ("POST", "/api/projects/{id}/upsert-hierarchy"): {
        "subject": {"label": "a"},
        "session": {"label": "b"},
        "acquisition": {"label": "c"},
    },
    ("PUT", "/api/collections/{id}"): {"contents": {"operation": "add", "nodes": [{"_id": "x", "level": "session"}]}},
    ("POST", "/api/_/{id}/analyses"): {"label": "a", "job": {"gear_id": "x"}, "inputs": []},
    ("POST", "/api/jobs/add"): {
        "gear_id": "x",
        "inputs": {},
        "destination": {"type": "session", "id": "x"},
        "config": {},
    },
    ("POST", "/api/lookup"): {"path": ["g", "p"]},
    ("POST", "/api/resolve"): {"path": ["g", "p"]},
    ("POST", "/api/download"): {"nodes": [{"level": "project", "_id": "x"}], "optional": True, "filters": []},
    ("POST", "/api/download/targets"): {"nodes": [{"level": "project", "_id": "x"}], "filters": []},
    ("POST", "/api/download/summary"): {"nodes": [{"level": "project", "_id": "x"}]},
    ("POST", "/api/bulk/add/tags"): {"containers": [{"id": "x", "type": "session"}], "tags": ["a"]},
    ("POST", "/api/bulk/move/_"): {"sources": ["x"], "destinations": ["y"], "destination_container_type": "projects"},
    ("POST", "/api/tree"): {"projects": {"fields": ["label"], "filter": "label=x", "subjects": {"fields": ["label"]}}},
    ("POST", "/api/batch"): {"gear_id": "x", "targets": [{"type": "session", "id": "x"}], "config": {}},
    ("POST", "/api/gears/{name}"): {
        "category": "utility",
        "gear": {"name": "g", "version": "1", "inputs": {}, "config": {}},
    },
    ("POST", "/api/files/{file_id}/move"): {"container_reference": {"type": "session", "id": "x"}, "name": "b.csv"},
    ("POST", "/api/_"): {"label": "n", "group": "g", "project": "x", "subject": {"label": "s"}, "session": "x"},
}


def rounds(table: list[Route], seed: int, count: int) -> Iterator[Route]:
    """`count` routes: all of them in turn, in an order of the seed's."""
    dice = random.Random(seed)
    while count > 0:
        some = dice.sample(table, len(table))[:count]
        count -= len(some)
        yield from some

"""Which files of an acquisition fit the inputs of a gear: what a batch proposes and the gear picker suggests."""

from __future__ import annotations

from typing import Any

from fwsync.sandbox.store.node import Node

POLICIES = ("ignored", "flexible", "required")


def file_inputs(gear: Node) -> dict[str, dict[str, Any]]:
    """The inputs of a gear that take a file, by name."""
    held = gear.doc["gear"].get("inputs") or {}
    return {name: spec for name, spec in held.items() if isinstance(spec, dict) and spec.get("base") == "file"}


def fits(spec: dict[str, Any], file: dict[str, Any]) -> bool:
    """Whether a file has the type (and the name) that an input asks for."""
    for key in ("type", "name"):
        known = (spec.get(key) or {}).get("enum") if isinstance(spec.get(key), dict) else None
        if isinstance(known, list) and file.get(key) not in known:
            return False
    return True


def match(gear: Node, held: list[dict[str, Any]], policy: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """(`matched`, `ambiguous` or `not_matched`; the inputs) for the files of one acquisition."""
    chosen: dict[str, dict[str, Any]] = {}
    verdict = "matched"
    for name, spec in file_inputs(gear).items():
        optional = bool(spec.get("optional"))
        if optional and policy == "ignored":
            continue
        found = [file for file in held if fits(spec, file)]
        if len(found) == 1:
            chosen[name] = {**found[0]["parent_ref"], "name": found[0]["name"]}
        elif not (optional and policy == "flexible"):
            verdict = "ambiguous" if found and verdict != "not_matched" else "not_matched"
    return verdict, chosen

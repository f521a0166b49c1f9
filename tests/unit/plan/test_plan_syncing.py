"""A tree compared: any index beside any scan and any wishes. What was changed locally is never touched under `keep`."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwsync.errors import ConfigError
from fwsync.plan.mirroring import Indexed, Local
from fwsync.plan.syncing import Abreast, Brake, Claimed, abreast, identity, may_receive, pairs, same, weigh
from fwsync.work import FetchFile

PATHS = ("a", "a-b", "a/b", "a/c", "b", "b/a", "c")


def row(path: str, file: str, version: int = 1, member: str | None = None) -> Indexed:
    digest = f"v0-sha384-{file}{version}"
    return Indexed(
        path=path, file_id=file, version=version, hash=digest, member=member, size=version, mtime_ns=1000 + version
    )


def wish(path: str, file: str, version: int = 1, member: str | None = None) -> FetchFile:
    return FetchFile(
        container_type="acquisition",
        container_id="c",
        name=path,
        path=path,
        file_id=file,
        version=version,
        size=version,
        hash=f"v0-sha384-{file}{version}",
        member=member,
    )


def as_left(held: Indexed) -> Local:
    return Local(held.size, held.mtime_ns)


contents = st.tuples(st.sampled_from("xyz"), st.integers(1, 2))
trees = st.dictionaries(st.sampled_from(PATHS), contents)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Indexed], dict[str, Local], dict[str, FetchFile]]:
    """An index, a scan and wishes that may be anything to one another."""
    index = {path: row(path, *content) for path, content in draw(trees).items()}
    found: dict[str, Local] = {}
    for path, held in index.items():
        state = draw(st.sampled_from(["as left", "as left", "changed", "gone", "not a file"]))
        if state != "gone":
            found[path] = {"as left": as_left(held), "changed": Local(99, 99), "not a file": Local(-1, 0)}[state]
    for path in draw(st.sets(st.sampled_from(PATHS))):
        found.setdefault(path, Local(7, 7))
    return index, found, {path: wish(path, *content) for path, content in draw(trees).items()}


def compare(
    index: dict[str, Indexed], found: dict[str, Local], wanted: dict[str, FetchFile], *, overwrite: bool = False
) -> list[tuple[Abreast, str | None, str | None]]:
    lines = abreast(
        [(number, wanted[path]) for number, path in enumerate(sorted(wanted))],
        [Claimed(index[path], True, False) for path in sorted(index)],
        sorted(found.items()),
    )
    return [(line, *weigh(line, "overwrite" if overwrite else "keep")) for line in lines]


def paired(lines: list[tuple[Abreast, str | None, str | None]]) -> list[tuple[Indexed, int]]:
    surplus = [
        (identity(line.held.entry), line.held.entry)
        for line, _, fate in lines
        if line.held and fate in ("surplus", "displaced")
    ]
    missing = [
        (identity(line.fetch), line.number, line.fetch)
        for line, state, _ in lines
        if state == "download" and line.fetch is not None and line.number is not None and may_receive(line)
    ]
    return list(
        pairs(
            sorted(surplus, key=lambda one: (one[0], one[1].path)),
            sorted(missing, key=lambda one: (one[0], one[2].path)),
        )
    )


@settings(max_examples=300)
@given(worlds())
def test_every_wish_and_every_row_is_accounted_for_once(
    world: tuple[dict[str, Indexed], dict[str, Local], dict[str, FetchFile]],
) -> None:
    index, found, wanted = world
    lines = compare(index, found, wanted)
    assert [line.path for line, _, _ in lines] == sorted({*index, *wanted})
    assert Counter(line.path for line, _, fate in lines if fate) == Counter(index.keys())
    assert Counter(line.path for line, state, _ in lines if state) == Counter(wanted.keys())
    for line, _, _ in lines:
        assert line.local == found.get(line.path)


@settings(max_examples=300)
@given(worlds())
def test_a_local_change_is_never_touched_unless_told(
    world: tuple[dict[str, Indexed], dict[str, Local], dict[str, FetchFile]],
) -> None:
    index, found, wanted = world
    changed = {path for path, local in found.items() if path in index and local != as_left(index[path])}
    lines = compare(index, found, wanted)
    for line, state, fate in lines:
        if line.path in changed:
            assert state in (None, "changed")
            assert fate in ("settled", "changed")
        else:
            assert (state, fate) != ("changed", "changed")
    assert not changed & {entry.path for entry, _ in paired(lines)}
    told = {line.path: state for line, state, _ in compare(index, found, wanted, overwrite=True)}
    assert {path for path, state in told.items() if state == "overwrite"} == changed & wanted.keys()


@settings(max_examples=300)
@given(worlds())
def test_moves_are_a_bijection_between_equal_contents(
    world: tuple[dict[str, Indexed], dict[str, Local], dict[str, FetchFile]],
) -> None:
    index, found, wanted = world
    lines = compare(index, found, wanted)
    by_number = {line.number: line for line, _, _ in lines if line.number is not None}
    moves = paired(lines)
    sources, targets = [entry.path for entry, _ in moves], [number for _, number in moves]
    assert len(set(sources)) == len(sources)
    assert len(set(targets)) == len(targets)
    for entry, number in moves:
        line = by_number[number]
        assert line.fetch is not None
        assert line.path != entry.path
        assert same(entry, line.fetch)
        assert found.get(entry.path) == as_left(entry), "only what is as it was left is moved"
        assert line.path not in found or line.path in index, "nobody's file is moved over"
    # What could be moved is: no wish is left that an unused row of the same content could have served.
    used = set(sources)
    spare = [
        line.held.entry
        for line, _, fate in lines
        if line.held and fate in ("surplus", "displaced") and line.path not in used
    ]
    for line, state, _ in lines:
        if state == "download" and line.number not in targets and line.fetch is not None and may_receive(line):
            assert not any(same(entry, line.fetch) for entry in spare)


def test_streams_are_read_once_and_in_order() -> None:
    """Nobody's files between the paths are passed over; order is that of whole paths."""
    index = [Claimed(row("a/b", "x"), True, False), Claimed(row("c", "y"), False, True)]
    found = [("a-b", Local(1, 1)), ("a/b", Local(1, 1001)), ("b", Local(2, 2)), ("d", Local(3, 3))]
    lines = list(abreast([(4, wish("a-b", "z"))], iter(index), iter(found)))
    assert [(line.path, line.number, line.held is not None, line.local) for line in lines] == [
        ("a-b", 4, False, Local(1, 1)),
        ("a/b", None, True, Local(1, 1001)),
        ("c", None, True, None),
    ]


def test_what_has_no_id_is_never_moved() -> None:
    nameless = row("a", "")
    assert list(pairs([("", nameless)], [("", 1, wish("b", ""))])) == []


def test_what_is_surely_the_same() -> None:
    assert same(row("a", "x"), wish("b", "x"))
    assert not same(row("a", "x"), wish("b", "x", 2))
    assert not same(row("a", "x"), wish("b", "y"))
    assert same(row("a", "x", member="m"), wish("b", "x", member="m"))
    assert not same(row("a", "x", member="m"), wish("b", "x", member="n"))


@pytest.mark.parametrize(
    ("text", "files", "of", "trips"),
    [
        ("", 50, 100, False),
        ("", 51, 100, True),
        ("", 51, 510, False),
        ("", 52, 510, True),
        ("10", 10, 10, False),
        ("10", 11, 1_000_000, True),
        ("0", 1, 10, True),
        ("25%", 25, 100, False),
        ("25%", 26, 100, True),
        ("2.5%", 3, 100, True),
        ("100%", 100, 100, False),
    ],
)
def test_the_brake_trips_when_more_would_go(text: str, files: int, of: int, trips: bool) -> None:
    assert Brake.parse(text).trips(files, of) is trips


@pytest.mark.parametrize("text", ["lots", "-1", "10 %%", "101%", "1.5", "%"])
def test_a_brake_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="--max-delete"):
        Brake.parse(text)

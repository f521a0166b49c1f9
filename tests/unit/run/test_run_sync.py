"""Walks, markers, manifests; and moves on a real tree, from any state to any other, cut off at any step."""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fwsync.errors import NotAsAskedError, TargetError
from fwsync.plan.mirroring import Indexed, Local, WantedFile, item_of
from fwsync.plan.paths import Step
from fwsync.plan.syncing import Claimed, removal
from fwsync.run import index as trees
from fwsync.run import manifest
from fwsync.run.comparing import Compared
from fwsync.run.index import LocalIndex
from fwsync.run.journal import Journal
from fwsync.run.rearranging import Rearranger
from fwsync.run.roots import keep_manifest, open_tree
from fwsync.run.shelf import Shelf
from fwsync.run.tree import Tree
from fwsync.work import FetchFile, Outcome, WorkItem

PATHS = ("a", "a2", "d/a", "d/b", "d/e/a", "f")
SELECTION = "s"


def fetch_of(file: str) -> FetchFile:
    return FetchFile(
        container_type="session", container_id="s", name=file, path="", file_id=file, version=1, size=4, hash=f"h{file}"
    )


def put(root: Path, path: str, text: str, stamp: int = 1000) -> Indexed:
    """A file of the tree, as the index would know it."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    os.utime(place, ns=(stamp, stamp))
    return Indexed(path=path, file_id=text, version=1, hash=f"h{text}", member=None, size=len(text), mtime_ns=stamp)


def contents(root: Path) -> dict[str, str]:
    return {
        str(at.relative_to(root)): at.read_text()
        for at in sorted(root.rglob("*"))
        if at.is_file() and ".fwsync" not in at.parts
    }


# --- walks ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(["a", "a-b", "a.b", "b", "\u00e9"]), min_size=1), st.data())
def test_a_walk_is_sorted_as_whole_paths_are(tmp_path: Path, names: set[str], data: Any) -> None:
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    for name in sorted(names):
        kind = data.draw(st.sampled_from(["file", "folder", "empty"]))
        if kind == "file":
            put(root, name, "x")
        else:
            (root / name).mkdir(parents=True)
        for below in sorted(data.draw(st.sets(st.sampled_from(["a", "z", "a-"])))) if kind == "folder" else ():
            put(root, f"{name}/{below}", "x")
    found = [path for path, _ in Tree(root).walk()]
    assert found == sorted(contents(root)), "SQLite and Python order paths alike: by code points"


def test_a_walk_follows_no_link_and_passes_over_its_own(tmp_path: Path) -> None:
    root = tmp_path / "t"
    put(tmp_path, "outside/x", "x")
    put(root, "a", "x")
    for own in (".fwsync/root.json", ".fw~0123", "d/.fw~0123"):
        put(root, own, "x")
    put(root, "d/.fwsync/x", "x")
    (root / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe")
    assert list(Tree(root).walk()) == [
        ("a", Local(1, 1000)),
        ("d/.fwsync/x", Local(1, 1000)),
        ("link", Local(-1, 0)),
        ("pipe", Local(-1, 0)),
    ]
    assert list(Tree(tmp_path / "none").walk()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_ends_the_walk(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(TargetError, match="nothing was compared"):
        list(Tree(tmp_path).walk())


def test_a_file_where_a_folder_should_be_read_ends_the_walk(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(TargetError, match="nothing was compared"):
        list(Tree(tmp_path / "f").walk())


# --- moves, on a real tree -----------------------------------------------------------------------------------------------


class Killed(Exception):
    """The process is gone."""


class World:
    """A tree, its index, and what is wanted of it: files are named by their contents."""

    def __init__(self, folder: Path, journal: Journal, root: Path) -> None:
        self.folder, self.journal, self.root = folder, journal, root
        self.tree = Tree(root)
        self.tree.resolve()
        self.index = LocalIndex(journal, str(self.tree.real), SELECTION)
        self.fetched: list[str] = []

    async def fetch(self, item: WorkItem, _parent: str | None) -> list[Outcome]:
        """In place of a download."""
        file: FetchFile = item.payload
        self.fetched.append(file.path)
        place = self.tree.locate(file.path)
        if place.is_dir():
            return [item.outcome("failed", reason="a folder is in the way")]
        known = await self.journal.index(self.index.root, paths=[file.path])
        if os.path.lexists(place) and not known:
            return [item.outcome("failed", reason="in the way")]
        entry = put(self.root, file.path, str(file.file_id))
        await self.journal.put_file(self.index.root, entry, "present")
        return [item.outcome("done")]

    def trashed(self) -> bool:
        return (self.root / ".fwsync/trash").is_dir()

    async def bring(self, wanted: dict[str, str], *, steps: int = 10_000, delete: bool = False) -> list[Outcome]:
        """One run towards what is wanted, that dies when it would rename a file for the `steps`-th time. With `delete`
        the rest goes to the trash."""
        run = f"run-{len(os.listdir(self.root / '.fwsync/trash'))}" if delete and self.trashed() else "run"
        rearranger = Rearranger(self.tree, self.index, run, self.fetch)
        rename = rearranger._rename
        left = steps

        def counted(source: Path, place: Path) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            rename(source, place)

        rearranger._rename = counted  # type: ignore[method-assign]
        outcomes: list[Outcome] = []
        with Shelf(self.folder, "linux") as shelf:
            shelf.add(
                (
                    [*(Step(f"={part}", part) for part in path.split("/")[:-1]), Step(file, path.split("/")[-1])],
                    fetch_of(file),
                )
                for path, file in wanted.items()
            )
            shelf.settle()
            await rearranger.settle()
            compared = Compared(shelf, "keep")
            await self.index.flush()
            compared.run(self.index.rows(), self.tree.walk())
            await self.index.claim(compared.unclaimed())
            if delete:
                rearranger.may_remove(compared.in_the_way())
            await rearranger.begin(compared.moves())
            removals = [removal(one, permanent=False) for one in compared.removable()] if delete else []
            for entry in (*compared.moving(), *compared.staying(), *removals):
                if isinstance(entry, Outcome):
                    outcomes.append(entry)
                else:
                    outcomes += await rearranger.handlers()[entry.kind](entry, None)
            await self.index.claim(compared.displaced())
        await self.index.flush()
        return outcomes


layouts = st.permutations(PATHS).flatmap(
    lambda paths: st.integers(0, 4).map(
        lambda count: {path: f"con{number}" for number, path in enumerate(paths[:count])}
    )
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=layouts, after=layouts, later=layouts, steps=st.integers(0, 8))
def test_any_tree_is_moved_into_any_other_though_killed_at_any_step(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], later: dict[str, str], steps: int
) -> None:
    """Whatever of a content was in the tree is moved, never fetched again, wherever the first run was cut off."""

    async def main() -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        root = folder / "tree"
        root.mkdir(parents=True)
        async with Journal(folder / "state") as journal:
            world = World(folder / "state", journal, root)
            entries = [put(root, path, file) for path, file in before.items()]
            for one in entries:
                await journal.put_file(world.index.root, one, "present")
            try:
                await world.bring(after, steps=steps)
            except Killed:
                await world.index.flush()
            first = set(world.fetched)
            held = set(contents(root).values())
            assert held >= set(before.values()) & set(after.values()), "no content is lost by a kill"
            world.fetched = []
            outcomes = await world.bring(later)
            assert {outcome.state for outcome in outcomes} <= {"done", "unchanged"}
            now = contents(root)
            assert {path: now[path] for path in later} == later
            assert not [path for path in world.fetched if later[path] in held], "what was there is moved"
            assert not [path for path in now if ".fw~" in path]
            assert await world.index.open_moves() == []
            known = await journal.index(world.index.root)
            assert {path: known[path].file_id for path in later} == later
            for path, file in known.items():
                assert now.get(path) == file.file_id, "every row tells what lies there"
            assert first <= set(after)
            world.fetched = []
            assert {outcome.state for outcome in await world.bring(later)} <= {"unchanged"}
            assert world.fetched == []

    anyio.run(main)


NESTED = ("d", "d/a", "d/b", "d/b/c", "f", "e/d")
nested = st.permutations(NESTED).flatmap(
    lambda paths: st.integers(0, 4).map(
        lambda count: {
            path: f"con{number}"
            for number, path in enumerate(paths[:count])
            if not any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in paths[:number])
        }
    )
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=nested, after=nested, later=nested, steps=st.integers(0, 8))
def test_files_and_folders_give_way_to_each_other_in_one_run(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], later: dict[str, str], steps: int
) -> None:
    """Each run ends as it should, also after one that was cut off anywhere; what only went is in the trash."""

    async def main() -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        root = folder / "tree"
        root.mkdir(parents=True)
        async with Journal(folder / "state") as journal:
            world = World(folder / "state", journal, root)
            for path, file in before.items():
                await journal.put_file(world.index.root, put(root, path, file), "present")
            await world.index.claim(before)
            try:
                await world.bring(after, steps=steps, delete=True)
            except Killed:
                await world.index.flush()
            for wanted in (after, later):
                held, world.fetched = set(contents(root).values()), []
                outcomes = await world.bring(wanted, delete=True)
                assert [one.reason for one in outcomes if one.state not in ("done", "unchanged")] == []
                assert contents(root) == wanted
                assert not [path for path in world.fetched if wanted[path] in held], "what was there is moved"
                assert await world.index.open_moves() == []
                known = await journal.index(world.index.root)
                assert {path: row.file_id for path, row in known.items()} == wanted
            trashed = {path.read_text() for path in (root / ".fwsync").rglob("*") if path.is_file()}
            went = {file for path, file in before.items() if path not in after and path not in later}
            assert trashed >= went - set(after.values()) - set(later.values())

    anyio.run(main)


async def test_what_is_not_to_be_removed_gives_no_way(world: World) -> None:
    """A file of someone, a changed one, an empty folder of someone: all that a folder holds stays."""
    for number, strange in enumerate(("mine", "changed", "empty")):
        top = f"d{number}"
        for name in "ab":
            entry = put(world.root, f"{top}/{name}", f"{name}{number}")
            await world.journal.put_file(world.index.root, entry, "present")
            await world.index.claim([entry.path])
        if strange == "mine":
            put(world.root, f"{top}/sub/note", "mine")
        elif strange == "changed":
            put(world.root, f"{top}/a", "changed", stamp=2000)
        else:
            (world.root / top / "empty").mkdir()
    before = contents(world.root)
    outcomes = await world.bring({"d0": "x", "d1": "y", "d2": "z"}, delete=True)
    failed = [one.reason for one in outcomes if one.state == "failed"]
    assert failed == ["a folder is in the way"] * 3
    gone = {path: text for path, text in before.items() if path not in contents(world.root)}
    assert set(gone) == {"d0/a", "d0/b", "d1/b", "d2/a", "d2/b"}, "what is to be removed is, in its turn"
    assert (world.root / "d2/empty").is_dir()
    assert contents(world.root) == {"d0/sub/note": "mine", "d1/a": "changed"}


async def test_a_place_that_someone_took_meanwhile_is_left_to_them(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    async with Journal(tmp_path / "state") as journal:
        world = World(tmp_path / "state", journal, root)
        for one in [put(root, "a", "one"), put(root, "b", "two")]:
            await journal.put_file(world.index.root, one, "present")
        with pytest.raises(Killed):
            await world.bring({"b": "one", "a": "two"}, steps=2)
        assert sorted(contents(root).values()) == ["one", "two"], "both wait beside their places"
        put(root, "a", "someone's")
        put(root, "b", "someone else's")
        outcomes = await world.bring({"b": "one", "a": "two"})
        kept = {"a": "someone's", "b": "someone else's"}
        assert contents(root) == kept
        assert {outcome.state for outcome in outcomes} == {"skipped"}
        below = root / ".fwsync/trash/run"
        assert sorted(place.read_text() for place in below.iterdir()) == ["one", "two"]


def test_a_comparison_needs_little_memory(tmp_path: Path) -> None:
    """Twenty thousand files, half of them renamed: what is compared is never all in memory."""
    count = 20_000

    def row(number: int) -> Claimed:
        old = number < count // 2
        path = f"{'old' if old else 'stays'}/{number:06}.dat"
        entry = Indexed(
            path=path, file_id=f"{number:024x}", version=1, hash=f"h{number}", member=None, size=1, mtime_ns=1
        )
        return Claimed(entry, True, False)

    def wanted(number: int) -> tuple[list[Step], FetchFile]:
        folder = "new" if number < count // 2 else "stays"
        file = msgspec.structs.replace(fetch_of(f"{number:024x}"), size=1, hash=f"h{number}")
        return [Step(folder, folder), Step(str(number), f"{number:06}.dat")], file

    with Shelf(tmp_path, "linux") as shelf:
        shelf.add(wanted(number) for number in range(count))
        shelf.settle()
        compared = Compared(shelf, "keep")
        tracemalloc.start()
        compared.run(map(row, range(count)), ((row(number).entry.path, Local(1, 1)) for number in range(count)))
        moves = sum(1 for _ in compared.moves())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert moves == compared.move_count() == count // 2
    assert peak < 12 * 1024 * 1024


# --- removals and puttings aside ----------------------------------------------------------------------------------------


def rearranger_of(world: World, fetch: Any = None) -> Rearranger:
    return Rearranger(world.tree, world.index, "run", fetch or world.fetch)


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    root = tmp_path / "tree"
    root.mkdir()
    async with Journal(tmp_path / "state") as journal:
        yield World(tmp_path / "state", journal, root)


async def test_a_file_that_changed_after_the_comparison_is_not_removed(world: World) -> None:
    entry = put(world.root, "d/a", "one")
    put(world.root, "d/a", "mine")
    (outcome,) = await rearranger_of(world).remove(removal(entry, permanent=False), None)
    assert (outcome.state, contents(world.root)) == ("skipped", {"d/a": "mine"})


async def test_a_removed_file_is_in_the_trash_and_its_folders_go_when_empty(world: World) -> None:
    entries = [put(world.root, path, "one") for path in ("d/e/a", "d/b")]
    for one in entries:
        await world.journal.put_file(world.index.root, one, "present")
    at_work = rearranger_of(world)
    (outcome,) = await at_work.remove(removal(entries[0], permanent=False), None)
    assert (outcome.state, contents(world.root)) == ("done", {"d/b": "one"})
    assert not (world.root / "d/e").exists()
    assert (world.root / ".fwsync/trash/run/d/e/a").read_text() == "one"
    put(world.root, "d/e/a", "one")
    await at_work.remove(removal(entries[0], permanent=False), None)
    assert sorted(os.listdir(world.root / ".fwsync/trash/run/d/e")) == ["a", "a~again1"], "nothing in it is lost"
    await at_work.remove(removal(entries[1], permanent=True), None)
    assert (contents(world.root), (world.root / "d").exists()) == ({}, False)
    await world.index.flush()
    assert await world.journal.index(world.index.root) == {}
    (again,) = await at_work.remove(removal(entries[0], permanent=False), None)
    assert again.state == "done", "a file that is gone was removed by a run that was killed"


async def test_a_trash_that_leads_elsewhere_is_not_used(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (world.root / ".fwsync").mkdir()
    (world.root / ".fwsync/trash").symlink_to(tmp_path / "elsewhere")
    entry = put(world.root, "a", "one")
    with pytest.raises(TargetError, match="leaves the target folder"):
        await rearranger_of(world).remove(removal(entry, permanent=False), None)
    assert (contents(world.root), os.listdir(tmp_path / "elsewhere")) == ({"a": "one"}, [])


async def test_no_copy_is_removed_of_a_file_that_could_not_be_fetched(world: World) -> None:
    entry = put(world.root, "a", "one")

    async def fails(item: WorkItem, _parent: str | None) -> list[Outcome]:
        return [item.outcome("failed", reason="no")]

    at_work = rearranger_of(world, fails)
    wanted = WantedFile(msgspec.structs.replace(fetch_of("one"), path="b", version=2), "b")
    await at_work.bring(item_of(wanted), None)
    (outcome,) = await at_work.remove(removal(entry, permanent=True), None)
    assert (outcome.state, contents(world.root)) == ("skipped", {"a": "one"})


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
async def test_a_changed_file_is_in_the_trash_only_when_it_was_replaced(
    world: World, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a file system that has no hard links."""
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    entry = put(world.root, "a", "one")
    for one in [entry]:
        await world.journal.put_file(world.index.root, one, "present")
    put(world.root, "a", "mine", 5)
    item = item_of(WantedFile(msgspec.structs.replace(fetch_of("two"), path="a", aside=True), "a"))

    async def fails(item: WorkItem, _parent: str | None) -> list[Outcome]:
        return [item.outcome("failed", reason="no")]

    await rearranger_of(world, fails).bring(item, None)
    assert contents(world.root) == {"a": "mine"}
    assert not list((world.root / ".fwsync/trash/run").iterdir())

    async def replaces(item: WorkItem, _parent: str | None) -> list[Outcome]:
        (world.root / "new").write_text("two")
        (world.root / "new").replace(world.root / "a")
        return [item.outcome("done")]

    await rearranger_of(world, replaces).bring(item, None)
    assert contents(world.root) == {"a": "two"}
    assert (world.root / ".fwsync/trash/run/a").read_text() == "mine"


def _no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "no links here")


# --- which tree it is -----------------------------------------------------------------------------------------------------


async def test_trees_are_known_by_their_markers(tmp_path: Path) -> None:
    root, moved = tmp_path / "tree", tmp_path / "moved"
    async with Journal(tmp_path / "state") as journal:
        opened = await open_tree(Tree(root), journal, write=True)
        entry = put(root, "a", "one")
        await journal.put_file(opened.root, entry, "present")
        again = await open_tree(Tree(root), journal, write=True)
        assert again == opened
        root.rename(moved)
        with pytest.raises(NotAsAskedError, match="say --new-tree"):
            await open_tree(Tree(root), journal, write=True)
        assert not root.exists(), "refused before anything is written"
        looked = await open_tree(Tree(moved), journal, write=False)
        assert (looked.root, looked.id) == (opened.root, opened.id), "a look changes nothing"
        found = await open_tree(Tree(moved), journal, write=True)
        assert (found.id, found.root) == (opened.id, str(moved))
        assert await journal.index(str(moved)) == {"a": entry}
        assert await journal.index(str(root)) == {}
        fresh = await open_tree(Tree(root), journal, write=True)
        assert fresh.id != opened.id, "its old path is nobody's now"


async def test_a_new_tree_knows_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    async with Journal(tmp_path / "state") as journal:
        opened = await open_tree(tree, journal, write=True)
        await journal.put_file(opened.root, put(tree.root, "a", "one"), "present")
        await keep_manifest(tree, journal, opened.root)
        looked = await open_tree(tree, journal, write=False, new_tree=True)
        assert await journal.index(looked.root) == {}
        assert (await journal.index(opened.root)).keys() == {"a"}, "a look forgets nothing"
        anew = await open_tree(tree, journal, write=True, new_tree=True)
        assert anew.id != opened.id
        assert await journal.index(anew.root) == {}


async def test_a_marker_and_a_journal_from_before_ids(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    async with Journal(tmp_path / "state") as journal:
        await journal.put_file(str(root), put(root, "a", "one"), "present")
        with pytest.raises(NotAsAskedError, match="marker"):
            await open_tree(Tree(root), journal, write=True)
        put(root, ".fwsync/root.json", '{"made_by":"fwsync","format":1}')
        opened = await open_tree(Tree(root), journal, write=True)
        assert opened.id == Tree(root).marker() != ""
        assert (await journal.index(opened.root)).keys() == {"a"}


async def test_a_manifest_brings_back_rows_and_claims_of_what_is_as_it_was_left(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    async with Journal(tmp_path / "state") as journal:
        opened = await open_tree(tree, journal, write=True)
        rows = [put(tree.root, path, "x") for path in ("a", "b", "d/c")]
        for one in rows:
            await journal.put_file(opened.root, one, "present")
        await LocalIndex(journal, opened.root, "s1").claim(["a", "b"])
        await LocalIndex(journal, opened.root, "s2").claim(["b"])
        await keep_manifest(tree, journal, opened.root)
    assert [(row.path, claims) for row, claims in manifest.read(tree)] == [
        ("a", ["s1"]),
        ("b", ["s1", "s2"]),
        ("d/c", []),
    ]
    put(tree.root, "a", "changed")
    async with Journal(tmp_path / "other") as journal:
        back = await open_tree(tree, journal, write=True)
        assert back.id == opened.id
        assert "2 files are known again" in back.note
        rows_back = list(LocalIndex(journal, back.root, "s2").rows())
        assert [(row.entry, row.mine, row.others) for row in rows_back] == [
            (rows[1], True, True),
            (rows[2], False, False),
        ]
    (tree.root / ".fwsync/manifest").write_bytes(b"no gzip")
    async with Journal(tmp_path / "third") as journal:
        assert "0 files" in (await open_tree(tree, journal, write=True)).note
        assert await trees.places_of(journal, opened.id) == [opened.root]

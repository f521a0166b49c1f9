"""Files read again, one by one and many at a time: the same answers, each for its own file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import anyio

from fwsync.plan.mirroring import Indexed
from fwsync.run.pool import Failure
from fwsync.run.tree import Tree
from fwsync.run.verifying import KIND, SMALL, Verdict, Verifier, VerifyFile, settled
from fwsync.work import Outcome, WorkItem


def put(root: Path, path: str, content: bytes = b"as it was") -> WorkItem:
    """A file in the tree, and the item that verifies it."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    held = place.stat()
    digest = f"v0-sha384-{hashlib.sha384(content).hexdigest()}"
    entry = Indexed(path=path, file_id=path, version=1, hash=digest, member=None, size=held.st_size,
                    mtime_ns=held.st_mtime_ns)  # fmt: skip
    return WorkItem(kind=KIND, key=path, target=path, payload=VerifyFile(str(root), entry), bytes=entry.size)


def rot(place: Path) -> None:
    held = place.stat()
    place.write_bytes(bytes(held.st_size))
    os.utime(place, ns=(held.st_atime_ns, held.st_mtime_ns))


def tree_of(root: Path) -> Tree:
    root.mkdir()
    tree = Tree(root)
    tree.resolve()
    return tree


def told(answers: Sequence[Outcome | Failure]) -> dict[str, str]:
    return {
        one.item.key if isinstance(one, Failure) else one.key: str(one.error) if isinstance(one, Failure) else one.state
        for one in answers
    }


async def test_many_at_a_time_get_the_answers_of_one_by_one(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "out")
    items = [put(tree.real, f"a/{n}.txt") for n in range(4)] + [put(tree.real, f"b/c/{n}.txt") for n in range(4)]
    (tree.real / "a/1.txt").unlink()
    rot(tree.real / "a/2.txt")
    (tree.real / "b/c/0.txt").write_bytes(b"edited")
    (tree.real / "b/c/3.txt").unlink()
    (tree.real / "b/c/3.txt").symlink_to(tree.real / "b/c/2.txt")
    verifier = Verifier({str(tree.real): tree}, {})
    together = told(await verifier.verify_all(items))
    alone = told([outcome for item in items for outcome in await verifier.verify(item, None)])
    assert together == alone
    assert together == {
        "a/0.txt": "unchanged", "a/1.txt": "failed", "a/2.txt": "failed", "a/3.txt": "unchanged",
        "b/c/0.txt": "skipped", "b/c/1.txt": "unchanged", "b/c/2.txt": "unchanged", "b/c/3.txt": "skipped",
    }  # fmt: skip


async def test_what_can_t_be_read_fails_alone(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "out")
    items = [put(tree.real, path) for path in ("a/1.txt", "b/2.txt", "c/3.txt")]
    (tmp_path / "elsewhere").mkdir()
    (tree.real / "b/2.txt").rename(tmp_path / "elsewhere/2.txt")
    (tree.real / "b").rmdir()
    (tree.real / "b").symlink_to(tmp_path / "elsewhere")
    answers = told(await Verifier({str(tree.real): tree}, {}).verify_all(items))
    assert (answers["a/1.txt"], answers["c/3.txt"]) == ("unchanged", "unchanged")
    assert "leaves the target folder" in answers["b/2.txt"]


async def test_repairs_of_one_batch_go_side_by_side(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "out")
    items = [put(tree.real, f"{n}.txt") for n in range(5)]
    for n in range(4):
        (tree.real / f"{n}.txt").unlink()
    waiting, all_here = 0, anyio.Event()

    async def repair(item: WorkItem, _held: VerifyFile, verdict: Verdict) -> Outcome:
        nonlocal waiting
        waiting += 1
        if waiting == 4:
            all_here.set()
        with anyio.fail_after(10):
            await all_here.wait()
        return settled(item, verdict, 0.0, "; tried")

    answers = told(await Verifier({str(tree.real): tree}, {}, repair).verify_all(items))
    assert answers == {**dict.fromkeys((f"{n}.txt" for n in range(4)), "failed"), "4.txt": "unchanged"}


def test_large_files_are_read_one_by_one(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "out")
    batching = Verifier({str(tree.real): tree}, {}).batching()
    assert batching.takes(put(tree.real, "small", bytes(SMALL)))
    assert not batching.takes(put(tree.real, "large", bytes(SMALL + 1)))


async def test_a_large_file_is_proved_too(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "out")
    item = put(tree.real, "large", os.urandom(SMALL + 1))
    verifier = Verifier({str(tree.real): tree}, {})
    assert told(await verifier.verify(item, None)) == {"large": "unchanged"}
    rot(tree.real / "large")
    assert told(await verifier.verify(item, None)) == {"large": "failed"}

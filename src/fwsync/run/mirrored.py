"""What the journal knows of a mirrored tree as a whole: its files by folder, and the run that filled it."""

from __future__ import annotations

from fwsync.plan.mirroring import Indexed
from fwsync.run.journal import Journal, RunRecord

_NAMES = ", ".join(Indexed.__struct_fields__)
_WHOLE = "root = ? and state = 'present' and file_id not like '%:sidecar'"


async def below(
    journal: Journal, root: str, folder: str, *, right_there: bool, limit: int, members: bool = False
) -> list[Indexed]:
    """Remote files that fwsync put below a folder of the tree (empty: the root), or right into it; whole ones, or
    `members` of zips too."""
    prefix = f"{folder}/" if folder else ""
    query = f"""select {_NAMES} from files where {_WHOLE} and (member is null or ?) and file_id <> ''
        and path >= ? and path < ? and (instr(substr(path, ?), '/') = 0 or not ?) order by path limit ?"""  # noqa: S608
    end = f"{folder}0" if folder else "\U0010ffff"  # 0 is what comes after /
    values = (root, members, prefix, end, len(prefix) + 1, right_there, limit)
    rows = await journal.write(lambda c: [tuple(row) for row in c.execute(query, values)])
    return [Indexed(**dict(zip(Indexed.__struct_fields__, row, strict=True))) for row in rows]


async def count(journal: Journal, root: str) -> int:
    """How many files fwsync put into the tree, sidecars not counted."""
    query = f"select count(*) from files where {_WHOLE}"  # noqa: S608
    return await journal.write(lambda c: int(c.execute(query, (root,)).fetchone()[0]))


async def filled_by(journal: Journal, root: str) -> RunRecord | None:
    """The newest run that brought files to the tree."""
    query = (
        "select id from runs where command in ('mirror', 'download') and json_extract(arguments, '$.to') = ?"
        " order by started desc limit 1"
    )
    found = await journal.write(lambda c: next((row[0] for row in c.execute(query, (root,))), None))
    return await journal.run(found) if found is not None else None

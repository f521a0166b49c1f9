"""Reports on a selection, which are tables: `await fw.demographics("lab/study")`."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any, Unpack, get_args

from fwsync.errors import UsageError
from fwsync.library.connection import Connection
from fwsync.library.given import flags_of
from fwsync.library.keywords import SelectionKeywords
from fwsync.operations.demographics import demographics
from fwsync.operations.missing import Wanted, missing
from fwsync.operations.overview import overview
from fwsync.operations.selected import WISHES_OF_CONTAINERS, Asked
from fwsync.report import demographics as of_people
from fwsync.report import missing as of_missing
from fwsync.report import overview as of_places
from fwsync.report.table import Table


class Reports:
    """The reports of a `Site`. Each is about what is at or below `paths` (`group/project/...`), or wherever the
    keywords say, that the keywords leave in; a `Table` has `records()`, `facts` and `to_pandas()`."""

    _connection: Connection

    async def demographics(
        self,
        paths: str | Sequence[str] = (),
        *,
        by: of_people.By = "subject",
        columns: str | Sequence[str] = (),
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """Age (in years, at the first session) and sex, a row a subject; or a row for each of their sessions.

        `columns` are further fields, such as `subject.info.handedness` or `session.weight`. UsageError for one that
        there is not, and for a selection that matches nothing.
        """
        _known(by, of_people.By)
        asked = self._asked("demographics", paths, wishes)
        return await demographics(self._connection.fw, asked, by=by, columns=texts(columns))

    async def overview(
        self,
        paths: str | Sequence[str] = (),
        *,
        by: of_places.By = "acquisition",
        files: bool = False,
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """What there is: a row for each container of a level, and for each one above that has none of these below it.
        With `files` the numbers and bytes of files, by type."""
        _known(by, of_places.By)
        return await overview(self._connection.fw, self._asked("overview", paths, wishes), by=by, files=files)

    async def missing(
        self,
        paths: str | Sequence[str] = (),
        *,
        expect: str | Sequence[str] = (),
        expect_from: str | PathLike[str] = "",
        expect_file: str | Sequence[str] = (),
        expect_auto: float | None = None,
        by: of_missing.By = "session",
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """Which sessions (or subjects) lack which acquisitions: a row for each that is missing.

        `expect` are labels or patterns, `expect_from` a file of these, `expect_file` pairs such as `T1w:*.nii.gz`,
        `expect_auto` the percentage of sessions (or subjects) that must have a label for it to be expected of all.
        UsageError where nothing is expected.
        """
        _known(by, of_missing.By)
        wanted = Wanted(
            labels=texts(expect), labels_from=fspath(expect_from), files=texts(expect_file), auto=expect_auto
        )
        return await missing(self._connection.fw, self._asked("missing", paths, wishes), wanted, by=by)

    def _asked(self, call: str, paths: str | Sequence[str], wishes: SelectionKeywords) -> Asked:
        flags = flags_of("mirror", call, wishes, WISHES_OF_CONTAINERS)
        given = {name.partition(".")[2]: value for name, value in flags.items()}
        return Asked.of(self._connection.settings(), given, texts(paths))


def _known(by: str, choices: Any) -> None:
    if by not in get_args(choices):
        raise UsageError(f"by={by!r}: there is {', '.join(get_args(choices))}")


def texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """One text, or several."""
    return (given,) if isinstance(given, str) else tuple(given)

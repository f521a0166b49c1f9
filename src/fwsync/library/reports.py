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
from fwsync.operations.gear_status import gear_status
from fwsync.operations.missing import Wanted, missing
from fwsync.operations.overview import overview
from fwsync.operations.quality import Checks, quality
from fwsync.operations.selected import WISHES_OF_CONTAINERS, Asked
from fwsync.report import demographics as of_people
from fwsync.report import gear_status as of_gears
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

    async def gear_status(
        self,
        of: str,
        /,
        paths: str | Sequence[str] = (),
        *,
        by: of_gears.By = "session",
        state_of: of_gears.StateOf = "latest",
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """Has the gear `of` (name or name/version) run on each session, and how did it end? A row for each, by its
        newest run, or by the newest that is complete, where there is one.

        `facts` has the sums, `without a complete run` among them. The keyword `gear` selects, by outputs of another
        one. UsageError for a gear that the site does not know.
        """
        _known(by, of_gears.By)
        if state_of not in get_args(of_gears.StateOf):
            raise UsageError(f"state_of={state_of!r}: there is {', '.join(get_args(of_gears.StateOf))}")
        asked = self._asked("gear_status", paths, wishes)
        return (await gear_status(self._connection.fw, of, asked, by=by, state_of=state_of)).table

    async def qc(
        self,
        paths: str | Sequence[str] = (),
        *,
        flags: str | Sequence[str] = (),
        metrics: str | Sequence[str] = (),
        preset: str = "",
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """Values about quality in the info of files, judged by rules: a row for the newest file of each acquisition.

        `flags` are rules such as `LOW_SNR: snr < 1.0 where Measurement=T2*`, `metrics` further values to show; without
        both the rules for mriqc (`preset="mriqc"`). Files are those of `include`, by itself `*mriqc.qa*`. Nothing is
        written. UsageError for a rule that can't be read.
        """
        if preset not in ("", "mriqc"):
            raise UsageError(f"preset={preset!r}: there is mriqc")
        checks = Checks.of(texts(metrics), texts(flags), preset)
        return (await quality(self._connection.fw, self._asked("qc", paths, wishes), checks)).table

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

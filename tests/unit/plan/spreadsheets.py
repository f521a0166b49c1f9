"""A corpus of tables as hospitals, scanners and databases write them, each with what it must become.

Written from the issue and from what people would expect, not from the code. `read` takes a table the way of the
product: into a spool, judged, planned against a site.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import openpyxl

from fwsync.config import ImportSettings
from fwsync.operations.tables import Table, choices, judge_table, open_table, reading
from fwsync.plan.columns import Columns, resolve
from fwsync.plan.facts import facts_of
from fwsync.plan.importing import Held, ImportOptions, Planner
from fwsync.plan.row import Row, RowError
from fwsync.plan.row_times import RowOptions
from fwsync.plan.rows import RowReader
from fwsync.plan.table import open_text
from fwsync.plan.wanted import Wanted, judge
from fwsync.plan.workbook import is_workbook, open_workbook
from fwsync.run.spool import Spool
from fwsync.work import Entry, WorkItem

OPTIONS = ImportOptions(project_id="p", project_path="lab/study")

Fields = dict[str, Any]
Tree = dict[tuple[str, ...], Fields]
Wrong = tuple[int, str, str]
"""Line, column, and part of the message of a row error."""


def seconds(years: float) -> int:
    """An age on the wire."""
    return round(years * 365.25 * 86400)


def days(count: int) -> int:
    """An age on the wire."""
    return count * 86400


def one(label: str, subject: Fields | None = None, session: Fields | None = None, scan: Fields | None = None) -> Tree:
    """A subject with the session and the acquisition that rows have where no column tells."""
    return below((label, "Session1", "Struct_T1"), subject, session, scan)


def below(labels: tuple[str, ...], *fields: Fields | None) -> Tree:
    """The containers down to `labels`, with their fields."""
    given = [*fields, None, None, None]
    return {labels[: depth + 1]: given[depth] or {} for depth in range(len(labels))}


def zurich(text: str) -> Fields:
    """A timestamp of a row without a zone of its own, in a file read with --timezone Europe/Zurich."""
    return {"timestamp": text, "timezone": "Europe/Zurich"}


def utc(text: str) -> Fields:
    """A timestamp where no zone was given."""
    return {"timestamp": f"{text}+00:00", "timezone": "UTC"}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One table, and either its containers and row errors, or what the error of the whole file says.

    `says` are parts of what must be told beside it.
    """

    name: str
    data: bytes | Callable[[], bytes]
    file: str = "subjects.csv"
    settings: dict[str, Any] = {}
    tree: Tree = {}
    wrong: tuple[Wrong, ...] = ()
    fails: str = ""
    says: tuple[str, ...] = ()

    @property
    def bytes(self) -> bytes:
        """The file."""
        return self.data() if callable(self.data) else self.data


def text(lines: str, encoding: str = "utf-8", newline: str = "\n") -> bytes:
    """A text file."""
    return (lines.strip("\n") + "\n").replace("\n", newline).encode(encoding)


def book(
    *rows: Sequence[object],
    formats: dict[str, str] | None = None,
    change: Callable[[openpyxl.Workbook], object] | None = None,
) -> Callable[[], bytes]:
    """An Excel workbook, made when it is asked for; `formats` are number formats by cell or column letter."""

    def make() -> bytes:
        workbook = openpyxl.Workbook()
        sheet = workbook.worksheets[0]
        for row in rows:
            sheet.append(list(row))
        for where, form in (formats or {}).items():
            cells = [sheet[where]] if where[-1].isdigit() else sheet[where]
            for cell in cells:
                cell.number_format = form
        if change is not None:
            change(workbook)
        out = io.BytesIO()
        workbook.save(out)
        return out.getvalue()

    return make


# --- the way of the product ---------------------------------------------------------------------------------------


class Taken(msgspec.Struct):
    """What became of a table: the plan against the site that was given, and what was said."""

    table: Table
    entries: list[Entry]
    errors: list[RowError]
    warnings: list[str]

    @property
    def tree(self) -> Tree:
        """What is created, by labels."""
        return tree_of(self.entries)


async def take(
    path: Path, state: Path, site: Iterable[Held] = (), options: ImportOptions = OPTIONS, **said: Any
) -> Taken:
    """A table through spool and planner."""
    settings = msgspec.convert(said, ImportSettings)
    with Spool(state) as spool:
        opened = await open_table(None, str(path), settings, spool)
        table = await judge_table(opened, str(path), settings, spool)
        spool.add_held([(len(h.labels) - 1, h.id, h.parent_id, h.labels[-1], "2020-01-01", h.values) for h in site])
        spool.index_held()
        planner = Planner(spool.wanted, spool.held, options, rejected=spool.errors, padded=spool.padded)
        entries = list(planner.entries())
        return Taken(table, entries, list(spool.errors()), table.warnings + planner.warnings())


def items(entries: Iterable[Entry]) -> list[WorkItem]:
    """All work of a plan, riders too."""
    return [one for entry in entries if isinstance(entry, WorkItem) for one in entry.everyone()]


def tree_of(entries: Iterable[Entry]) -> Tree:
    """What a plan creates and uploads: labels to fields, with `info.KEY` for each key, and the names of files."""
    out: Tree = {}
    for item in items(entries):
        new = item.payload
        if item.kind == "upload.file":
            labels = tuple(item.target.split("/")[2:-1])
            out[labels].setdefault("files", []).append(new.name)
            continue
        fields = dict(new.fields)
        fields |= {f"info.{key}": value for key, value in fields.pop("info", {}).items()}
        fields |= {name: list(texts) for name, texts in (("tags", new.tags), ("notes", new.notes)) if texts}
        assert (*new.lineage, new.label) not in out, "planned twice"
        out[(*new.lineage, new.label)] = fields
    return out


def site_after(entries: Iterable[Entry], before: Iterable[Held] = ()) -> list[Held]:
    """A site on which the creates of a plan were carried out."""
    held = {one.labels: one for one in before}
    for item in items(entries):
        if item.kind == "upload.file":
            continue
        new = item.payload
        labels = (*new.lineage, new.label)
        values = dict(new.fields)
        values |= {f"info.{key}": value for key, value in values.pop("info", {}).items()}
        values |= {"tags": list(new.tags), "notes": list(new.notes)}
        parent = new.parent_id or (held[labels[:-1]].id if len(labels) > 1 else "p")
        held[labels] = Held(labels, f"id-{len(held)}", parent, values)
    return sorted(held.values(), key=lambda one: one.labels)


# --- the same in memory, for many small tables --------------------------------------------------------------------


class Judged(msgspec.Struct):
    """What the rows of a table in memory ask for, and what is wrong."""

    columns: Columns
    wanted: list[Wanted]
    errors: list[RowError]
    notes: list[str]
    repeated: int = 0


def judged(data: bytes | str, file: str = "t.csv", **said: Any) -> Judged:
    """A table in memory, read and judged."""
    settings = msgspec.convert(said, ImportSettings)
    binary = io.BytesIO(data.encode() if isinstance(data, str) else data)
    if is_workbook(binary):
        sheet = open_workbook(binary, file, sheet=settings.sheet)
    else:
        sheet = open_text(binary, file, delimiter=settings.delimiter, encoding=settings.encoding)
    columns = resolve(sheet.header, choices(settings), file, line=sheet.header_line, tab=sheet.delimiter == "\t")
    records = list(sheet.records)
    times = reading(settings)
    options = RowOptions(
        reading=times,
        days_per_year=settings.days_per_year,
        require=settings.require,
        site_column=settings.site_column,
        now=dt.datetime(2025, 6, 1, tzinfo=dt.UTC),
    )
    reader = RowReader(columns, facts_of(records, columns, times, file), options, file)
    read = [reader.read(record) for record in records]
    rows = sorted((row for row in read if isinstance(row, Row)), key=lambda row: (row.labels, row.line))
    headers = {field.path: columns.name(at) for at, field in columns.fields}
    out = Judged(columns, [], [row for row in read if isinstance(row, RowError)], sheet.notes + columns.notes)
    for _, of_one in itertools.groupby(rows, key=lambda row: row.labels[0]):
        verdict = judge(list(of_one), headers)
        out.wanted += verdict.wanted
        out.errors += verdict.errors
        out.repeated += verdict.repeated
    out.notes += reader.noticed.warnings()
    return out


def plan(wanted: Sequence[Wanted], site: Iterable[Held] = (), **options: Any) -> list[Entry]:
    """The plan for these containers against a site; its keys are `OPTIONS` with changes."""
    return list(planner(wanted, site, **options).entries())


def planner(
    wanted: Sequence[Wanted],
    site: Iterable[Held] = (),
    *,
    begun: Iterable[str] = (),
    padded: Callable[[str], str | None] = lambda _: None,
    **options: Any,
) -> Planner:
    """The planner of `plan`, which has warnings too."""
    held = list(site)
    return Planner(
        lambda: list(wanted),
        lambda: iter(held),
        msgspec.structs.replace(OPTIONS, **options),
        begun=frozenset(begun),
        padded=padded,
    )


# --- text, of many languages --------------------------------------------------------------------------------------

TUTORIAL = Case(
    name="the tutorial's table",
    data=text("""
Subject ID,FirstName,LastName,sex,age,time of scan
sub001,Lisa,Simpson,female,34,2019-10-03 15:32
sub002,Bart,Simpson,M,12,2019-10-04 09:05
subxxx,,,,,
"""),
    settings={"timezone": "Europe/Zurich"},
    tree=one(
        "sub001",
        {"firstname": "Lisa", "lastname": "Simpson", "sex": "female"},
        {"age": seconds(34)},
        zurich("2019-10-03T15:32:00+02:00"),
    )
    | one(
        "sub002",
        {"firstname": "Bart", "lastname": "Simpson", "sex": "male"},
        {"age": seconds(12)},
        zurich("2019-10-04T09:05:00+02:00"),
    )
    | one("subxxx"),
)

LANGUAGES = [
    Case(
        name="German Excel, Windows-1252, semicolons, decimal commas",
        data=text(
            """
Probanden-ID;Vorname;Nachname;Geschlecht;Alter;Gewicht (kg);Untersuchungsdatum;Uhrzeit
007;Jörg;Müller;männlich;34,5;81,5;23.10.2019;15:32
008;Änne;Groß;w;28;60;03.11.2019;8:05
""",
            "cp1252",
            "\r\n",
        ),
        settings={"timezone": "Europe/Berlin"},
        tree=one(
            "007",
            {"firstname": "Jörg", "lastname": "Müller", "sex": "male"},
            {"age": seconds(34.5), "weight": 81.5},
            {"timestamp": "2019-10-23T15:32:00+02:00", "timezone": "Europe/Berlin"},
        )
        | one(
            "008",
            {"firstname": "Änne", "lastname": "Groß", "sex": "female"},
            {"age": seconds(28), "weight": 60.0},
            {"timestamp": "2019-11-03T08:05:00+01:00", "timezone": "Europe/Berlin"},
        ),
        says=("Windows-1252", "Jörg"),
    ),
    Case(
        name="German, a date of birth makes the age",
        data=text(
            """
Patienten-Nr.;Geburtsdatum;MRT-Datum
P1;24.12.1980;24.12.2010
""",
            "utf-8-sig",
        ),
        settings={"timezone": "Europe/Berlin"},
        tree=one(
            "P1",
            {"date_of_birth": "1980-12-24"},
            {"age": days((dt.date(2010, 12, 24) - dt.date(1980, 12, 24)).days)},
            {"timestamp": "2010-12-24T00:00:00+01:00", "timezone": "Europe/Berlin"},
        ),
        says=("midnight in Europe/Berlin",),
    ),
    Case(
        name="French Excel, UTF-8 with a byte order mark",
        data=text(
            """
Identifiant patient;Nom;Prénom;Sexe;Âge;Poids;Date de l'examen;Heure de l'examen
FR-01;Lefèvre;Zoé;Féminin;34 ans;54,2;31/01/2020;14h05
FR-02;Noël;René;masculin;18 mois;;01/02/2020;09h30
""",
            "utf-8-sig",
            "\r\n",
        ),
        settings={"timezone": "Europe/Paris"},
        tree=one(
            "FR-01",
            {"firstname": "Zoé", "lastname": "Lefèvre", "sex": "female"},
            {"age": seconds(34), "weight": 54.2},
            {"timestamp": "2020-01-31T14:05:00+01:00", "timezone": "Europe/Paris"},
        )
        | one(
            "FR-02",
            {"firstname": "René", "lastname": "Noël", "sex": "male"},
            {"age": seconds(1.5)},
            {"timestamp": "2020-02-01T09:30:00+01:00", "timezone": "Europe/Paris"},
        ),
    ),
    Case(
        name="French headers from a Mac, accents as characters of their own",
        data=text("""
Code patient;Pre\u0301nom;Sexe
A;E\u0301milie;fe\u0301minin
"""),
        tree=one("A", {"firstname": "E\u0301milie", "sex": "female"}),
    ),
    Case(
        name="Spanish, UTF-16 as Excel's Unicode text",
        data=text(
            """
ID paciente\tNombre\tApellidos\tSexo\tFecha de nacimiento\tEdad
ES1\tMaría\tNúñez Peña\tmujer\t15/08/1990\t29 años
ES2\tJosé\tGarcía\thombre\t03/02/1975\t44
""",
            "utf-16",
            "\r\n",
        ),
        tree=one(
            "ES1",
            {"firstname": "María", "lastname": "Núñez Peña", "sex": "female", "date_of_birth": "1990-08-15"},
            {"age": seconds(29)},
        )
        | one(
            "ES2",
            {"firstname": "José", "lastname": "García", "sex": "male", "date_of_birth": "1975-02-03"},
            {"age": seconds(44)},
        ),
    ),
    Case(
        name="Spanish H and M: hombre and mujer can't be told from male",
        data=text("""
paciente;sexo
1;H
2;M
3;
"""),
        tree=one("3"),
        wrong=((2, "sexo", "mujer"), (3, "sexo", "mujer")),
    ),
    Case(
        name="Italian, big-endian UTF-16 without a mark",
        data=text(
            """
ID paziente;Nome;Cognome;Sesso;Età;Data di nascita
IT1;Nicolò;Esposito;F;0,5;13/04/2019
""",
            "utf-16-be",
        ),
        tree=one(
            "IT1",
            {"firstname": "Nicolò", "lastname": "Esposito", "sex": "female", "date_of_birth": "2019-04-13"},
            {"age": seconds(0.5)},
        ),
    ),
    Case(
        name="Dutch",
        data=text(
            """
Patiëntnummer;Voornaam;Achternaam;Geslacht;Leeftijd;Scandatum
NL1;Daniëlle;de Vries;vrouw;34 jaar;30-4-2021
NL2;Kees;van Dijk;man;41;1-5-2021
""",
            "cp1252",
        ),
        settings={"timezone": "Europe/Amsterdam"},
        tree=one(
            "NL1",
            {"firstname": "Daniëlle", "lastname": "de Vries", "sex": "female"},
            {"age": seconds(34)},
            {"timestamp": "2021-04-30T00:00:00+02:00", "timezone": "Europe/Amsterdam"},
        )
        | one(
            "NL2",
            {"firstname": "Kees", "lastname": "van Dijk", "sex": "male"},
            {"age": seconds(41)},
            {"timestamp": "2021-05-01T00:00:00+02:00", "timezone": "Europe/Amsterdam"},
        ),
        says=("midnight", "Windows-1252"),
    ),
    Case(
        name="Portuguese, with unknown columns that stay here",
        data=text("""
ID do paciente;Nome;Sobrenome;Sexo;Idade;Peso;Data do exame;Hora do exame;Telefone
PT1;João;Conceição;Masculino;34,5;70,25;25/12/2018;23:59:59;+351 21 000
"""),
        settings={"timezone": "Europe/Lisbon"},
        tree=one(
            "PT1",
            {"firstname": "João", "lastname": "Conceição", "sex": "male"},
            {"age": seconds(34.5), "weight": 70.25},
            {"timestamp": "2018-12-25T23:59:59+00:00", "timezone": "Europe/Lisbon"},
        ),
        says=("Telefone",),
    ),
    Case(
        name="American dates with AM and PM",
        data=text("""
Subject ID,Gender,DOB,Scan Date,Time of Scan
us1,F,10/23/1985,10/03/2019,3:32 PM
us2,U,1/31/2000,1/15/2020,12:05 AM
"""),
        settings={"timezone": "US/Eastern"},
        tree=one(
            "us1",
            {"sex": "female", "date_of_birth": "1985-10-23"},
            {"age": days((dt.date(2019, 10, 3) - dt.date(1985, 10, 23)).days)},
            {"timestamp": "2019-10-03T15:32:00-04:00", "timezone": "US/Eastern"},
        )
        | one(
            "us2",
            {"sex": "unknown", "date_of_birth": "2000-01-31"},
            {"age": days((dt.date(2020, 1, 15) - dt.date(2000, 1, 31)).days)},
            {"timestamp": "2020-01-15T00:05:00-05:00", "timezone": "US/Eastern"},
        ),
    ),
    Case(
        name="Latin-1 by hand",
        data=text("Subject ID,FirstName\ns1,Zo\xeb\n", "latin-1"),
        settings={"encoding": "latin-1"},
        tree=one("s1", {"firstname": "Zoë"}),
    ),
    Case(
        name="Mac Roman by hand",
        data=text("Subject ID,FirstName\ns1,Zoë\n", "mac-roman", "\r"),
        settings={"encoding": "mac-roman"},
        tree=one("s1", {"firstname": "Zoë"}),
    ),
    Case(
        name="sep= tells the delimiter",
        data=b'sep=;\r\nSubject ID;FirstName\r\ns1;"a, b"\r\n',
        tree=one("s1", {"firstname": "a, b"}),
    ),
    Case(
        name="pipes",
        data=b"subject_id|sex|notes for us\ns1|m|x,y;z\n",
        tree=one("s1", {"sex": "male"}),
        says=("notes for us",),
    ),
    Case(name="one column", data=b"Subject ID\ns1\n002\n", tree=one("s1") | one("002")),
    Case(
        name="blank lines, trailing commas, a header in quotes",
        data=b'\r\n"participant-id","SEX",,\r\n\r\n"007","female",,\r\n,,,\r\n',
        tree=one("007", {"sex": "female"}),
    ),
    Case(
        name="line ends of old Macs",
        data=b"Subject ID,sex\rs1,F\rs2,X\r",
        tree=one("s1", {"sex": "female"}),
        wrong=((3, "sex", "'X' is no known sex"),),
    ),
]

# --- workbooks ----------------------------------------------------------------------------------------------------


def _hidden_first(workbook: openpyxl.Workbook) -> None:
    sheet = workbook.worksheets[0]
    sheet.title = "lists"
    sheet.sheet_state = "hidden"
    shown = workbook.create_sheet("patients")
    shown.append(["Subject ID", "sex"])
    shown.append(["s1", "M"])
    workbook.active = 1


def _empty_first(workbook: openpyxl.Workbook) -> None:
    sheet = workbook.create_sheet("data")
    sheet.append(["Subject ID"])
    sheet.append(["s1"])


def _blank_rows_and_columns(workbook: openpyxl.Workbook) -> None:
    sheet = workbook.worksheets[0]
    for row, cells in ((3, ("Subject ID", None, "sex")), (5, ("s1", None, "F")), (9, ("s2", None, "nobody"))):
        for column, cell in enumerate(cells, 2):
            sheet.cell(row, column, cell)


def _merged_title(workbook: openpyxl.Workbook) -> None:
    sheet = workbook.worksheets[0]
    sheet.insert_rows(1)
    sheet["A1"] = "Study of everything"
    sheet.merge_cells("A1:C1")


WORKBOOKS = [
    Case(
        name="Excel with real dates, times and numbers",
        file="subjects.xlsx",
        data=book(
            ("Subject ID", "sex", "age", "DOB", "Scan Date", "Time of Scan"),
            ("s1", "F", 34, dt.date(1985, 10, 3), dt.date(2019, 10, 3), dt.time(15, 32)),
            ("s2", "m", 34.5, dt.date(1985, 3, 10), dt.date(2019, 3, 10), dt.time(9, 0, 30)),
        ),
        settings={"timezone": "Europe/Zurich"},
        tree=one(
            "s1",
            {"sex": "female", "date_of_birth": "1985-10-03"},
            {"age": seconds(34)},
            zurich("2019-10-03T15:32:00+02:00"),
        )
        | one(
            "s2",
            {"sex": "male", "date_of_birth": "1985-03-10"},
            {"age": seconds(34.5)},
            zurich("2019-03-10T09:00:30+01:00"),
        ),
    ),
    Case(
        name="Excel with dates and times in one cell, one of them text",
        file="subjects.xlsx",
        data=book(
            ("Subject ID", "scan datetime"),
            ("s1", dt.datetime(2019, 10, 3, 15, 32)),
            ("s2", "2019-10-04 08:00"),
            ("s3", dt.datetime(2019, 10, 5, 15, 32, 0, 500000)),
        ),
        tree=one("s1", None, None, utc("2019-10-03T15:32:00"))
        | one("s2", None, None, utc("2019-10-04T08:00:00"))
        | one("s3", None, None, {"timestamp": "2019-10-05T15:32:00.500+00:00", "timezone": "UTC"}),
    ),
    Case(
        name="Excel with day numbers in the General format",
        file="subjects.xlsx",
        data=book(("Subject ID", "scan timestamp"), ("s1", 43741.6472222222), ("s2", 43742.5)),
        tree=one("s1", None, None, utc("2019-10-03T15:32:00")) | one("s2", None, None, utc("2019-10-04T12:00:00")),
    ),
    Case(
        name="a day of Excel without a time or a zone",
        file="subjects.xlsx",
        data=book(("Subject ID", "Scan Date"), ("s1", dt.date(2019, 10, 3)), ("s2", None)),
        tree=one("s2"),
        wrong=((2, "Scan Date", "--timezone"),),
    ),
    Case(
        name="numbers stored as text, and text as numbers",
        file="subjects.xlsx",
        data=book(("Subject ID", "age", "weight"), ("007", "34", "81.5"), (8, "34,5", 60), ("1.0", 2, None)),
        tree=one("007", None, {"age": seconds(34), "weight": 81.5})
        | one("8", None, {"age": seconds(34.5), "weight": 60.0})
        | one("1.0", None, {"age": seconds(2)}),
    ),
    Case(
        name="a format that shows leading zeros",
        file="subjects.xlsx",
        data=book(("Subject ID", "age"), (7, 34), (12, 35), (1234, 36), formats={"A": "000"}),
        tree=one("007", None, {"age": seconds(34)})
        | one("012", None, {"age": seconds(35)})
        | one("1234", None, {"age": seconds(36)}),
    ),
    Case(
        name="formulas without stored values, #N/A, truth",
        file="subjects.xlsx",
        data=book(
            ("Subject ID", "age", "subject.info.consent", "sex"),
            ("s1", "#N/A", True, "F"),
            ('="s"&2', 3, False, None),
            ("s3", None, False, "#N/A"),
        ),
        tree=one("s1", {"info.consent": True, "sex": "female"}) | one("s3", {"info.consent": False}),
        wrong=((3, "Subject ID", "is empty"),),
        says=("holds formulas without a value",),
    ),
    Case(
        name="failed formulas in a workbook",
        file="subjects.xlsx",
        data=book(
            ("Subject ID", "session", "age", "colour"),
            ("s1", "#REF!", 3, None),
            ("s2", "v1", "#VALUE!", None),
            ("s3", "v1", "#N/A", "#NAME?"),
        ),
        tree=below(("s3", "v1", "Struct_T1")),
        wrong=((2, "session", "#REF!: a formula failed"), (3, "age", "#VALUE!")),
    ),
    Case(
        name="several sheets, the first hidden",
        file="subjects.xlsx",
        data=book(("M", "F"), change=_hidden_first),
        tree=one("s1", {"sex": "male"}),
    ),
    Case(
        name="several sheets, the first empty",
        file="subjects.xlsx",
        data=book(change=_empty_first),
        tree=one("s1"),
        says=("'data' was read",),
    ),
    Case(
        name="a sheet by its name",
        file="subjects.xlsx",
        data=book(("nothing", "here"), change=_empty_first),
        settings={"sheet": "data"},
        tree=one("s1"),
    ),
    Case(
        name="a sheet that is not there",
        file="subjects.xlsx",
        data=book(("Subject ID",), ("s1",)),
        settings={"sheet": "Patients"},
        fails="has no sheet 'Patients'; there is Sheet",
    ),
    Case(
        name="blank rows and columns around the table",
        file="subjects.xlsx",
        data=book(change=_blank_rows_and_columns),
        tree=one("s1", {"sex": "female"}),
        wrong=((9, "sex", "'nobody' is no known sex"),),
    ),
    Case(
        name="a merged title above the header",
        file="subjects.xlsx",
        data=book(("Subject ID", "sex", "age"), ("s1", "F", 3), change=_merged_title),
        fails="has no subject column",
    ),
    Case(
        name="a workbook under the name of a CSV",
        file="subjects.csv",
        data=book(("Subject ID",), ("s1",)),
        tree=one("s1"),
    ),
    Case(name="an empty workbook", file="subjects.xlsx", data=book(), fails="is empty"),
    Case(
        name="half a workbook",
        file="subjects.xlsx",
        data=lambda: book(("Subject ID",), ("s1",))()[:2000],
        fails="damaged Excel workbook",
    ),
    Case(
        name="a workbook whose last rows have formatted blanks",
        file="subjects.xlsx",
        data=book(("Subject ID", "sex"), ("s1", "F"), ("", " "), (None, None), ("s2", "M")),
        tree=one("s1", {"sex": "female"}) | one("s2", {"sex": "male"}),
    ),
]

# --- BIDS, DICOM, REDCap ------------------------------------------------------------------------------------------

RESEARCH = [
    Case(
        name="BIDS participants.tsv: subjects alone, age in info",
        file="participants.tsv",
        data=text("""
participant_id\tage\tsex\thandedness\tgroup
sub-01\t34\tF\tright\tcontrol
sub-02\t12\tM\tn/a\tpatient
sub-03\tn/a\tn/a\tleft\tpatient
"""),
        tree={
            ("sub-01",): {"sex": "female", "info.age": 34},
            ("sub-02",): {"sex": "male", "info.age": 12},
            ("sub-03",): {},
        },
        says=("handedness, group",),
    ),
    Case(
        name="BIDS participants.tsv with everything as info",
        file="participants.tsv",
        data=text("""
participant_id\tage\tscore\ticu
sub-01\t34.5\t1\ttrue
sub-02\t89+\t2\tfalse
"""),
        settings={"extra": "info"},
        tree={
            ("sub-01",): {"info.age": "34.5", "info.score": 1, "info.icu": True},
            ("sub-02",): {"info.age": "89+", "info.score": 2, "info.icu": False},
        },
    ),
    Case(
        name="BIDS participants.tsv with a session by flag",
        file="participants.tsv",
        data=text("participant_id\tage\tsex\nsub-01\t34\tF"),
        settings={"session_label": "ses-01"},
        tree={("sub-01",): {"sex": "female", "info.age": 34}, ("sub-01", "ses-01"): {}},
    ),
    Case(
        name="BIDS sessions.tsv of one subject: its name tells whose",
        file="sub-01_sessions.tsv",
        data=text("""
session_id\tacq_time\tage
ses-predrug\t2009-06-15T13:45:30\t34.1
ses-postdrug\t2009-06-16T13:45:30\tn/a
ses-followup\t2009-06-17T13:45:30\t34.1
"""),
        tree={
            ("sub-01",): {},
            ("sub-01", "ses-predrug"): {**utc("2009-06-15T13:45:30"), "age": seconds(34.1)},
            ("sub-01", "ses-postdrug"): utc("2009-06-16T13:45:30"),
            ("sub-01", "ses-followup"): {**utc("2009-06-17T13:45:30"), "age": seconds(34.1)},
        },
    ),
    Case(
        name="BIDS sessions.tsv of all subjects",
        file="sessions.tsv",
        data=text("""
participant_id\tsession_id\tacq_time
sub-01\tses-01\t2009-06-15T13:45:30
sub-01\tses-02\tn/a
sub-02\tses-01\t2009-06-15T14:45:30.25
"""),
        tree={
            ("sub-01",): {},
            ("sub-01", "ses-01"): utc("2009-06-15T13:45:30"),
            ("sub-01", "ses-02"): {},
            ("sub-02",): {},
            ("sub-02", "ses-01"): {"timestamp": "2009-06-15T14:45:30.250+00:00", "timezone": "UTC"},
        },
    ),
    Case(
        name="BIDS sessions.tsv of nobody",
        file="sessions.tsv",
        data=text("session_id\tacq_time\nses-01\t2009-06-15T13:45:30"),
        fails="has no subject column",
    ),
    Case(
        name="DICOM attributes",
        file="dicom.csv",
        data=text("""
PatientID,PatientSex,PatientAge,PatientBirthDate,StudyDate,StudyTime,SeriesDescription,AcquisitionDate,AcquisitionTime
0042,F,034Y,19850304,20191003,153200.000,T1 MPRAGE,20191003,153512.25
0042,F,034Y,19850304,20191003,153200.000,T2 FLAIR,20191003,154001
0043,O,018M,,20191004,0900,localizer,20191004,090100
"""),
        settings={"timezone": "Europe/Zurich"},
        tree=below(
            ("0042", "Session1", "T1 MPRAGE"),
            {"sex": "female", "date_of_birth": "1985-03-04"},
            {"age": seconds(34), **zurich("2019-10-03T15:32:00+02:00")},
            zurich("2019-10-03T15:35:12.250+02:00"),
        )
        | {("0042", "Session1", "T2 FLAIR"): zurich("2019-10-03T15:40:01+02:00")}
        | below(
            ("0043", "Session1", "localizer"),
            {"sex": "other"},
            {"age": seconds(1.5), **zurich("2019-10-04T09:00:00+02:00")},
            zurich("2019-10-04T09:01:00+02:00"),
        ),
    ),
    Case(
        name="a full DICOM dump: series and acquisition times, sequence names, ids",
        file="dump.csv",
        data=text("""
PatientID,PatientName,Modality,SeriesNumber,SeriesDescription,SequenceName,SeriesDate,SeriesTime,AcquisitionDate,AcquisitionTime,StudyID
P1,DOE^JANE,MR,2,t1_mprage,*tfl3d1,20200131,101500,20200131,101530,9
"""),
        tree=below(("P1", "9", "t1_mprage"), {}, {}, utc("2020-01-31T10:15:30")),
        says=("SeriesDate", "PatientName"),
    ),
    Case(
        name="REDCap: one row an event",
        file="STUDY_DATA_2024-01-31_1200.csv",
        data=text("""
record_id,redcap_event_name,sex,dob,weight,scan_date,demographics_complete
101,baseline_arm_1,Female,1980-05-17,60.5,2019-10-03 15:32,2
101,followup_arm_1,,,61,2020-10-03 09:00,0
102,baseline_arm_1,1,1990-01-01,70,2019-11-03 10:00,2
"""),
        tree=below(
            ("101", "baseline_arm_1", "Struct_T1"),
            {"sex": "female", "date_of_birth": "1980-05-17"},
            {"weight": 60.5, "age": days((dt.date(2019, 10, 3) - dt.date(1980, 5, 17)).days)},
            utc("2019-10-03T15:32:00"),
        )
        | below(
            ("101", "followup_arm_1", "Struct_T1"),
            {"sex": "female", "date_of_birth": "1980-05-17"},
            {"weight": 61.0},
            utc("2020-10-03T09:00:00"),
        ),
        wrong=((4, "sex", "'1' is no known sex"),),
        says=("demographics_complete",),
    ),
    Case(
        name="labels by templates, info by qualified headers, maps",
        data=text("""
Center,Code,Visit No,subject.info.iq,session.info.drug,Remarks,score:x
ZH,007,1,101,true,"first; second",1.5
ZH,007,2,101,false,,
"""),
        settings={
            "subject_label": "{Center}-{Code}",
            "session_label": "V{visit_no}",
            "acquisition_label": "T1 {{raw}}",
            "maps": ["Remarks=session.notes", "score:x=acquisition.info.score"],
        },
        tree=below(
            ("ZH-007", "V1", "T1 {raw}"),
            {"info.iq": 101},
            {"info.drug": True, "notes": ["first; second"]},
            {"info.score": 1.5},
        )
        | below(("ZH-007", "V2", "T1 {raw}"), {"info.iq": 101}, {"info.drug": False}),
    ),
    Case(
        name="a table of sessions that sets tags, types and times of its own",
        data=text('''
subject.label,session.label,session.tags,session.timestamp,session.timezone,subject.info.code:str,subject.cohort,acquisition.label
a/b,"v, ""1""",x;y,2019-10-03T15:32:00Z,Asia/Tokyo,0012,Control,
a/b,w,,2019-10-04 10:00,Asia/Tokyo,0012,Control,T1
'''),
        tree={
            ("a/b",): {"info.code": "0012", "cohort": "Control"},
            ("a/b", 'v, "1"'): {
                "tags": ["x", "y"],
                "timestamp": "2019-10-03T15:32:00+00:00",
                "timezone": "Asia/Tokyo",
            },
            ("a/b", "w"): {"timestamp": "2019-10-04T10:00:00+09:00", "timezone": "Asia/Tokyo"},
            ("a/b", "w", "T1"): {},
        },
    ),
]

# --- times --------------------------------------------------------------------------------------------------------

TIMES = [
    Case(
        name="a gap and a fold",
        data=text("""
Subject ID,scan datetime
s1,2019-03-31 02:30
s2,2019-10-27 02:30
s3,2019-10-27 03:30
"""),
        settings={"timezone": "Europe/Zurich"},
        tree=one("s3", None, None, zurich("2019-10-27T03:30:00+01:00")),
        wrong=((2, "scan datetime", "shift-forward"), (3, "scan datetime", "--dst earlier or --dst later")),
    ),
    Case(
        name="a gap and a fold, settled",
        data=text("""
Subject ID,scan datetime
s1,2019-03-31 02:30
s2,2019-10-27 02:30
"""),
        settings={"timezone": "Europe/Zurich", "dst": ["later", "shift-forward"]},
        tree=one("s1", None, None, zurich("2019-03-31T03:30:00+02:00"))
        | one("s2", None, None, zurich("2019-10-27T02:30:00+01:00")),
    ),
    Case(
        name="a zone by row, and a wrong one",
        data=text("""
Subject ID,scan datetime,timezone
s1,2019-10-03 15:32,Asia/Tokyo
s2,2019-10-03 15:32,
s3,2019-10-03 15:32,Europe/Zürich
s4,2019-10-03 15:32,UTC+2
s5,2019-10-03T15:32Z,
"""),
        settings={"timezone": "Europe/Zurich"},
        tree=one("s1", None, None, {"timestamp": "2019-10-03T15:32:00+09:00", "timezone": "Asia/Tokyo"})
        | one("s2", None, None, zurich("2019-10-03T15:32:00+02:00"))
        | one("s5", None, None, {"timestamp": "2019-10-03T15:32:00+00:00"}),
        wrong=((4, "timezone", "did you mean Europe/Zurich"), (5, "timezone", "did you mean UTC?")),
    ),
    Case(
        name="a zone by site",
        data=text("""
Subject ID,scan datetime,Site
s1,2019-10-03 15:32,Tokyo
s2,2019-10-03 15:32,zurich
s3,2019-10-03 15:32,Bern
"""),
        settings={"site_zones": {"Tokyo": "Asia/Tokyo", "Zurich": "Europe/Zurich"}},
        tree=one("s1", None, None, {"timestamp": "2019-10-03T15:32:00+09:00", "timezone": "Asia/Tokyo"})
        | one("s2", None, None, zurich("2019-10-03T15:32:00+02:00")),
        wrong=((4, "Site", "'Bern' has no zone"),),
    ),
    Case(
        name="day and month can't be told apart",
        data=text("Subject ID,Scan Date\ns1,03/04/2019 10:00\ns2,05/06/2019 10:00"),
        fails="day and month can't be told apart",
    ),
    Case(
        name="day and month, told by a flag",
        data=text("Subject ID,Scan Date\ns1,03/04/2019 10:00\ns2,05/06/2019 10:00"),
        settings={"day_order": "day-first"},
        tree=one("s1", None, None, utc("2019-04-03T10:00:00")) | one("s2", None, None, utc("2019-06-05T10:00:00")),
    ),
    Case(
        name="mixed orders of day and month",
        data=text("""
Subject ID,Scan Date
s1,23/10/2019 10:00
s2,10/23/2019 10:00
s3,03/04/2019 10:00
s4,2019-10-03 10:00
"""),
        tree=one("s4", None, None, utc("2019-10-03T10:00:00")),
        wrong=(
            (2, "Scan Date", "day-first"),
            (3, "Scan Date", "month-first"),
            (4, "Scan Date", "day-first in line 2, month-first in line 3"),
        ),
    ),
    Case(
        name="dates that do not exist",
        data=text("""
Subject ID,Scan Date
s1,2019-02-29 10:00
s2,2020-02-29 10:00
s3,2019-13-01 10:00
s4,2019-10-03 25:00
s5,yesterday
s6,03.10.19 10:00
"""),
        tree=one("s2", None, None, utc("2020-02-29T10:00:00")),
        wrong=(
            (2, "Scan Date", "no date that exists"),
            (4, "Scan Date", "no date that exists"),
            (5, "Scan Date", "no time of day that exists"),
            (6, "Scan Date", "'yesterday' is no date that is known"),
            (7, "Scan Date", "year of two digits"),
        ),
    ),
    Case(
        name="forms by hand, one of two digits",
        data=text("Subject ID,Scan Date\ns1,03.10.19 10:00\ns2,2019/10/04\ns3,2019-10-05"),
        settings={"date_formats": ["%d.%m.%y %H:%M", "%Y/%m/%d"], "timezone": "Europe/Zurich"},
        tree=one("s1", None, None, zurich("2019-10-03T10:00:00+02:00"))
        | one("s2", None, None, zurich("2019-10-04T00:00:00+02:00")),
        wrong=((4, "Scan Date", "has none of the formats"),),
    ),
    Case(
        name="two forms that only the time of day tells apart",
        data=text("Subject ID,Scan Date\ns1,03-10-2019 10:00\ns2,12-31-2019 11:00:00\ns3,03-10-2019 11:00:00"),
        settings={"date_formats": ["%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M:%S"]},
        tree=one("s1", None, None, utc("2019-10-03T10:00:00"))
        | one("s2", None, None, utc("2019-12-31T11:00:00"))
        | one("s3", None, None, utc("2019-03-10T11:00:00")),
    ),
    Case(
        name="a time in the future, a scan before birth, a birth to come",
        data=text("""
Subject ID,DOB,scan datetime
s1,1980-01-01,2090-10-03 10:00
s2,2019-01-01,2018-10-03 10:00
s3,2095-01-01,2018-10-03 10:00
s4,1850-01-01,2018-10-03 10:00
"""),
        tree=one(
            "s1",
            {"date_of_birth": "1980-01-01"},
            {"age": days((dt.date(2090, 10, 3) - dt.date(1980, 1, 1)).days)},
            utc("2090-10-03T10:00:00"),
        )
        | one("s2", {"date_of_birth": "2019-01-01"}, {}, utc("2018-10-03T10:00:00")),
        wrong=((4, "DOB", "future"), (5, "DOB", "over 130 years")),
        says=("times in the future: 1 rows (first in line 2)", "before the date of birth"),
    ),
    Case(
        name="a time of day alone",
        data=text("Subject ID,Scan Date,Scan Time\ns1,,15:32\ns2,2019-10-03,\ns3,2019-10-03,15:32"),
        settings={"timezone": "UTC"},
        tree=one("s2", None, None, utc("2019-10-03T00:00:00")) | one("s3", None, None, utc("2019-10-03T15:32:00")),
        wrong=((2, "Scan Time", "time of day without its date"),),
    ),
    Case(
        name="a local mean time is refused",
        data=text("Subject ID,scan datetime\ns1,1880-01-01 10:00"),
        settings={"timezone": "Europe/Amsterdam"},
        wrong=((2, "scan datetime", "no standard time"),),
    ),
]

# --- broken, hostile ----------------------------------------------------------------------------------------------

BROKEN = [
    Case(name="an empty file", data=b"", fails="is empty"),
    Case(name="blanks alone", data=b" \n\n", fails="is empty"),
    Case(name="a header and nothing else", data=b"Subject ID,sex,age\n", tree={}),
    Case(name="no subject", data=b"age,sex\n3,F\n", fails="has no subject column"),
    Case(name="a near subject", data=b"Subjekt,sex\n3,F\n", fails="is it 'Subjekt'?"),
    Case(
        name="rows without their subject",
        data=b"Subject ID,sex\n,F\nNA,F\n-,F\nn/a,F\nNull,F\n",
        tree=one("Null", {"sex": "female"}),
        wrong=tuple((line, "Subject ID", "a row needs its subject") for line in (2, 3, 4, 5)),
    ),
    Case(name="the same column twice", data=b"Subject ID,age,Age\ns1,3,4\n", fails="'age' and 'Age' both mean"),
    Case(
        name="an unknown column twice",
        data=b"Subject ID,x,x\ns1,3,4\n",
        tree=one("s1"),
        says=("x, x",),
    ),
    Case(
        name="an unknown column where that is an error",
        data=b"Subject ID,colour\ns1,red\n",
        settings={"extra": "error"},
        fails="'colour'",
    ),
    Case(
        name="ragged rows",
        data=b"Subject ID,sex,age\ns1\ns2,F\ns3,M,3\ns4,M,3,\ns5,M,3,oops\n",
        tree=one("s1")
        | one("s2", {"sex": "female"})
        | one("s3", {"sex": "male"}, {"age": seconds(3)})
        | one("s4", {"sex": "male"}, {"age": seconds(3)}),
        wrong=((6, "age", "has 4 cells, the header has 3"),),
    ),
    Case(
        name="a quote that is never closed",
        data=b'Subject ID,FirstName,sex\ns1,Lisa,F\ns2,"Bart,M\ns3,Maggie,F\n',
        fails="line 3: has a cell that begins here and never ends",
    ),
    Case(
        name="a quote that is closed some lines below, by the next one",
        data=b'Subject ID,FirstName,sex\ns1,"Lisa,F\ns2,"Bart",M\ns3,"Maggie",F\n',
        fails="line 2: has a cell that begins here",
    ),
    Case(
        name="quotes and line ends in cells",
        data=b'Subject ID,FirstName,subject.notes\ns1,"Li""sa","one\ntwo"\ns2,5" x,\n',
        tree=one("s1", {"firstname": 'Li"sa', "notes": ["one\ntwo"]}) | one("s2", {"firstname": '5" x'}),
    ),
    Case(
        name="labels with everything in them",
        data='Subject ID,session,acquisition\n"a/b,c","v ""1""",T1 (ünï)\n../x,.,..\n'.encode(),
        tree=below(("a/b,c", 'v "1"', "T1 (ünï)")) | below(("../x", ".", "..")),
    ),
    Case(
        name="a formula stays text",
        data=b"Subject ID,FirstName,LastName\n\"=cmd|' /C calc'!A0\",@SUM(A1),+1-2\n'=x,''=y,-5\n",
        tree=one("=cmd|' /C calc'!A0", {"firstname": "@SUM(A1)", "lastname": "+1-2"})
        | one("=x", {"firstname": "'=y", "lastname": "-5"}),
    ),
    Case(
        name="null bytes and control characters",
        data=b'Subject ID,FirstName\ns1,a\x00b\ns\x072,x\ns3,tab\there\n"s\n4",x\ns5,\x1b[31mred\ns6,ok\n',
        tree=one("s3", {"firstname": "tab\there"}) | one("s6", {"firstname": "ok"}),
        wrong=(
            (2, "FirstName", "control character ('\\x00')"),
            (3, "Subject ID", "control character ('\\x07')"),
            (5, "Subject ID", "control character ('\\n')"),
            (7, "FirstName", "control character ('\\x1b')"),
        ),
    ),
    Case(name="null bytes in the header", data=b"Subject ID,a\x00b\ns1,x\n", fails="null bytes"),
    Case(
        name="a cell of two megabytes",
        data=lambda: b"Subject ID,subject.info.a\ns1," + b"x" * 2_000_000 + b"\ns2,y\n",
        tree=one("s2", {"info.a": "y"}),
        wrong=((2, "subject.info.a", "has 2,000,000 characters"),),
    ),
    Case(
        name="impossible values",
        data=text("""
Subject ID,sex,age,weight
s1,X,,
s2,,-3,
s3,,131,
s4,,130,
s5,,old,
s6,,3 apples,
s7,,,heavy
s8,,,-1
s9,,0,3.5 kg
"""),
        tree=one("s4", None, {"age": seconds(130)}) | one("s9", None, {"age": 0, "weight": 3.5}),
        wrong=(
            (2, "sex", "'X' is no known sex"),
            (3, "age", "'-3' is a negative age"),
            (4, "age", "over 130 years"),
            (6, "age", "'old' is no age"),
            (7, "age", "no age"),
            (8, "weight", "'heavy' is no number"),
            (9, "weight", "no weight"),
        ),
    ),
    Case(
        name="what says that there is nothing",
        data=text("""
Subject ID,sex,age,FirstName,scan datetime,subject.info.x
s1,NA,n/a,NULL,-,NA
s2,,NULL,n/a,,
s3,na,-,Na,n/a,5
"""),
        tree=one("s1") | one("s2") | one("s3", {"firstname": "Na", "info.x": 5}),
    ),
    Case(
        name="a missing cell that is required",
        data=text("Subject ID,age,scan datetime\ns1,3,2019-10-03 10:00\ns2,,2019-10-03 10:00\ns3,3,"),
        settings={"require": ["age", "timestamp"]},
        tree=one("s1", None, {"age": seconds(3)}, utc("2019-10-03T10:00:00")),
        wrong=((3, "age", "--require"), (4, "scan datetime", "--require")),
    ),
    Case(
        name="rows that disagree, repeat, and add up",
        data=text("""
Subject ID,session,sex,FirstName,age
s1,v1,F,,34
s1,v1,F,Lisa,34
s1,v2,,,35
s2,v1,M,,3
s2,v1,F,,3
s3,v1,M,,3
s3,v1,,,4
s4,v1,M,,3
s4,v1,M,,3
"""),
        tree=below(("s1", "v1", "Struct_T1"), {"sex": "female", "firstname": "Lisa"}, {"age": seconds(34)})
        | below(("s1", "v2", "Struct_T1"), {"sex": "female", "firstname": "Lisa"}, {"age": seconds(35)})
        | below(("s4", "v1", "Struct_T1"), {"sex": "male"}, {"age": seconds(3)}),
        wrong=(
            (5, "sex", "line 6 gives subject 's2' another sex"),
            (6, "sex", "line 5 gives subject 's2' another sex"),
            (7, "age", "line 8 gives session 'v1' another age; tell the sessions apart by --session-label '{column}'"),
            (8, "age", "line 7 gives session 'v1' another age"),
        ),
        says=("repeat an earlier row",),
    ),
    Case(
        name="failed formulas in a CSV",
        data=b"Subject ID,session,colour,age\n#REF!,v1,,\ns2,#VALUE!,,\ns3,v1,#DIV/0!,\ns4,v1,,#N/A\n",
        tree=below(("s3", "v1", "Struct_T1")) | below(("s4", "v1", "Struct_T1")),
        wrong=((2, "Subject ID", "formula"), (3, "session", "formula")),
    ),
    Case(
        name="bytes of no known encoding",
        data=b"Subject ID,FirstName\ns1,ok\ns2,\x81\x8d\n",
        fails="line 3: byte 30 (0x81) is neither UTF-8 nor Windows-1252",
    ),
    Case(
        name="a wrong encoding by hand",
        data=b"Subject ID,FirstName\ns1,\xe9\n",
        settings={"encoding": "utf-8"},
        fails="line 2: byte 24 (0xe9) is not utf-8",
    ),
    Case(name="no encoding by hand", data=b"Subject ID\ns1\n", settings={"encoding": "zlib"}, fails="unknown encoding"),
    Case(name="a PDF", data=b"%PDF-1.7 ...", fails="a PDF"),
    Case(name="a table that begins with PK", data=b"PK,Subject ID\n1,s1\n", tree=one("s1"), says=("PK",)),
    Case(
        name="a map to no column, and to no field",
        data=b"Subject ID,Chart\ns1,3\n",
        settings={"maps": ["chrt=subject.firstname"]},
        fails="did you mean 'Chart'?",
    ),
    Case(
        name="a map to no field",
        data=b"Subject ID,Chart\ns1,3\n",
        settings={"maps": ["Chart=subject.fistname"]},
        fails="did you mean subject.firstname",
    ),
    Case(
        name="a rejects file comes back",
        data=b"Subject ID,sex,error\ns1,F,\"line 2, sex: 'X' is no known sex\"\n",
        settings={"extra": "error"},
        tree=one("s1", {"sex": "female"}),
    ),
    Case(
        name="JSON that can't be kept",
        data=lambda: text(
            'Subject ID;subject.info.j:json\ns1;{"a": [1, 2.5, null]}\ns2;{a}\ns3;123456789012345678901234567890\ns4;'
            + "[" * 90_000
        ),
        tree=one("s1", {"info.j": {"a": [1, 2.5, None]}}),
        wrong=(
            (3, "subject.info.j:json", "no JSON"),
            (4, "subject.info.j:json", "no JSON"),
            (5, "subject.info.j:json", "no JSON"),
        ),
    ),
]

CASES = [TUTORIAL, *LANGUAGES, *WORKBOOKS, *RESEARCH, *TIMES, *BROKEN]

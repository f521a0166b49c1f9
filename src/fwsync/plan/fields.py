"""The fields that a table's columns may mean: their paths, their types, and the spellings by which they are known.

A path names the level and the field of the platform (`subject.sex`, `session.info.site`), or something that is told
of the row as a whole (`timezone`, `date_of_birth`, `ignore`). `:type` after it says how to read the cells
(`subject.info.code:str`, `session.age:months`).
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Literal

import msgspec

Level = Literal["subject", "session", "acquisition"]
LEVELS: tuple[Level, ...] = ("subject", "session", "acquisition")

TYPES = ("str", "int", "float", "bool", "json")
"""How an `info` value or a text is read; `str` takes the cell as it is, blanks and words such as NA too."""

AGE_UNITS = ("years", "months", "weeks", "days", "seconds")

_TEXT = {
    "subject": ("firstname", "lastname", "cohort", "race", "ethnicity", "species", "strain", "type"),
    "session": ("operator",),
    "acquisition": (),
}
_TIMES = ("timestamp", "date", "time", "timezone")
_OF_A_FILE = ("type", "modality", "classification", "info")
ROW_WIDE = ("timezone", "date_of_birth", "ignore")
"""Paths without a level: the zone of all times in the row, a date of birth that only serves to work out the age, and a
column to leave out."""


class Field(msgspec.Struct, frozen=True):
    """One field: `level` is empty for what concerns the whole row; `key` is the key of an `info` or classification."""

    level: Level | Literal[""]
    name: str
    key: str = ""
    type: str = ""

    @property
    def path(self) -> str:
        """The field as a person writes it, without its type."""
        return ".".join(part for part in (self.level, self.name, self.key) if part)

    @property
    def is_time(self) -> bool:
        """Whether it gives (a part of) a timestamp."""
        return self.name in ("timestamp", "date", "time")


def parse_field(text: str) -> Field:
    """A field from its path, such as `subject.info.site:str`; ValueError, with near paths, where there is none."""
    path, colon, kind = text.rpartition(":")
    if not colon or kind not in (*TYPES, *AGE_UNITS):
        path, kind = text, ""
    if path.strip() in ROW_WIDE:
        return _checked(Field("", path.strip(), type=kind), text)
    level, _, rest = path.lstrip().partition(".")
    if level in LEVELS:
        for prefix in ("info", "file.info", "file.classification"):
            if rest.startswith(prefix + ".") and rest[len(prefix) + 1 :].strip():
                key = rest[len(prefix) + 1 :]
                # The platform rewrites these two in the keys of info.
                key = key if prefix.endswith("classification") else info_key(key)
                return _checked(Field(level, prefix, key, kind), text)
        if rest.strip() in names_of(level):
            return _checked(Field(level, rest.strip(), type=kind), text)
    raise ValueError(f"{text.strip()!r} is no field{_near(path.strip())}")


def info_key(key: str) -> str:
    """A key of `info` as the platform keeps it."""
    return key.replace(".", "_").replace("$", "-")


def names_of(level: str) -> tuple[str, ...]:
    """The fields of a level, without those that have a key."""
    own = {
        "subject": ("sex", "date_of_birth"),
        "session": ("age", "weight", *_TIMES),
        "acquisition": _TIMES,
    }[level]
    files = tuple(f"file.{name}" for name in _OF_A_FILE[:3])
    return ("label", *_TEXT[level], *own, "tags", "notes", "file", *files)


def is_text(field: Field) -> bool:
    """Whether the field holds free text."""
    return bool(field.level) and field.name in _TEXT[field.level]


def _checked(field: Field, text: str) -> Field:
    allowed: tuple[str, ...] = ()
    if field.name in ("info", "file.info"):
        allowed = TYPES
    elif field.name == "age":
        allowed = AGE_UNITS
    elif field.name == "label" or is_text(field):
        allowed = ("str",)
    elif field.name in ("tags", "notes"):
        allowed = ("json",)
    if field.type and field.type not in allowed:
        can_be = f"; it can be {', '.join(allowed)}" if allowed else ""
        raise ValueError(f"{text.strip()!r}: {field.path} can't be read as {field.type}{can_be}")
    return field


def _near(path: str) -> str:
    rest = path.partition(".")[2]
    if elsewhere := [f"{level}.{rest}" for level in LEVELS if rest in names_of(level)]:
        return f"; did you mean {' or '.join(elsewhere)}?"
    known = [f"{level}.{name}" for level in LEVELS for name in names_of(level)]
    known += [f"{level}.info.NAME" for level in LEVELS] + list(ROW_WIDE)
    close = difflib.get_close_matches(path, known, n=3, cutoff=0.6) or difflib.get_close_matches(
        path, [name.split(".", 1)[-1] for name in known], n=2, cutoff=0.7
    )
    full = list(dict.fromkeys(name if name in known else next(k for k in known if k.endswith(name)) for name in close))
    return f"; did you mean {' or '.join(full)}?" if full else "; the reference lists them (docs/reference/csv.md)"


def plain(name: str) -> str:
    """A header for comparison: no case, no blanks, no punctuation that people vary."""
    # macOS writes accents as characters of their own.
    return _VARIED.sub("", unicodedata.normalize("NFC", name)).casefold()


_VARIED = re.compile("[\\s_.\\-()\\[\\]/:#\u200b\u00ad'’]+")


class Spelling(msgspec.Struct, frozen=True):
    """The spellings of one field. `weak` ones yield to a column with a strong one."""

    path: str
    strong: tuple[str, ...]
    weak: tuple[str, ...] = ()


SPELLINGS: tuple[Spelling, ...] = (
    Spelling(
        "subject.label",
        (
            "Subject ID", "subject", "subject label", "subject code", "subject number", "subject no", "participant ID",
            "participant", "Patient ID", "patient", "patient number", "patient code", "sub ID", "subj ID", "subj",
            "Probanden-ID", "Proband", "Probandennummer", "Patienten-ID", "Patientennummer", "Patient Nr",
            "Versuchsperson", "ID patient", "ID sujet", "sujet", "numéro patient", "identifiant patient",
            "ID paciente", "paciente",
            "sujeto", "ID sujeto", "ID paziente", "paziente", "soggetto", "ID soggetto", "Patiëntnummer",
            "proefpersoon",
            "deelnemer", "ID do paciente", "sujeito", "Patienten-Nr.", "Pat.-ID", "Pat.-Nr.", "Patientencode",
            "code patient", "N° patient", "código paciente", "código del paciente", "codice paziente",
            "código do paciente", "patiënt", "patiënt ID", "patiëntcode",
        ),
        ("sub", "label", "ID", "code", "MRN", "identifier", "Kennung", "Kürzel", "identifiant", "código", "codice",
         "record ID", "Pseudonym", "identificador", "identificativo", "NHC"),
    ),
    Spelling(
        "subject.firstname",
        ("FirstName", "first name", "given name", "forename", "Vorname", "prénom", "nombre", "nome", "voornaam"),
    ),
    Spelling(
        "subject.lastname",
        ("LastName", "last name", "surname", "family name", "Nachname", "Familienname", "nom", "nom de famille",
         "apellido", "apellidos", "cognome", "achternaam", "sobrenome"),
    ),
    Spelling(
        "subject.sex",
        ("sex", "gender", "patient sex", "subject sex", "participant sex", "Geschlecht", "sexe", "sexo", "sesso",
         "geslacht", "genre", "género", "gênero"),
    ),
    Spelling(
        "subject.date_of_birth",
        ("DOB", "date of birth", "birth date", "birthday", "patient birth date", "patient's birth date",
         "Geburtsdatum", "Geb Datum", "date de naissance", "fecha de nacimiento", "data di nascita", "geboortedatum",
         "data de nascimento"),
    ),
    Spelling(
        "session.age",
        ("age", "age at scan", "age at session", "age at visit", "patient age", "patient's age", "subject age",
         "Alter", "âge", "edad", "età", "leeftijd", "idade"),
    ),
    Spelling(
        "session.age:years",
        ("age years", "age in years", "age yrs", "age (y)", "Alter in Jahren", "Alter (Jahre)", "âge (ans)",
         "edad (años)", "età (anni)"),
    ),
    Spelling("session.age:months", ("age months", "age in months", "age mo", "Alter in Monaten",
                                    "Alter (Monate)")),
    Spelling("session.age:weeks", ("age weeks", "age in weeks")),
    Spelling("session.age:days", ("age days", "age in days")),
    Spelling("session.age:seconds", ("age seconds", "age in seconds")),
    Spelling(
        "session.weight",
        ("weight", "weight kg", "body weight", "body weight kg", "patient weight", "patient's weight", "Gewicht",
         "Gewicht kg", "Körpergewicht", "poids", "poids kg", "peso", "peso kg"),
    ),
    Spelling("session.operator", ("operator", "operator name", "operators name", "technician", "technologist", "MTRA")),
    Spelling(
        "session.label",
        ("session", "session ID", "session label", "session name", "ses", "ses ID", "visit", "visit ID", "visit name",
         "timepoint", "time point", "Sitzung", "Besuch", "Visite", "séance", "sesión", "sessione", "sessie", "visita",
         "redcap event name"),
        ("study description", "study ID", "exam", "event name"),
    ),
    Spelling("session.timestamp", ("session timestamp", "session datetime", "study datetime", "visit datetime")),
    Spelling("session.date", ("session date", "visit date", "study date", "date of visit", "exam date")),
    Spelling("session.time", ("session time", "study time", "visit time")),
    Spelling(
        "acquisition.label",
        ("acquisition", "acquisition ID", "acquisition label", "acquisition name", "series description", "scan name",
         "scan ID", "scan label", "Serienbeschreibung"),
        ("scan", "series", "protocol name", "sequence", "sequence name"),
    ),
    Spelling(
        "acquisition.timestamp",
        ("timestamp", "scan timestamp", "scan datetime", "scan date time", "acquisition timestamp", "acq time",
         "acquisition datetime", "acquisition date time", "date and time of scan"),
        ("datetime", "date time"),
    ),
    Spelling(
        "acquisition.date",
        ("scan date", "date of scan", "scanning date", "acquisition date", "MRI date", "date of MRI",
         "imaging date", "Scandatum", "Scan-Datum", "Untersuchungsdatum", "Aufnahmedatum", "Messdatum", "MRT-Datum",
         "date du scan", "date d'examen", "date de l'examen", "date IRM", "fecha de escaneo", "fecha del escáner",
         "fecha de adquisición", "fecha de estudio", "data scansione", "data della scansione", "data esame",
         "datum scan", "data do exame",
         "fecha del estudio", "fecha de la exploración", "data dell'esame", "onderzoeksdatum", "date d'acquisition"),
        ("date", "Datum", "fecha", "series date"),
    ),
    Spelling(
        "acquisition.time",
        ("time of scan", "scan time", "acquisition time", "time of acquisition", "Scanzeit", "Scan-Zeit",
         "Untersuchungszeit", "Aufnahmezeit", "heure du scan", "heure d'examen", "heure de l'examen",
         "heure d'acquisition", "hora de escaneo", "hora del estudio", "hora de la exploración", "hora do exame",
         "ora scansione", "ora esame", "ora dell'esame", "scantijd"),
        ("time", "Uhrzeit", "Zeit", "heure", "hora", "ora", "tijd", "series time"),
    ),
    Spelling("timezone", ("timezone", "time zone", "tz", "Zeitzone", "fuseau horaire", "zona horaria", "fuso orario")),
)  # fmt: skip
"""Known spellings, compared by `plain`. A qualified path such as `subject.sex` is known too."""

STRONG = {plain(word): spelling.path for spelling in SPELLINGS for word in spelling.strong}
WEAK = {plain(word): spelling.path for spelling in SPELLINGS for word in spelling.weak}

"""The demo's projects: neuro-study with everything in it, the tutorial's, and BIDS-Sample."""

from __future__ import annotations

import random
import unicodedata
from typing import Any

from fwsync.sandbox.demo import content
from fwsync.sandbox.demo.builder import Builder
from fwsync.sandbox.store.node import Node

YEAR = 31_557_600

PLAIN = [f"sub-{number:03}" for number in range(1, 16)]
CAREFUL = [
    "slash/subject", "colon:subject", "trailing-dot.", "trailing-space ", "CON", "Casey", "casey",
    unicodedata.normalize("NFC", "Zo\u00e9"), unicodedata.normalize("NFD", "Zo\u00e9"),
]  # fmt: skip
"""Labels that need care on some file system; the last four collide in pairs where case or Unicode form is folded."""

LONG_LABEL = "visit-" + "x" * 194
EMOJI_LABEL = "visit \U0001f9e0"
NO_SESSIONS = ("sub-014", "sub-015")

RUNS = (("complete",), ("complete", "complete", "failed"), ("failed",), ())
"""The bids-freesurfer runs of the first, second, third and fourth session of every four, oldest first."""


class Gears:
    """The gears of the site."""

    def __init__(self, b: Builder) -> None:
        image = {"base": "file", "type": {"enum": ["nifti"]}}
        optional = {**image, "optional": True}
        b.gear("bids-freesurfer", "1.0.0", "analysis")
        self.freesurfer = b.gear(
            "bids-freesurfer", "1.2.1", "analysis", config={"n_cpus": {"type": "integer", "default": 4}}
        )
        inputs = {
            "anatomical": image,
            **{f"t1w_anatomical_{n}": optional for n in range(2, 6)},
            "t2w_anatomical": optional,
        }
        config = {
            "gear-FREESURFER_LICENSE": {"type": "string", "default": ""},
            "subject_id": {"type": "string", "default": ""},
            "hippocampal_subfields": {"type": "boolean", "default": False},
        }
        b.gear("freesurfer-recon-all", "2.0.1", "analysis", inputs=inputs, config=config)
        b.gear("mriqc", "0.7.0", "qa", inputs={"nifti": image})
        self.export = b.gear("grp13-container-export", "0.3.0", "analysis")
        b.gear(
            "dicom-mr-classifier", "1.4.1", "utility", inputs={"dicom": {"base": "file", "type": {"enum": ["dicom"]}}}
        )


def neuro_study(b: Builder, group: Node, gears: Gears) -> None:
    """24 subjects, 32 sessions, 160 acquisitions, with all that the reports of the tutorial look for."""
    values = random.Random(42)  # noqa: S311 - the same site every time
    project = b.add("project", "neuro-study", group, description="A study that never was", info={"pi": "Nobody"})
    number = 0
    # The careful labels come first, so that some of their sessions have complete runs to mirror.
    for position, label in enumerate([*CAREFUL, *PLAIN]):
        sex = ("female", "male")[position % 2] if position % 11 else "other"
        age = values.randint(20, 69)
        subject = b.add("subject", label, project, sex=sex, info={"age": age, "handedness": values.choice("LR")})
        if label in NO_SESSIONS:
            continue
        for visit in range(2 if position % 2 == 0 and position < 20 else 1):
            name = {(0, 1): LONG_LABEL, (2, 1): EMOJI_LABEL}.get((position, visit), f"ses-{visit + 1}")
            doc: dict[str, Any] = {} if number % 9 == 8 else {"age": int((age + visit) * YEAR)}
            moment = f"2019-{1 + number % 12:02}-{1 + number % 28:02}T09:30:00+00:00"
            session = b.add("session", name, subject, timestamp=moment, timezone="Europe/Zurich", **doc)
            _scans(b, session, number, values)
            _runs(b, session, label, number, gears)
            number += 1
        if position == 12:
            analysis = b.analysis(subject, gears.freesurfer, "complete")
            zipped = content.freesurfer_archive(analysis.id, "sub-x", 900)
            b.file(analysis, "bids-freesurfer_sub-x.zip", zipped, type="archive", mimetype="application/zip")


def _scans(b: Builder, session: Node, number: int, values: random.Random) -> None:
    """Five acquisitions: two anatomical, one functional with its SBRef, one diffusion; their files and QC reports."""
    structural = {"Intent": ["Structural"], "Measurement": ["T1"]}
    t1 = b.add("acquisition", "T1w_MPR", session, timestamp=session.doc["timestamp"])
    b.file(t1, "T1w_MPR.nii.gz", content.nifti(number), modality="MR", classification=structural)
    bad = number % 7 == 3
    snr = {"snr_total": round(values.uniform(2.5, 5.0) if bad else values.uniform(8.0, 13.0), 6)}
    b.file(t1, "T1w_MPR_mriqc.qa.html", content.page("MRIQC T1w"), classification=structural, info=snr)
    t2 = b.add("acquisition", "T2w_SPC", session)
    t2_class = {"Intent": ["Structural"], "Measurement": ["T2"]}
    b.file(t2, "T2w_SPC.nii.gz", content.nifti(1000 + number), modality="MR", classification=t2_class)

    functional = {"Intent": ["Functional"], "Measurement": ["T2*"], "Features": []}
    rest = b.add("acquisition", "rfMRI_REST_AP", session)
    b.file(rest, "rfMRI_REST_AP.nii.gz", content.nifti(2000 + number), modality="MR", classification=functional)
    scan = {"EchoTime": 0.037, "FlipAngle": 52, "RepetitionTime": 0.8} if number % 4 else {}
    zipped = content.dicom_archive(3000 + number)
    b.file(
        rest, "rfMRI_REST_AP_fMRI.dcm.zip", zipped, type="dicom", modality="MR", classification=functional, info=scan
    )
    quality = {
        "snr": round(values.uniform(0.4, 0.9) if bad else values.uniform(1.8, 3.0), 6),
        "fd_mean": round(values.uniform(2.6, 4.0) if number % 8 == 5 else values.uniform(0.08, 0.4), 6),
    }
    b.file(rest, "rfMRI_REST_AP_mriqc.qa.html", content.page("MRIQC bold"), classification=functional, info=quality)

    reference = {"Intent": ["Functional"], "Measurement": ["BOLD"], "Features": ["SBRef"]}
    sbref = b.add("acquisition", "rfMRI_REST_AP_SBRef", session)
    b.file(sbref, "rfMRI_REST_AP_SBRef.nii.gz", content.nifti(4000 + number), modality="MR", classification=reference)
    diffusion = b.add("acquisition", "dMRI_dir98_AP", session)
    b.file(
        diffusion, "dMRI_dir98_AP.nii.gz", content.nifti(5000 + number), modality="MR",
        classification={"Intent": ["Structural"], "Measurement": ["Diffusion"]},
    )  # fmt: skip
    b.file(session, "brain_volumes.csv", content.volume_table(number))


def _runs(b: Builder, session: Node, label: str, number: int, gears: Gears) -> None:
    folder = "sub-" + "".join(c for c in label.removeprefix("sub-") if c.isascii() and c.isalnum())
    for run, state in enumerate(RUNS[number % len(RUNS)]):
        analysis = b.analysis(session, gears.freesurfer, state)
        if state == "complete":
            seed = 100 * number + run
            zipped = content.freesurfer_archive(analysis.id, folder, seed)
            b.file(analysis, f"bids-freesurfer_{folder}.zip", zipped, type="archive", mimetype="application/zip")
            b.file(analysis, f"{folder}_volumes.csv", content.volume_table(seed))
    for state in (("complete",), ("failed", "complete"), ("running",), (), ("failed",))[number % 5]:
        b.analysis(session, gears.export, state)


def tutorial(b: Builder, group: Node) -> None:
    """The tutorial's three rows, as its own loop leaves them."""
    project = b.add("project", "tutorial", group)
    rows: tuple[tuple[str, dict[str, str], int | None, str | None], ...] = (
        ("sub001", {"firstname": "Lisa", "lastname": "Simpson", "sex": "female"}, 34, "2019-10-03T15:32:00+00:00"),
        ("sub002", {"firstname": "Bart", "lastname": "Simpson", "sex": "male"}, 23, "2019-09-23T12:02:00+00:00"),
        ("subxxx", {}, None, None),
    )
    for label, person, age, moment in rows:
        subject = b.add("subject", label, project, info={"age": age} if age else None, **person)
        session = b.add("session", "Session1", subject, age=int(age * YEAR) if age else None)
        b.add("acquisition", "Struct_T1", session, timestamp=moment)


def bids_sample(b: Builder, group: Node) -> None:
    """16 subjects of one session each; sub-13 and sub-14 miss a run."""
    project = b.add("project", "BIDS-Sample", group)
    task = [f"task-balloonanalogrisktask_run-0{run}" for run in (3, 1, 2, 4)]
    for number in range(1, 17):
        subject = b.add("subject", f"sub-{number:02}", project)
        session = b.add("session", "ses-", subject)
        for label in (*task, "T1w", "inplaneT2"):
            if number in (13, 14) and label == task[3]:
                continue
            scan = b.add("acquisition", label, session)
            kind = {"Intent": ["Functional"], "Measurement": ["T2*"]} if label in task else {}
            kind = kind or {"Intent": ["Structural"], "Measurement": ["T1" if label == "T1w" else "T2"]}
            b.file(scan, f"{label}.nii.gz", content.nifti(7000 + number), modality="MR", classification=kind)

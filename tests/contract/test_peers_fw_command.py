"""flywheel-cli 18.5.1, the official `fw` command, against the sandbox."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import flywheel
import pytest
from peers_ import Official, needs_peers
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

pytestmark = [needs_peers, pytest.mark.timeout(240)]

BIG = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(signed_urls=True)) as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def fw(running: ThreadedSandbox, tmp_path_factory: pytest.TempPathFactory) -> Official:
    """Logged in; the key file lies in the test's own HOME."""
    official = Official(tmp_path_factory.mktemp("home"), running)
    assert "You are now logged in as" in official.types("login", running.key)
    kept = json.loads((official.home / ".config/flywheel/user.json").read_text())
    assert kept["key"] == running.key
    return official


def fill(running: ThreadedSandbox) -> None:
    """A small study: two subjects, an analysis, a zip of two DICOM slices."""
    sdk = flywheel.Client(running.key)
    sdk.add_group({"_id": "lab", "label": "Lab"})
    project = sdk.get_group("lab").add_project(label="study")
    for number in (1, 2):
        session = project.add_subject(label=f"sub-{number}").add_session(label="ses-1")
        scan = session.add_acquisition(label="T1w")
        scan.upload_file(flywheel.FileSpec("t1.nii.gz", BIG[: 1000 * number], "application/octet-stream"))
    slices = io.BytesIO()
    with zipfile.ZipFile(slices, "w") as out:
        for name in ("1.dcm", "2.dcm"):
            out.writestr(f"series/{name}", name * 100)
    scan.upload_file(flywheel.FileSpec("series.dcm.zip", slices.getvalue(), "application/zip"))
    Raw(running).json("PUT", f"/api/acquisitions/{scan.id}/files/series.dcm.zip", {"type": "dicom"})
    analysis = session.add_analysis(label="stats")
    analysis.upload_output(flywheel.FileSpec("result.csv", b"a,b\n1,2\n", "text/csv"))


def test_ls(fw: Official) -> None:
    assert fw.listing("lab/study") == ["sub-1", "sub-2"]
    assert fw.listing("lab/study/sub-2/ses-1/T1w/files") == ["files/t1.nii.gz", "files/series.dcm.zip"]
    assert fw.listing("lab/study/sub-2/ses-1/analyses") == ["analyses/stats"]
    assert "404" in fw.types("ls", "lab/nothing", ok=False)


def test_upload_and_download_of_a_file(fw: Official) -> None:
    (fw.home / "up load.bin").write_bytes(BIG)
    fw.types("upload", "up load.bin", "fw://lab/study/sub-1/ses-1")
    fw.types("download", "fw://lab/study/sub-1/ses-1/files/up load.bin", "-o", "back.bin")
    assert (fw.home / "back.bin").read_bytes() == BIG


def test_download_of_containers(fw: Official) -> None:
    fw.types("download", "-y", "fw://lab/study/sub-2", "-o", "sub.tar")
    with tarfile.open(fw.home / "sub.tar") as held:
        assert [Path(name).name for name in held.getnames()] == ["t1.nii.gz", "series.dcm.zip"]
    fw.types("download", "-y", "--zip", "-i", "nifti", "fw://lab/study/sub-2", "-o", "sub.zip")
    with zipfile.ZipFile(fw.home / "sub.zip") as held:
        (name,) = held.namelist()
        assert held.read(name) == BIG[:2000]


def test_sync(fw: Official) -> None:
    # Its audit log would be uploaded to the project, which is then newer than its metadata here.
    fw.types("sync", "-y", "-x", "--no-audit-log", "fw://lab/study", "out")
    found = {str(path.relative_to(fw.home / "out")): path for path in (fw.home / "out").rglob("*") if path.is_file()}
    names = sorted(path.name for path in found.values())
    assert {"1.dcm", "2.dcm", "result.csv", "t1.nii.gz"} <= set(names)
    assert any(name.endswith(".flywheel.json") for name in names), names
    (slice_,) = [path for path in found.values() if path.name == "2.dcm"]
    assert slice_.read_text() == "2.dcm" * 100
    times = {name: path.stat().st_mtime_ns for name, path in found.items()}
    fw.types("sync", "-y", "-x", "--no-audit-log", "fw://lab/study", "out")
    assert {name: path.stat().st_mtime_ns for name, path in found.items()} == times

"""The bytes of the demo's files: small, valid, and the same every time."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile

_EPOCH = (2020, 1, 1, 0, 0, 0)

_STRUCTURES = (
    (4, "Left-Lateral-Ventricle", 8200), (7, "Left-Cerebellum-White-Matter", 15100),
    (8, "Left-Cerebellum-Cortex", 54800), (10, "Left-Thalamus", 7600), (11, "Left-Caudate", 3600),
    (12, "Left-Putamen", 4900), (13, "Left-Pallidum", 2000), (14, "3rd-Ventricle", 950), (15, "4th-Ventricle", 1700),
    (16, "Brain-Stem", 21500), (17, "Left-Hippocampus", 4200), (18, "Left-Amygdala", 1650), (24, "CSF", 1050),
    (26, "Left-Accumbens-area", 520), (43, "Right-Lateral-Ventricle", 7800),
    (46, "Right-Cerebellum-White-Matter", 14900),
    (47, "Right-Cerebellum-Cortex", 55300), (49, "Right-Thalamus", 7500), (50, "Right-Caudate", 3700),
    (51, "Right-Putamen", 4950), (52, "Right-Pallidum", 1950), (53, "Right-Hippocampus", 4300),
    (54, "Right-Amygdala", 1750), (58, "Right-Accumbens-area", 560),
    (251, "CC_Posterior", 950), (255, "CC_Anterior", 900),
)  # fmt: skip


def nifti(seed: int) -> bytes:
    """A gzipped NIfTI-1 volume of 8 x 8 x 4 voxels of 16 bits."""
    values = random.Random(seed)  # noqa: S311 - repeatable on purpose
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 8, 8, 4, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1.0, 1.0, 1.0, 1.2, 2.0, 0, 0, 0)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\x00"
    voxels = struct.pack("<256h", *(values.randrange(0, 1500) for _ in range(256)))
    return gzip.compress(bytes(header) + voxels, mtime=0)


def archive(members: dict[str, bytes]) -> bytes:
    """A deflated zip with fixed times."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for path, content in members.items():
            info = zipfile.ZipInfo(path, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            made.writestr(info, content)
    return out.getvalue()


def dicom_archive(seed: int, slices: int = 3) -> bytes:
    """A zip of stand-ins for DICOM slices: the preamble and magic are real, the rest is noise."""
    values = random.Random(seed)  # noqa: S311
    return archive({f"{n:04}.dcm": b"\x00" * 128 + b"DICM" + values.randbytes(256) for n in range(1, slices + 1)})


def volumes(seed: int) -> dict[str, float]:
    """Plausible volumes in mm^3 by structure name."""
    values = random.Random(seed)  # noqa: S311
    return {name: round(mean * values.uniform(0.82, 1.18), 1) for _, name, mean in _STRUCTURES}


def aseg_stats(subject: str, seed: int) -> bytes:
    """FreeSurfer's own `stats/aseg.stats`: measures, column headers, one row per structure."""
    held = volumes(seed)
    values = random.Random(seed + 1)  # noqa: S311
    brain = 1_050_000 + values.uniform(-90_000, 90_000)
    lines = [
        "# Title Segmentation Statistics ",
        "# ",
        "# generating_program mri_segstats",
        f"# subjectname {subject}",
        f"# Measure BrainSeg, BrainSegVol, Brain Segmentation Volume, {brain:.6f}, mm^3",
        f"# Measure Cortex, CortexVol, Total cortical gray matter volume, {brain * 0.43:.6f}, mm^3",
        f"# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, {brain * 1.42:.6f}, mm^3",
        "# NRows %d" % len(_STRUCTURES),  # noqa: UP031 - reads like the original
        "# NTableCols 10 ",
        "# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean normStdDev normMin normMax normRange ",
    ]
    for index, (segment, name, _) in enumerate(_STRUCTURES, start=1):
        volume = held[name]
        mean, deviation = values.uniform(40, 110), values.uniform(5, 20)
        low, high = max(mean - 3 * deviation, 0), mean + 3 * deviation
        lines.append(
            f"{index:3d} {segment:3d}  {round(volume):8d} {volume:9.1f}  {name:<31} {mean:9.4f} {deviation:9.4f}"
            f" {low:9.4f} {high:9.4f} {high - low:9.4f} "
        )
    return ("\n".join(lines) + "\n").encode()


def freesurfer_archive(analysis: str, subject: str, seed: int) -> bytes:
    """The output of a bids-freesurfer run: everything below the analysis's id, as the gear zips it."""
    base = f"{analysis}/{subject}"
    aparc = (
        f"# Title Segmentation Statistics \n# subjectname {subject}\nbankssts 1500 1000 2400 2.5 0.4 0.1 0.02 15 1.2\n"
    )
    return archive(
        {
            f"{base}/stats/aseg.stats": aseg_stats(subject, seed),
            f"{base}/stats/lh.aparc.stats": aparc.encode(),
            f"{base}/stats/rh.aparc.stats": aparc.replace("2.5", "2.4").encode(),
            f"{base}/scripts/recon-all.log": f"recon-all -s {subject} finished without error\n".encode() * 40,
            f"{analysis}/{subject}_report.html": page(f"FreeSurfer report of {subject}"),
        }
    )


def volume_table(seed: int) -> bytes:
    """A csv of brain volumes."""
    rows = "".join(f"{name},{value}\n" for name, value in volumes(seed).items())
    return f"structure,volume_mm3\n{rows}".encode()


def page(title: str) -> bytes:
    """A small HTML page."""
    return f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n".encode()

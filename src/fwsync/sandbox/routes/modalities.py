"""Modalities: which classifications files of a modality may have. Nothing is checked against them here."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.routes.crud import Document, Noun

_MR = {
    "Intent": ["Localizer", "Shim", "Calibration", "Fieldmap", "Structural", "Functional", "Screenshot", "Non-Image"],
    "Measurement": ["B0", "B1", "T1", "T2", "T2*", "PD", "MT", "ASL", "Perfusion", "Diffusion", "Spectroscopy",
                    "Susceptibility", "Velocity", "Fingerprinting"],
    "Features": ["Quantitative", "Multi-Shell", "Multi-Echo", "Multi-Flip", "Multi-Band", "Steady-State", "3D",
                 "Compressed-Sensing", "Eddy-Current-Corrected", "Fieldmap-Corrected", "SBRef", "Navigator"],
}  # fmt: skip
STANDARD = {
    name: {"_id": name, "classification": held, "active": True, "description": f"{name} images", "rts_managed": False}
    for name, held in {"MR": _MR, "CT": {}, "PET": {"Isotope": ["C-11", "F-18", "O-15"]}}.items()
}


def _checked(given: Document, held: Document | None) -> Document:
    out: dict[str, Any] = {}
    if held is None or "classification" in given:
        found = given.get("classification") or {}
        if not isinstance(found, dict) or not all(isinstance(values, list) for values in found.values()):
            raise invalid("classification: must be an object of lists")
        out["classification"] = found
    for name, kind, default in (("active", bool, True), ("description", str, None)):
        if held is None or name in given:
            value = given.get(name, default)
            if value is not None and not isinstance(value, kind):
                raise invalid(f"{name}: must be {kind.__name__}")
            out[name] = value
    return out


def _ident(given: Document) -> str:
    ident = given.get("_id")
    if not isinstance(ident, str) or not ident:
        raise invalid("_id: must be the modality's name")
    return ident


MODALITIES = Noun(kind="modality", path="/api/modalities", checked=_checked, ident=_ident, standard=STANDARD)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    MODALITIES.setup(app)

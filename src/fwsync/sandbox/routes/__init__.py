"""The routes, one room per noun. A room has `setup(app)`; adding one here is all it takes."""

from fwsync.sandbox.routes import (
    analyses,
    collections,
    containers,
    downloads,
    files,
    gears,
    hierarchy,
    info,
    jobs,
    lookup,
    notes,
    permissions,
    signed,
    site,
    tags,
    uploads,
)

ROOMS = (
    site,
    collections,
    containers,
    analyses,
    info,
    tags,
    notes,
    permissions,
    lookup,
    hierarchy,
    gears,
    jobs,
    files,
    uploads,
    downloads,
    signed,
)

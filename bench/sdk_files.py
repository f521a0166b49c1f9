"""The peer of `fwsync mirror`: the tutorial's nested loops on the official SDK, one blocking download at a time.

usage: sdk_files.py GROUP/PROJECT TARGET THREADS [MEMBER]       the API key comes from FWSYNC_API_KEY
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flywheel


def main() -> None:
    where, target, threads, member = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), "".join(sys.argv[4:5])
    fw = flywheel.Client(os.environ["FWSYNC_API_KEY"])
    group, label = where.split("/")
    project = fw.projects.find_one(f"group={group},label={label}")

    def wanted() -> Iterator[tuple[Any, str, Path]]:
        for subject in project.subjects.iter():
            for session in subject.sessions.iter():
                for acquisition in session.acquisitions.iter():
                    folder = target / subject.label / session.label / acquisition.label
                    folder.mkdir(parents=True, exist_ok=True)
                    for file in acquisition.files:
                        yield acquisition, file.name, folder / file.name

    def fetch(one: tuple[Any, str, Path]) -> None:
        acquisition, name, path = one
        if not member:
            acquisition.download_file(name, str(path))
            return
        members = acquisition.get_file_zip_info(name)["members"]
        (found,) = [entry["path"] for entry in members if entry["path"] == member]
        acquisition.download_file_zip_member(name, found, str(path))

    if threads == 1:
        for one in wanted():
            fetch(one)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fetch, wanted()))


if __name__ == "__main__":
    main()

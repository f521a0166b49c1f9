"""The peer of `fwsync mirror --gear`: the tutorial's loop over sessions, one blocking SDK call at a time.

usage: sdk_mirror.py GROUP/PROJECT GEAR MEMBER_SUFFIX TARGET       the API key comes from FWSYNC_API_KEY
"""

import os
import sys
from pathlib import Path

import flywheel
import pathvalidate


def main() -> None:
    where, gear, suffix, target = sys.argv[1:5]
    fw = flywheel.Client(os.environ["FWSYNC_API_KEY"])
    group, label = where.split("/")
    project = fw.projects.find_one(f"group={group},label={label}")
    root = Path(target)
    for session in project.sessions.iter():
        session = session.reload()
        runs = [a for a in session.analyses if a.gear_info and a.gear_info.get("name") == gear]
        complete = [a for a in runs if a.job.get("state") == "complete"]
        if not complete:
            continue
        analysis = max(complete, key=lambda a: a.created).reload()
        archives = [f for f in analysis.files if f.mimetype == "application/zip"]
        for archive in archives[:1]:
            members = analysis.get_file_zip_info(archive.name)["members"]
            for path in [m["path"] for m in members if m["path"].endswith(suffix)][:1]:
                folder = pathvalidate.sanitize_filepath(
                    root
                    / pathvalidate.sanitize_filename(session.subject.label or "_")
                    / pathvalidate.sanitize_filename(session.label or "_")
                )
                folder.mkdir(parents=True, exist_ok=True)
                name = pathvalidate.sanitize_filename(f"{analysis.label}_{Path(path).name}")
                analysis.download_file_zip_member(archive.name, path, folder / name)


if __name__ == "__main__":
    main()

"""The peer of `fwsync import`: the tutorial's loop, one blocking SDK call at a time.

usage: sdk_import.py FILE.csv GROUP/PROJECT THREADS        the API key comes from FWSYNC_API_KEY

THREADS is 1 for the loop as the tutorial has it, more for the same body spread over a thread pool.
"""

import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import flywheel
import pytz

DATE_FORMAT = "%m/%d/%Y %H:%M"


def main() -> None:
    path, where, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    fw = flywheel.Client(os.environ["FWSYNC_API_KEY"])
    group, label = where.split("/")
    project = fw.projects.find_one(f"group={group},label={label}")

    def add(row: dict[str, str]) -> None:
        subject = project.add_subject(
            label=row["Subject ID"], firstname=row["FirstName"], lastname=row["LastName"], sex=row["sex"]
        )
        session = subject.add_session(label="Session1", age=float(row["age"]) * 365 * 24 * 60 * 60)
        moment = pytz.utc.localize(datetime.strptime(row["time of scan"], DATE_FORMAT))  # noqa: DTZ007
        session.add_acquisition(label="Struct_T1", timestamp=moment)

    with open(path, newline="", encoding="utf-8") as lines:  # noqa: PTH123
        rows = list(csv.DictReader(lines))
    if threads == 1:
        for row in rows:
            add(row)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(add, rows))


if __name__ == "__main__":
    main()

"""The floor of a Python client: bare aiohttp, sha384 of every file, written inline. It lists, plans, resumes and keeps
nothing.

usage: bare.py LIST TARGET [IN_FLIGHT]       LIST: one URL a line; the Authorization header comes from BENCH_AUTH
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import aiohttp

try:
    import uvloop
except ImportError:
    uvloop = None


async def main() -> None:
    urls = Path(sys.argv[1]).read_text().split()
    target, in_flight = sys.argv[2], int((sys.argv[3:4] or ["32"])[0])
    Path(target).mkdir(parents=True, exist_ok=True)
    queue = iter(enumerate(urls))
    headers = {"Authorization": os.environ["BENCH_AUTH"], "Accept-Encoding": "identity"}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=30)

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, url in queue:
            digest = hashlib.sha384()
            async with session.get(url) as answer:
                answer.raise_for_status()
                with open(f"{target}/{number:06}", "wb", buffering=0) as out:  # noqa: PTH123 - the floor: no Path
                    async for piece in answer.content.iter_any():
                        digest.update(piece)
                        out.write(piece)
            digest.hexdigest()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        await asyncio.gather(*(worker(session) for _ in range(in_flight)))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop else None) as runner:
        runner.run(main())

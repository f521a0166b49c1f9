"""`python -m fwsync.sandbox`."""

import sys

from fwsync.sandbox.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m fwsync.sandbox"))

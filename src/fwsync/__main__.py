"""`python -m fwsync`."""

from fwsync.cli.main import run

if __name__ == "__main__":
    run()

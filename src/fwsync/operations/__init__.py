"""One coroutine per use: gather, plan, run, sum up. The CLI and library users call these."""

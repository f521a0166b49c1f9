"""The command line: flags to settings, progress, printing, exit codes."""

"""Does: every change to the disk or to the platform starts here."""

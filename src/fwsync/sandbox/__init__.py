"""An embedded Flywheel-compatible server over SQLite and a blob folder."""

"""What the sandbox keeps: documents and file entries in SQLite, contents in a blob folder."""

"""Bulk downloads: which files, under which paths, and the tar or zip stream of them."""

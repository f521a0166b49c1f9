"""The demo site: the same bytes every time."""

"""Bodies: ranges, zip members, tickets and signed links, streamed."""

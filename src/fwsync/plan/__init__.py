"""Decides: pure code that turns what was read into a plan. No await, no clock, no disk, no network."""

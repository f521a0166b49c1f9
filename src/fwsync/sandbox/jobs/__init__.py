"""Jobs: how they are made, how they move from state to state, and the small scripted gear that stands for all gears."""

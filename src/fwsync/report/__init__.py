"""Reports: records in, a Table out. Pure: no await, clock, disk or network."""

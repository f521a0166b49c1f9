"""fwsync from Python: `async with fwsync.connect() as fw`, or `with fwsync.connect_blocking() as fw`."""

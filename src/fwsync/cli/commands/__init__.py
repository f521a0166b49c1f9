"""One module per family of commands, loaded only when used."""

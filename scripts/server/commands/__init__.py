"""The commands in scripts/ that start, stop and use the service, one module each."""

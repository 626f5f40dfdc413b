"""One module for each command in scripts/ that starts, stops or asks the service."""

"""The client library of the service: requests and the standard library only, usable alone."""

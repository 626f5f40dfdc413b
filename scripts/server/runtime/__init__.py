"""The processes of a running service: settings, TorchServe, the page, readiness."""

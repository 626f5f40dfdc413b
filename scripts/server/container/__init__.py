"""The main process of a container: it starts, watches and stops TorchServe."""

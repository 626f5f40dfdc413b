"""Starting, watching and stopping TorchServe on this machine."""

"""Read by Python itself at the start of TorchServe's processes, because this folder is on their PYTHONPATH.

TorchServe's worker imports torch to recognise tensors among answers. Ours are text, and OpenVINO needs no torch. So
`import torch` gives a stand-in that becomes torch when something of it is used first: a worker without a torch program
is ready a second earlier and 200 MB smaller.
"""

import contextlib
import importlib
import sys
from pathlib import Path
from types import ModuleType


class Deferred(ModuleType):
    """A module that is imported when one of its names is asked for."""

    def __getattr__(self, name: str) -> object:
        """A name of the real module, which stands in sys.modules from then on."""
        # What walks over all modules asks each for __file__ and the like; that is no use of it.
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


sys.modules["torch"] = Deferred("torch")

# Where memory runs out a worker should go, which TorchServe replaces, and not TorchServe.
if any("model_service_worker" in word for word in sys.orig_argv):
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")

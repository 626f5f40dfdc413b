"""Python imports this module when TorchServe's processes start, because this folder is in their PYTHONPATH.

TorchServe's worker imports torch to recognise tensors among answers. This project's answers are text, and OpenVINO
needs no torch. So `import torch` gives a placeholder that imports torch when one of its names is first used: a worker
that does not use torch starts a second earlier and needs 200 MB less.
"""

import contextlib
import importlib
import sys
from pathlib import Path
from types import ModuleType


class DeferredModule(ModuleType):
    """A module that is imported when one of its names is first used."""

    def __getattr__(self, name: str) -> object:
        """A name of the real module, which replaces this one in sys.modules."""
        # Code that inspects all modules reads __file__ and the like; that is not a use of the module.
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


sys.modules["torch"] = DeferredModule("torch")

# When memory runs out, the kernel should kill a worker, which TorchServe replaces, and not TorchServe itself.
if any("model_service_worker" in argument for argument in sys.orig_argv):
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")

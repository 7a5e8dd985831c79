"""deepbays where CuPy is not installed: version 0.1.11 imports it for its CUDA classes, without declaring it.

An empty stand-in lets the import pass; nothing that is timed here touches it.
"""

import importlib.util
import sys
import types


def load():
    if importlib.util.find_spec("cupy") is None:
        cuda = types.ModuleType("cupy.cuda")
        cuda.Device = None
        sys.modules["cupy"] = types.ModuleType("cupy")
        sys.modules["cupy.cuda"] = cuda
    import deepbays
    from deepbays import rkgp

    return deepbays, rkgp

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable

import pytest

CHILD_SECONDS = 30

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(call: Callable[[], object]) -> bool:
    """Whether the call succeeds in a forked child, which always ends."""
    with warnings.catch_warnings():
        # From 3.12 on Python warns of every fork in a process with threads; here it is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        signal.alarm(CHILD_SECONDS)
        try:
            call()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return status == 0

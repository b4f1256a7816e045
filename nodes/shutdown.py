"""What has to be done before the process ends, whether by Ctrl-C, by SIGTERM or by itself."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

_closers: list[Callable[[], None]] = []


def at_shutdown(close: Callable[[], None]) -> None:
    """Have something called when the interpreter shuts down, or at SIGTERM.

    ``atexit`` comes too late: by then the pools of ``concurrent.futures`` take no more work. It is a hook of
    ``threading`` that makes them refuse it, and the last hook that was registered is called first.

    Args:
        close: blocking, for some seconds at most; may be called twice, the second time from within the first.
    """
    with ThreadPoolExecutor():
        pass  # its hook is registered by now
    register: Callable[[Callable[[], None]], object] = getattr(threading, "_register_atexit", atexit.register)
    register(close)
    _closers.append(close)


def heed_sigterm() -> None:
    """Close at SIGTERM, and only then let it end the process; where somebody else handles it, they do.

    Does nothing outside of the main thread, where no handler can be set.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    for close in _closers:
        close()
    signal.raise_signal(number)

"""Python's garbage collector, set for a process that runs for days: after the start it leaves alone what stays.

A full collection walks every object there is, some hundred milliseconds with everything that a start makes; meanwhile
no request is answered and no heartbeat sent. And small ones come every few requests with Python's own threshold.
"""

import gc

YOUNG_OBJECTS = 5_000
"""Containers that may be made before the collector looks at them; 700 is Python's own."""


def spare_what_stays() -> None:
    """Collect once, then count everything that is there as permanent and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])

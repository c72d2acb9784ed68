import gc
import subprocess
import sys

from parley.collector import YOUNG_OBJECTS


def test_what_a_start_has_made_is_not_walked_again() -> None:
    """In a process of its own: it is for the whole process."""
    script = (
        "import gc; from parley.collector import spare_what_stays; kept = [[] for _ in range(1000)]; "
        "spare_what_stays(); print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000, gc.get_threshold()[0])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.split() == ["True", "True", str(YOUNG_OBJECTS)]
    assert gc.isenabled()

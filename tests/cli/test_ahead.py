import subprocess
import sys
from threading import Event

import pytest

from heinit_sim.cli.ahead import ahead


def test_work_is_done_beside_what_follows() -> None:
    begun, may_end = Event(), Event()

    def work() -> int:
        begun.set()
        assert may_end.wait(60)
        return 7

    result = ahead(work)
    assert begun.wait(60)
    may_end.set()
    assert result() == result() == 7


def test_an_error_is_raised_where_the_result_is_needed() -> None:
    def work() -> None:
        raise MemoryError

    result = ahead(work)
    with pytest.raises(MemoryError):
        result()


def test_no_end_of_a_command_waits_for_it() -> None:
    code = "import time; from heinit_sim.cli.ahead import ahead; ahead(lambda: time.sleep(600))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0

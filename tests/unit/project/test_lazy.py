"""Modules that are imported at their first use."""

import sys
import threading

from zsad.lazy import _LazyModule


def test_a_thread_waits_for_what_another_is_importing(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import sys, time\nsys.begun.set()\ntime.sleep(0.2)\nlate = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "begun", threading.Event(), raising=False)
    module = _LazyModule("slow_to_import")
    other = threading.Thread(target=lambda: module.late)
    other.start()
    assert sys.begun.wait(10)
    assert "slow_to_import" in sys.modules
    assert module.late == 5
    other.join()
    del sys.modules["slow_to_import"]

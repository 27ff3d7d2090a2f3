"""`python -m voxfleet_inference`: Ctrl-C before the server has a handler of its own."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from voxfleet_inference import __main__ as program


def test_ctrl_c_during_the_imports_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        @property
        def app(self) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "voxfleet_inference.commands.cli", Interrupted("cli"))
    monkeypatch.setattr(sys, "argv", ["voxfleet-inference", "fetch"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 130

"""The program of the command line: errors."""

import pytest
from voxfleet_cli import __main__
from voxfleet_cli.errors import UsageError


def test_an_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_options: object) -> None:
        raise UsageError("--month must be a month")

    monkeypatch.setattr(__main__, "app", fail)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert (ended.value.code, capsys.readouterr().err) == (2, "voxfleet: --month must be a month\n")

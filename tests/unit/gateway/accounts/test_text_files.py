"""A mounted folder is read when it changes, whole, as the kubelet replaces it."""

from pathlib import Path

import pytest
from voxfleet_gateway.accounts.text_files import TextFiles


def mount(folder: Path, version: str, texts: dict[str, str]) -> None:
    """Write as the kubelet does: a new folder, and one rename that makes it visible."""
    folder.mkdir(exist_ok=True)
    (folder / f"..{version}").mkdir()
    for name, text in texts.items():
        (folder / f"..{version}" / name).write_text(text)
    (folder / "..data_tmp").symlink_to(f"..{version}")
    (folder / "..data_tmp").replace(folder / "..data")
    for name in texts:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.exists():
            entry.unlink()


def test_a_mount_is_read_again_when_it_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    mount(folder, "1", {"a.json": "one", "b.json": "two"})
    files = TextFiles(folder)
    assert files.read_changed() == {"a.json": "one", "b.json": "two"}
    assert files.read_changed() is None
    mount(folder, "2", {"a.json": "six"})  # of the same size
    assert files.read_changed() == {"a.json": "six"}
    mount(folder, "3", {})
    assert files.read_changed() == {}


def test_a_reading_between_the_kubelets_steps_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    mount(folder, "1", {"a.json": "one"})
    files = TextFiles(folder)
    files.read_changed()
    mount(folder, "2", {"b.json": "two"})
    (folder / "b.json").unlink()  # it is added after the rename
    (folder / "a.json").symlink_to("..data/a.json")  # it is removed after that
    assert files.read_changed() == {"b.json": "two"}


def test_a_file_is_a_folder_of_one(tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    path.write_text("[]")
    files = TextFiles(path)
    assert files.read_changed() == {"tenants.json": "[]"}
    assert files.read_changed() is None
    path.write_bytes(b"\xff")
    assert files.read_changed() == {"tenants.json": "�"}


def test_what_is_missing_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TextFiles(tmp_path / "nothing").read_changed()

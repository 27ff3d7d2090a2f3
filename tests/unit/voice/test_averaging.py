"""The mean of two checkpoints' weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from voxfleet_voice.export.averaging import DifferentCheckpointsError, write_mean


def checkpoint(folder: Path, value: float, width: int = 3) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(f'{{"value": {value}}}')
    save_file({"layer.weight": torch.full((2, width), value, dtype=torch.bfloat16)}, folder / "model.safetensors")
    return folder


def test_weights_are_the_mean_and_other_files_those_of_the_first(tmp_path: Path) -> None:
    write_mean([checkpoint(tmp_path / "a", 1.0), checkpoint(tmp_path / "b", 2.0)], tmp_path / "mean")
    tensors = load_file(tmp_path / "mean" / "model.safetensors")
    assert tensors["layer.weight"].dtype == torch.bfloat16
    assert torch.equal(tensors["layer.weight"], torch.full((2, 3), 1.5, dtype=torch.bfloat16))
    assert (tmp_path / "mean" / "config.json").read_text() == '{"value": 1.0}'
    assert load_file(tmp_path / "a" / "model.safetensors")["layer.weight"][0, 0] == 1, "the first stays as it is"


def test_checkpoints_of_other_shapes_are_refused_by_name(tmp_path: Path) -> None:
    given = [checkpoint(tmp_path / "a", 1.0), checkpoint(tmp_path / "b", 2.0, width=4)]
    with pytest.raises(DifferentCheckpointsError, match=r"differ in layer\.weight"):
        write_mean(given, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()

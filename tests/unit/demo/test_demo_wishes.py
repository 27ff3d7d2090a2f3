"""What `make demo` understands, and what it says to wrong wishes."""

from pathlib import Path

import pytest
import typer
from voxfleet_demo.__main__ import read_wishes
from voxfleet_demo.users_cluster import images_below


def test_nothing_wished_is_a_cluster_of_its_own_with_the_tiny_checkpoint() -> None:
    wishes = read_wishes({})
    assert (wishes.kubeconfig, wishes.model_path) == (None, None)


def test_a_users_cluster_comes_with_images_it_can_pull(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("{}")
    wishes = read_wishes({"KUBECONFIG": str(kubeconfig), "IMAGES": "registry/team/", "IMAGE_TAG": "1.0"})
    assert wishes.kubeconfig == kubeconfig
    assert images_below(wishes.images, wishes.image_tag)["gateway"] == "registry/team/voxfleet-gateway:1.0"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"KUBECONFIG": "/absent"}, "KUBECONFIG=/absent is no file"),
        ({"KUBECONFIG": __file__}, "set IMAGES to the prefix"),
        ({"MODEL_PATH": "/absent"}, "MODEL_PATH=/absent has no config.json"),
    ],
)
def test_wrong_wishes_are_named_with_the_way_out(variables: dict[str, str], words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        read_wishes(variables)

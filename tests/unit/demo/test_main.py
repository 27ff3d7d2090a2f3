"""The variables of `make demo`, and the messages for wrong ones."""

from pathlib import Path

import pytest
import typer
from voxfleet_demo.__main__ import read_options, select_faults
from voxfleet_demo.chaos.faults import FAULTS, Subject, runnable
from voxfleet_demo.installation import Installation


def test_without_variables_the_demo_starts_a_local_cluster_with_the_demo_voice() -> None:
    options = read_options({})
    assert (options.kubeconfig, options.model_path) == (None, None)


def test_a_users_cluster_comes_with_images_it_can_pull(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("{}")
    options = read_options({"KUBECONFIG": str(kubeconfig), "IMAGES": "registry/team/", "IMAGE_TAG": "1.0"})
    assert options.kubeconfig == kubeconfig
    assert (options.images, options.image_tag) == ("registry/team/", "1.0")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"KUBECONFIG": "/absent"}, "KUBECONFIG=/absent is no file"),
        ({"KUBECONFIG": __file__}, "set IMAGES to the prefix"),
        ({"KUBECONFIG": __file__, "IMAGES": "team", "METRICS": "1"}, "leave out KUBECONFIG"),
        ({"MODEL_PATH": "/absent"}, "MODEL_PATH=/absent has no config.json"),
    ],
)
def test_wrong_variables_are_named_with_the_way_out(variables: dict[str, str], message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        read_options(variables)


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("0", False), ("", False)])
def test_prometheus_is_started_where_metrics_are_asked_for(*, text: str, expected: bool) -> None:
    assert read_options({"METRICS": text}).has_metrics is expected


def test_without_names_every_fault_is_run() -> None:
    assert select_faults(None) == list(FAULTS)
    assert [kind.name for kind in select_faults(["node-dies"])] == ["node-dies"]


def test_an_unknown_fault_is_named_with_the_known_ones() -> None:
    with pytest.raises(typer.BadParameter, match=r"--fault flood: expected one of gateways-roll, .*node-dies"):
        select_faults(["node-dies", "flood"])


def test_faults_that_need_the_testbed_are_not_run_elsewhere() -> None:
    left = FAULTS.keys() - runnable(Subject(Installation(Path("kubeconfig"))))
    assert {kind.name for kind in left} == {"api-server-down", "node-dies"}

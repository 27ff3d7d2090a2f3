"""Image names for a cluster that pulls from the user's registry."""

from voxfleet_demo.users_cluster import images_below


def test_images_are_named_below_the_prefix_with_the_tag() -> None:
    assert images_below("registry/team/", "1.0") == {
        "operator": "registry/team/voxfleet-operator:1.0",
        "gateway": "registry/team/voxfleet-gateway:1.0",
        "inference": "registry/team/voxfleet-inference:1.0",
    }

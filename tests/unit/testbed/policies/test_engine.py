"""Which packets the engine is given, and when it listens."""

from __future__ import annotations

from voxfleet_testbed.policies.engine import QUEUE, queue_commands, queues

LISTING = "  100   1234     0 2   128     0     0        7  1\n    7     99     0 2   128     0     0        0  1\n"


def test_a_queue_that_is_read_is_known_by_its_number() -> None:
    assert queues(LISTING) == {100, 7}
    assert queues("") == frozenset()


def test_what_is_queued_is_what_no_rule_before_accepts() -> None:
    for program in ("iptables", "ip6tables"):
        rules = [command for command in queue_commands() if command[0] == program]
        assert rules[-1][-4:] == ("--jump", "NFQUEUE", "--queue-num", str(QUEUE))
        assert all(rule[-1] == "ACCEPT" for rule in rules[:-1])


def test_neighbours_are_found_by_ipv6_whatever_the_engine_says() -> None:
    first = next(command for command in queue_commands() if command[0] == "ip6tables")
    assert first[-4:] == ("--protocol", "ipv6-icmp", "--jump", "ACCEPT")

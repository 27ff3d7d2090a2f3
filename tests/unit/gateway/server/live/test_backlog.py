"""What is kept of a client's messages: everything in order, within bounds, counted while it is held."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.server.live.backlog import Backlog
from voxfleet_gateway.server.requests.request_body import BodyBudget

ACTIONS = st.lists(st.one_of(st.text(max_size=9), st.sampled_from([1, 2, 3, 4])), max_size=60)


@given(ACTIONS, st.integers(1, 6), st.integers(1, 40))
def test_a_pod_gets_every_message_once_in_order_and_no_byte_stays_counted(
    actions: list[str | int], max_messages: int, max_bytes: int
) -> None:
    async def run() -> None:
        budget = BodyBudget(2**20)
        with budget.reserve() as reservation:
            backlog = Backlog(reservation, max_bytes, max_messages)
            taken: list[str] = []
            got: list[str] = []  # by the present pod
            for action in actions:
                match action:
                    case str():
                        if backlog.offer(action):
                            taken.append(action)
                    case 1 if backlog.waiting:
                        got.append(await backlog.next())
                    case 2 if backlog.is_replayable:
                        backlog.rewind()
                        got = []
                    case 3 if backlog.sent:
                        backlog.forget()
                held = sum(len(each.encode()) for each in (*backlog.waiting, *backlog.sent))
                assert reservation.taken_bytes == held == backlog.waiting_bytes + backlog.sent_bytes
                assert backlog.sent_bytes <= max_bytes
            while backlog.waiting:
                got.append(await backlog.next())
            assert got == taken
        assert budget.used_bytes == 0

    asyncio.run(run())

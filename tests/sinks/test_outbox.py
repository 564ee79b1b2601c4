"""What waits for a broker: order, room, and what is dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.outbox import Message, Outbox

STEPS = st.lists(st.sampled_from(["put", "put", "put", "take"]), max_size=60)


@given(st.integers(1, 8), STEPS)
def test_newest_frames_come_out_in_order_and_the_others_are_counted(room, steps):
    outbox, given_out, waiting, put, dropped = Outbox(room), [], [], 0, 0
    for step in steps:
        if step == "put":
            outbox.put("t", b"%d" % put)
            waiting.append(put)
            put += 1
            if len(waiting) > room:
                waiting.pop(0)
                dropped += 1
        elif message := outbox.take():
            given_out.append(int(message.payload))
            assert given_out[-1] == waiting.pop(0)
        assert (outbox.waiting, outbox.dropped) == (len(waiting), dropped)
    assert given_out == sorted(given_out)
    assert put == len(given_out) + len(waiting) + outbox.dropped


def test_of_retained_messages_the_newest_waits_and_goes_first():
    outbox = Outbox(4)
    outbox.put("frame", b"0")
    outbox.keep("snapshot", b"old")
    outbox.keep("status", b"online")
    outbox.keep("snapshot", b"new")
    taken = [outbox.take() for _ in range(4)]
    assert taken == [
        Message("snapshot", b"new", retained=True),
        Message("status", b"online", retained=True),
        Message("frame", b"0"),
        None,
    ]
    assert outbox.empty

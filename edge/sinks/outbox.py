"""What waits for a broker: frames in their order, and the newest of whatever is retained."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        topic: where to.
        payload: what.
        retained: whether the broker keeps it for those who come later. One that is not is a frame.
    """

    topic: str
    payload: bytes
    retained: bool = False


class Outbox:
    """Takes messages without ever waiting; any thread may call it.

    Frames wait in their order; where there is no room the oldest one is dropped and counted, for
    whoever looks wants to know what is seen now. Of retained messages only the newest of each topic
    waits, before all frames.

    Args:
        room: frames that may wait.
    """

    def __init__(self, room: int) -> None:
        self._lock = threading.Lock()
        self._frames: deque[Message] = deque(maxlen=room)
        self._retained: dict[str, Message] = {}
        self._dropped = 0

    def put(self, topic: str, payload: bytes) -> None:
        """Take a frame."""
        with self._lock:
            self._dropped += len(self._frames) == self._frames.maxlen
            self._frames.append(Message(topic, payload))

    def keep(self, topic: str, payload: bytes) -> None:
        """Take what is to be retained, in place of an older one that still waits."""
        with self._lock:
            self._retained[topic] = Message(topic, payload, retained=True)

    def take(self) -> Message | None:
        """Give the next message; None when nothing waits."""
        with self._lock:
            if self._retained:
                return self._retained.pop(next(iter(self._retained)))
            return self._frames.popleft() if self._frames else None

    def count_lost(self, frames: int) -> None:
        """Count frames that were taken out and then lost."""
        with self._lock:
            self._dropped += frames

    @property
    def dropped(self) -> int:
        """Frames that nobody will get, so far."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        with self._lock:
            return not self._frames and not self._retained

"""Who is at work: an event for each session, which ends what it has under way."""

from __future__ import annotations

from threading import Event, Lock


class Stops:
    """What ends the work of each session that has one under way."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._lock = Lock()

    def begin(self, session: str) -> Event:
        """Begin new work; what the session had under way is ended.

        Args:
            session: Its name.

        Returns:
            What ends the work once it is set.
        """
        with self._lock:
            before = self._events.get(session)
            if before is not None:
                before.set()
            self._events[session] = Event()
            return self._events[session]

    def stop(self, session: str) -> None:
        """End a session's work, if there is any.

        Args:
            session: Its name.
        """
        with self._lock:
            event = self._events.pop(session, None)
        if event is not None:
            event.set()

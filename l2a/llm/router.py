"""Which endpoint a request goes to, and when.

- A dialogue has a home: the first endpoint in its rendezvous order (Thaler and Ravishankar 1998) that is in use and
  whose load is within LOAD_BOUND of the mean (Mirrokni et al. 2018, bounded loads). The order is a hash of dialogue and
  URL, so that all tasks of a job, and tomorrow's job, send a dialogue to the endpoint whose prefix cache may know it.
- An endpoint takes the oldest request that has its home there. With none waiting, it takes over the dialogue that came
  last to the endpoint with the longest queue: no endpoint idles while another has a queue, and no dialogue is split
  that need not be.
- The requests of an endpoint that is left move to the next in their order.

One event loop, no locks. Times are seconds of the caller's clock.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

import xxhash

from l2a.llm.endpoint import Endpoint, State, Try

LOAD_BOUND = 1.25
"""A home may have this much more than the mean load before a new dialogue goes elsewhere."""
DIALOGUES_REMEMBERED = 20_000


@dataclass(eq=False)
class _Waiting:
    key: str
    turn: asyncio.Future[Try]
    avoid: frozenset[Endpoint]


class Router:
    """Hands out tries: `take` waits for a place at the right endpoint; whoever took one reports to the endpoint, then
    calls `freed`.
    """

    def __init__(self, endpoints: list[Endpoint], ceiling: int, clock: Callable[[], float]) -> None:
        self.endpoints = endpoints
        self._ceiling = ceiling
        self._clock = clock
        self._queues: dict[Endpoint, deque[_Waiting]] = {endpoint: deque() for endpoint in endpoints}
        self._homeless: deque[_Waiting] = deque()
        self._homes: OrderedDict[str, Endpoint] = OrderedDict()
        self.held_back: Callable[[], bool] = lambda: False
        """Says that no further call may be started for now (the spending limit)."""

    @property
    def in_flight(self) -> int:
        """Calls in flight at all endpoints."""
        return sum(len(endpoint.tries) for endpoint in self.endpoints)

    @property
    def _busy(self) -> int:
        """What the ceiling holds for: a task of few calls must not wait with one of them for who has gone silent."""
        return sum(not call.trial for endpoint in self.endpoints for call in endpoint.tries)

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._homeless) + sum(map(len, self._queues.values()))

    def elsewhere(self, avoid: Collection[Endpoint]) -> bool:
        """Whether another endpoint than these takes calls."""
        now = self._clock()
        return any(endpoint.takes_calls(now) for endpoint in self.endpoints if endpoint not in avoid)

    async def take(self, key: str, avoid: Collection[Endpoint] = ()) -> Try:
        """A place in flight for a request of dialogue `key`, not at those of `avoid` if another endpoint is in use."""
        waiting = _Waiting(key, asyncio.get_running_loop().create_future(), frozenset(avoid))
        self._queue_up(waiting)
        self.dispatch()
        try:
            return await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled():
                call = waiting.turn.result()
                call.endpoint.given_up(call, self._clock())
            raise

    def freed(self) -> None:
        """A call came back, or an endpoint's state may have changed."""
        for endpoint, queue in self._queues.items():
            if endpoint.state is not State.IN_USE and queue:
                moving = list(queue)
                queue.clear()
                for waiting in moving:
                    self._queue_up(waiting)
        if self._homeless and any(endpoint.state is State.IN_USE for endpoint in self.endpoints):
            moving = list(self._homeless)
            self._homeless.clear()
            for waiting in moving:
                self._queue_up(waiting)
        self.dispatch()

    def dispatch(self) -> None:
        """Starts as many waiting requests as the limits allow."""
        while self._busy < self._ceiling and not self.held_back():
            now = self._clock()
            free = sorted((e for e in self.endpoints if e.free(now) > 0), key=Endpoint.load)
            for endpoint in free:
                waiting = self._next_for(endpoint, now)
                if waiting is not None:
                    waiting.turn.set_result(endpoint.start(now))
                    break
            else:
                return

    def _next_for(self, endpoint: Endpoint, now: float) -> _Waiting | None:
        own = self._queues[endpoint]
        for queue in (own, self._homeless):
            if (waiting := _first(queue)) is not None:
                return waiting
        # Only from those that are full: who has room serves its own queue in this same dispatch, with a warmer cache.
        trial = endpoint.state is State.ON_TRIAL
        full = [queue for other, queue in self._queues.items() if other.free(now) == 0 or trial]
        for queue in sorted(full, key=len, reverse=True):
            if trial:
                # It has to prove itself on one request; the dialogue stays where it is.
                waiting = _first(queue, endpoint)
            else:
                self._take_over(endpoint, queue)
                waiting = _first(own)
            if waiting is not None:
                return waiting
        return None

    def _take_over(self, endpoint: Endpoint, queue: deque[_Waiting]) -> None:
        """Moves the waiting requests of the queue's last dialogue, but for those that avoid the endpoint."""
        willing = (waiting for waiting in reversed(queue) if not waiting.turn.done() and endpoint not in waiting.avoid)
        last = next(willing, None)
        if last is None:
            return
        moving = [waiting for waiting in queue if waiting.key == last.key and endpoint not in waiting.avoid]
        staying = [waiting for waiting in queue if waiting.key != last.key or endpoint in waiting.avoid]
        queue.clear()
        queue.extend(staying)
        self._queues[endpoint].extend(moving)
        self._remember(last.key, endpoint)

    def _queue_up(self, waiting: _Waiting) -> None:
        if waiting.turn.done():
            return
        home = self._home(waiting)
        (self._homeless if home is None else self._queues[home]).append(waiting)

    def _home(self, waiting: _Waiting) -> Endpoint | None:
        usable = [endpoint for endpoint in self.endpoints if endpoint.state is State.IN_USE]
        if (others := [endpoint for endpoint in usable if endpoint not in waiting.avoid]) and others != usable:
            now = self._clock()
            return min(others, key=lambda endpoint: (endpoint.rest.on(now), self._pending(endpoint)))
        known = self._homes.get(waiting.key)
        if known is not None and known in usable:
            self._homes.move_to_end(waiting.key)
            return known
        if not usable:
            return None
        usable.sort(
            key=lambda endpoint: xxhash.xxh64_intdigest(f"{endpoint.url}\n{waiting.key}".encode("utf-8", "replace"))
        )
        mean = sum(map(self._pending, usable)) / len(usable)
        bound = max(1.0, LOAD_BOUND * mean)
        home = next((endpoint for endpoint in usable if self._pending(endpoint) <= bound), usable[0])
        self._remember(waiting.key, home)
        return home

    def _pending(self, endpoint: Endpoint) -> float:
        """In flight and waiting, over the limit."""
        return (len(endpoint.tries) + len(self._queues[endpoint])) / endpoint.limiter.limit

    def _remember(self, key: str, endpoint: Endpoint) -> None:
        self._homes[key] = endpoint
        self._homes.move_to_end(key)
        if len(self._homes) > DIALOGUES_REMEMBERED:
            self._homes.popitem(last=False)


def _first(queue: deque[_Waiting], endpoint: Endpoint | None = None) -> _Waiting | None:
    """Takes the first that still waits (a cancelled request does not) and does not avoid the endpoint off the queue."""
    while queue and queue[0].turn.done():
        queue.popleft()
    if endpoint is None:
        return queue.popleft() if queue else None
    found = next((waiting for waiting in queue if not waiting.turn.done() and endpoint not in waiting.avoid), None)
    if found is not None:
        queue.remove(found)
    return found

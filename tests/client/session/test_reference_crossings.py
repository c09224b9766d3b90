"""Receipts by the million: answers, proxies that come and go, and releases in whatever order they cross."""

from __future__ import annotations

import contextlib
import gc
import pickle
import random
from collections import deque
from typing import Any

from easycluster_protocol._wire.messages import Message
from helpers.object_ends import Ends, Thing

#: So many receipts are counted.
CROSSINGS = 1_000_000


class Fails:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("not me")


class Crossing:
    """One random history of answers and proxies.

    Attributes:
        crossed: how many receipts the server has counted.
    """

    def __init__(self, seed: int) -> None:
        self.ends = Ends()
        self.crossed = 0
        self._chance = random.Random(seed)
        self._things = [Thing() for _ in range(60)]
        self._on_their_way: deque[Message] = deque()
        self._held: list[Any] = []

    def step(self) -> None:
        """Let one thing happen."""
        choice = self._chance.random()
        if choice < 0.4:
            self._answer(choice)
        elif choice < 0.75 and self._on_their_way:
            with contextlib.suppress(pickle.UnpicklingError):
                self._held.extend(self.ends.rebuild(self._on_their_way.popleft()))
        elif choice < 0.78 and self._on_their_way:
            self._on_their_way.popleft()  # unread
        elif choice < 0.96 and self._held:
            self._chance.shuffle(self._held)
            del self._held[self._chance.randrange(len(self._held)) :]
        else:
            self.ends.give_back()
        if self._held:  # the object of a proxy that is alive is there
            self.ends.table.get(self._chance.choice(self._held).proxy_object_id)

    def _answer(self, choice: float) -> None:
        value: list[Any] = self._chance.sample(self._things, self._chance.randrange(1, 40))
        self.crossed += len(value)
        if choice < 0.03:
            with contextlib.suppress(ValueError):
                self.ends.answer([*value, Fails()])
        elif choice < 0.06:
            self._on_their_way.append(self.ends.answer(value, b"damaged"))
        else:
            sent = self.ends.send(value)
            self._on_their_way.extend(self.ends.arrive(sent))
            if choice < 0.1:  # the server was interrupted, and sends it once more
                self.ends.arrive(sent)

    def finish(self) -> None:
        """Drop all that there is, and let the server have it back."""
        self._held.clear()
        self._on_their_way.clear()
        gc.collect()
        self.ends.give_back()


def test_counting_has_no_race() -> None:
    """However a million receipts cross the proxies that are dropped, answers that nobody reads, that fail on
    either side or come twice: no object goes too early, and in the end all do."""
    crossing = Crossing(seed=1)
    while crossing.crossed < CROSSINGS:
        crossing.step()
    crossing.finish()

    assert (len(crossing.ends.table), crossing.ends.references._live) == (0, {})

"""Houses, each with a network of its own, and between them a router of IP packets (TUN devices): what the boxes of two sites have of each other, and nothing else. Needs root.

    own_network()                       first thing of a scenario (lib/wan.py): it is then a house itself
    internet = Internet()
    here = internet.house(None)         the scenario's own network
    far = internet.house()              another one; far.within(...) runs something in it, far.address is where it is found
"""

import heapq
import os
import select
import threading
import time
from dataclasses import dataclass

from .checks import RUNNING
from .wan import Place, arrived, deliver, device, ip

# Large ones: it is a router in a script.
MTU = 32_000
# What waits for a slow line.
QUEUE = 1 << 20


@dataclass
class House:
    """At the end of a line. `rate` in bytes a second of what comes to it, none: as fast as it goes; `dark`: nothing comes or goes."""

    place: Place | None
    address: str
    sink: int
    rate: int | None = None
    dark: bool = False
    free_at: float = 0.0

    def within(self, *words):
        return self.place.within(*words) if self.place else list(map(str, words))


class Internet:
    """Who is in it reaches everybody else by address."""

    def __init__(self):
        self._houses = {}
        self._lock = threading.Lock()
        self._waiting, self._number = [], 0
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        RUNNING.append(self.close)

    def house(self, place=True):
        """One more; `None` is the network of the scenario."""
        number = len(self._houses) + 1
        place = place and Place()
        address, name = f"10.98.0.{number}", f"house-{number}"
        sink = device(name)
        within = place.within() if place else ()
        if place:
            ip("link", "set", name, "netns", place.pid)
        ip("addr", "add", f"{address}/24", "dev", name, within=within)
        ip("link", "set", name, "mtu", MTU, "up", within=within)
        house = House(place, address, sink)
        with self._lock:
            self._houses[address] = house
        os.write(self._waker, b"!")
        return house

    def close(self):
        os.close(self._waker)
        self._thread.join()
        for end in (*(house.sink for house in self._houses.values()), self._wake):
            os.close(end)

    def _run(self):
        while True:
            with self._lock:
                houses = list(self._houses.values())
                wait = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else 1.0
            ready, _, _ = select.select([self._wake, *(house.sink for house in houses)], [], [], wait)
            if self._wake in ready and not os.read(self._wake, 1):
                return
            self._hand_on()
            for house in houses:
                if house.sink in ready:
                    for packet in arrived(house.sink):
                        self._take(house, packet)

    def _hand_on(self):
        """What is due of what waits for slow lines."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, house, packet = heapq.heappop(self._waiting)
            if not house.dark:
                deliver(house.sink, packet)

    def _take(self, source, packet):
        target = self._houses.get(".".join(map(str, packet[16:20]))) if packet[0] >> 4 == 4 else None
        if target is None or source.dark or target.dark:
            return
        if target.rate is None:
            deliver(target.sink, packet)
            return
        now = time.monotonic()
        if (target.free_at - now) * target.rate > QUEUE:
            return
        target.free_at = max(target.free_at, now) + len(packet) / target.rate
        self._number += 1
        heapq.heappush(self._waiting, (target.free_at, self._number, target, packet))

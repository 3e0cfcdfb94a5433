"""A line between two networks on this machine: a router of IP packets between two TUN devices, with a rate, a delay, losses, a queue, an MTU, and cuts. Of what goes through it, it knows the
headers of IPv4 and TCP, by which it counts. Needs root.

    if __name__ == "__main__": own_network()      first thing of a scenario: nothing of this machine's network is seen or touched
    far = Place()                                 another network; far.within(...) runs something in it
    wan = Wan(far, rate=1_000_000, delay=0.15)    NEAR and FAR are the addresses at its ends
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from .box import until
from .checks import RUNNING

NEAR, FAR = "10.99.0.1", "10.99.0.2"
# What a cheap router has of memory for packets that wait for the line.
QUEUE = 64 << 10
# Bytes of a connection before its first object: handshake, and what is asked first.
GREETING = 8 << 10
# The line's clock goes on by so much at a time: a machine that leaves the router waiting stops the line with it.
STEP = 0.02
TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
FIN, SYN, RST = 1, 2, 4


def own_network():
    """Starts the scenario again in a network of its own, in which there is a loopback and nothing else."""
    if os.environ.get("KEEPWELL_NETWORK") != str(os.getpid()):
        # Neither exec changes the process.
        os.environ["KEEPWELL_NETWORK"] = str(os.getpid())
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    ip("link", "set", "lo", "up")
    plain_tcp()


def ip(*words, within=()):
    subprocess.run([*within, "ip", *map(str, words)], check=True)


def plain_tcp(within=()):
    """The congestion control that every kernel has, whatever this machine was set to."""
    subprocess.run([*within, "sh", "-c", "echo reno > /proc/sys/net/ipv4/tcp_congestion_control"], check=False, stderr=subprocess.DEVNULL)


class Place:
    """A network beside this one, as long as the scenario runs."""

    def __init__(self):
        # It ends with its standard input.
        self._holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        RUNNING.append(self.close)
        self.pid, own = self._holder.pid, os.readlink("/proc/self/ns/net")
        if not until(lambda: os.readlink(f"/proc/{self.pid}/ns/net") != own, 60):
            raise RuntimeError("no network of its own")
        ip("link", "set", "lo", "up", within=self.within())
        plain_tcp(self.within())

    def within(self, *words):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *map(str, words)]

    def close(self):
        self._holder.stdin.close()
        self._holder.wait()


@dataclass
class Flow:
    """A connection as its packets show it, towards the far end. Places count from its first byte, times are the line's."""

    first: int
    sent: int = 0
    acknowledged: int = 0
    loaded: float = 0.0
    last: float = 0.0
    ended: bool = False
    dead: bool = False

    def goodput(self):
        """Bits a second, from the first object on."""
        return (self.sent - GREETING) * 8 / (self.last - self.loaded)

    def place(self, number):
        """Of a sequence number, beside what is known."""
        offset = (number - self.first - self.sent) & 0xFFFFFFFF
        return self.sent + (offset - (1 << 32) if offset >= 1 << 31 else offset)


@dataclass
class Way:
    """One direction."""

    sink: int
    free_at: float = 0.0
    packets: int = 0
    dropped: int = 0


@dataclass
class Counts:
    """What the near end sent: bytes of TCP that were new, and those that TCP sent again; what had left it and was not acknowledged, at each cut of a connection."""

    new: int = 0
    repeated: int = 0
    lost: list = field(default_factory=list)
    cuts: int = 0


class Wan:
    """The line. `rate` in bits a second, `delay` in seconds one way, `loss` of all packets."""

    def __init__(self, far, rate, delay, loss=0.0, mtu=1280, seed=1):
        self.rate, self.delay, self.loss = rate, delay, loss
        self.counts = Counts()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._flows = {}
        # All connections that there ever were.
        self.flows = []
        self._on_the_way = []
        self._number = 0
        self._dark_until = 0.0
        self._cut_at = None
        # What others send beside, of the line; and how long packets would have waited in the router's memory, summed up over the line's time.
        self._others, self._waited, self._went = 0.0, 0.0, 0.0
        self._clock, self._seen = 0.0, time.monotonic()
        self._ends = [device(name) for name in ("wan-near", "wan-far")]
        ip("link", "set", "wan-far", "netns", far.pid)
        for name, own, other, within in (("wan-near", NEAR, FAR, ()), ("wan-far", FAR, NEAR, far.within())):
            ip("addr", "add", own, "peer", other, "dev", name, within=within)
            ip("link", "set", name, "mtu", mtu, "up", within=within)
        self.up, self.down = Way(self._ends[1]), Way(self._ends[0])
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        RUNNING.append(self.close)

    def close(self):
        os.close(self._waker)
        self._thread.join()
        for end in (*self._ends, self._wake):
            os.close(end)

    # What befalls it

    def cut_after(self, new, dark=0.0):
        """When so many bytes more have been sent, all connections are cut: what is on the line is lost, for `dark` seconds all that is sent, and who goes on with an old connection then hears that there is none."""
        with self._lock:
            self._cut_at = (self.counts.new + new, dark)

    def lose(self, loss):
        """So many of all packets from now on."""
        with self._lock:
            self.loss = loss

    def others_send(self, load):
        """So much of the line is taken by somebody else from now on."""
        with self._lock:
            self._others = load

    def look(self, seconds):
        """For so many seconds of the line's time: how much of it the near end used, and for how many seconds a packet waited on average. None if the line's time stands still."""
        with self._lock:
            began, waited, took = self._clock, self._waited, self.counts.new + self.counts.repeated
        if not until(lambda: self._clock >= began + seconds, 300):
            return None
        with self._lock:
            went = self._clock - began
            return (self.counts.new + self.counts.repeated - took) * 8 / self.rate / went, (self._waited - waited) / went

    # The router

    def _run(self):
        while True:
            with self._lock:
                wait = max(0.0, self._on_the_way[0][0] - self._now()) if self._on_the_way else STEP
            ready, _, _ = select.select([*self._ends, self._wake], [], [], min(wait, STEP))
            if self._wake in ready:
                return
            with self._lock:
                now = self._now()
                self._share(now)
                while self._on_the_way and self._on_the_way[0][0] <= now:
                    _, _, sink, packet = heapq.heappop(self._on_the_way)
                    deliver(sink, packet)
                for end, way in zip(self._ends, (self.up, self.down)):
                    if end in ready:
                        for packet in arrived(end):
                            self._take(packet, way, now)

    def _now(self):
        seen = time.monotonic()
        self._clock += min(seen - self._seen, STEP)
        self._seen = seen
        return self._clock

    def _share(self, now):
        """What others sent since it was last looked."""
        went, self._went = now - self._went, now
        waits = max(0.0, self.up.free_at - now)
        self._waited += waits * went
        if self._others:
            self.up.free_at = max(self.up.free_at, now) + min(self._others * went, max(0.0, QUEUE * 8 / self.rate - waits))

    def _take(self, packet, way, now):
        if now < self._dark_until:
            way.dropped += 1
            return
        if not self._follow(packet, way is self.up):
            deliver(self.down.sink if way is self.up else self.up.sink, reset_of(packet))
            return
        if (way.free_at - now) * self.rate / 8 > QUEUE:
            way.dropped += 1
            return
        way.free_at = max(way.free_at, now) + len(packet) * 8 / self.rate
        way.packets += 1
        if self._random.random() < self.loss:
            way.dropped += 1
        else:
            self._number += 1
            heapq.heappush(self._on_the_way, (way.free_at + self.delay, self._number, way.sink, packet))
        if self._cut_at and self.counts.new >= self._cut_at[0]:
            self._cut(self._cut_at[1])

    def _follow(self, packet, up):
        """Counts what a packet of TCP brings. False when its connection was cut."""
        header = (packet[0] & 15) * 4
        if packet[0] >> 4 != 4 or packet[9] != 6:
            return True
        source, target, sequence, acknowledged = struct.unpack_from(">HHII", packet, header)
        flags, length = packet[header + 13], len(packet) - header - (packet[header + 12] >> 4) * 4
        key = (source, target) if up else (target, source)
        flow = self._flows.get(key)
        if up and flags & SYN and (flow is None or flow.place(sequence + 1) != 0):
            flow = self._flows[key] = Flow(first=(sequence + 1) & 0xFFFFFFFF)
            self.flows.append(flow)
        if flow is None or flow.dead:
            return bool(flags & RST)
        flow.ended |= bool(flags & (FIN | RST))
        if not up:
            flow.acknowledged = max(flow.acknowledged, flow.place(acknowledged))
        elif length:
            end = flow.place(sequence) + length
            new = min(length, max(0, end - flow.sent))
            flow.sent += new
            if new and flow.sent > GREETING:
                flow.last = self._clock
                flow.loaded = flow.loaded or flow.last
            self.counts.new += new
            self.counts.repeated += length - new
        return True

    def _cut(self, dark):
        self._cut_at = None
        self.counts.cuts += 1
        self._on_the_way.clear()
        self._dark_until = self._clock + dark
        for flow in self._flows.values():
            if not flow.dead and not flow.ended:
                self.counts.lost.append(flow.sent - flow.acknowledged)
            flow.dead = True
        for way in (self.up, self.down):
            way.free_at = self._clock


def device(name):
    """A TUN device: what the kernel sends out by it is read here, and what is written here comes in."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), TUN_WITHOUT_HEADER))
    return end


def arrived(end):
    while True:
        try:
            yield os.read(end, 65536)
        except (BlockingIOError, OSError):
            return


def deliver(sink, packet):
    # A device that is down takes nothing: that packet is lost.
    try:
        os.write(sink, packet)
    except OSError:
        pass


def reset_of(packet):
    """What a host answers that knows nothing of a connection (RFC 9293 3.10.7.1)."""
    header = (packet[0] & 15) * 4
    source, target, _, acknowledged = struct.unpack_from(">HHII", packet, header)
    tcp = struct.pack(">HHIIBBHHH", target, source, acknowledged, 0, 5 << 4, RST, 0, 0, 0)
    pseudo = packet[16:20] + packet[12:16] + struct.pack(">BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + packet[16:20] + packet[12:16]
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + tcp


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF

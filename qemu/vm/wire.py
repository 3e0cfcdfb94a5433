"""The other end of a machine's second network card: a small network with one DHCP lease, where somebody knocks on every door. Owns the socket and what was heard; the bytes of frames are frames.py's."""

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import frames
from .frames import ACK, ICMP, ICMP6, RST, SYN, TCP, UDP

HERE, LEASE = "192.168.77.1", "192.168.77.20"
# Of IPv6 there are addresses of the link alone.
HERE6 = "fe80::1"
OUR_MAC = bytes.fromhex("025254000001")
MDNS = ("224.0.0.251", bytes.fromhex("01005e0000fb"), 5353)
# Frames between two questions whether the machine still keeps up. Nothing is lost on this wire: it waits when the machine does.
BATCH = 128
PROBE_PORT = 40123
QUESTIONS = {53: frames.dns_question("keepwell.local"), 5353: frames.dns_question("keepwell.local"), 5355: frames.dns_question("keepwell"),
             123: b"\x23" + bytes(47), 137: frames.dns_question("CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 33), 161: bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"),
             1900: b"M-SEARCH * HTTP/1.1\r\nHOST:239.255.255.250:1900\r\nMAN:\"ssdp:discover\"\r\nMX:1\r\nST:ssdp:all\r\n\r\n"}


@dataclass
class Scan:
    """Ports by what came back: of TCP SYN-ACK, RST, nothing; of UDP an answer, "port unreachable", nothing."""

    open: set
    closed: set
    filtered: set

    def __str__(self):
        return f"open {sorted(self.open)}, closed {len(self.closed)}, no answer from {len(self.filtered)}"


class Wire:
    """Answers ARP, DHCP and echo requests by itself from the start on. Every frame is kept in `frames.pcap`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.box, self.ours = self.folder / "box", self.folder / "ours"
        for path in (self.box, self.ours):
            path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(str(self.ours))
        # The box's addresses: the one that it was given, and its own of the link, as soon as it says anything from there.
        self.lease = self.link_local = self.mac = None
        # What was heard since it was last asked for: packets, and for answers to ARP who had asked.
        self.heard = []
        self.changed = threading.Condition()
        self.kept = open(self.folder / "frames.pcap", "ab")
        if not self.kept.tell():
            self.kept.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self.over = False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def close(self):
        self.over = True
        self.thread.join(10)
        self.socket.close()
        self.kept.close()

    # A machine that was saved has its addresses already.

    def known(self):
        return {"lease": self.lease, "link_local": self.link_local, "mac": self.mac and self.mac.hex()}

    def recall(self, known):
        self.lease, self.link_local, self.mac = known["lease"], known["link_local"], known["mac"] and bytes.fromhex(known["mac"])

    # What somebody on it can do

    def leased(self, seconds=300):
        """The box's address here, when it has asked for one."""
        with self.changed:
            self.changed.wait_for(lambda: self.lease, seconds)
        return self.lease

    def tcp(self, ports=range(1, 65536), over=4):
        """Knocks on each port with one SYN, over IPv4 or 6, and takes every half-made connection back."""
        ports, answers = list(ports), {}
        here, there = self._ends(over)

        def send(port, number, flags):
            self._send(TCP, frames.tcp(here, there, PROBE_PORT, port, number, 0, flags), there)

        def take(packet):
            if packet.protocol == TCP and packet.target_port == PROBE_PORT and packet.source == there:
                if packet.flags & RST:
                    answers.setdefault(packet.source_port, "closed")
                elif packet.flags & SYN and packet.flags & ACK:
                    answers[packet.source_port] = "open"
                    send(packet.source_port, 2, RST)

        self._knock(ports, lambda port: send(port, 1, SYN), take, over)
        return sorted_out(ports, answers)

    def udp(self, ports=range(1, 65536), over=4):
        """Sends each port something that its usual service answers. The kernel says "unreachable" of few a second, so `closed` is a part of those that are."""
        ports, answers = list(ports), {}
        here, there = self._ends(over)

        def probe(port):
            self._send(UDP, frames.udp(here, there, PROBE_PORT, port, QUESTIONS.get(port, b"\r\n\r\n")), there)

        def take(packet):
            if packet.source != there:
                return
            if packet.protocol == UDP and packet.target_port == PROBE_PORT:
                answers[packet.source_port] = "open"
            elif (port := unreachable(packet)) is not None:
                answers.setdefault(port, "closed")

        self._knock(ports, probe, take, over)
        return sorted_out(ports, answers)

    def ping(self, seconds=10):
        """Whether it answers an echo request."""
        self._heard()
        self._send(ICMP, frames.echo(8, struct.pack(">HH", 77, 1) + b"keepwell"), self.lease)
        return self._until(lambda packet: packet.protocol == ICMP and packet.rest[:1] == b"\0", seconds) is not None

    def mdns(self, name="keepwell.local", seconds=30):
        """The addresses that a multicast question for a name brings."""
        address, mac, port = MDNS
        end = time.monotonic() + seconds
        self._heard()
        while time.monotonic() < end:
            self._frame(frames.ip(mac, OUR_MAC, HERE, address, UDP, frames.udp(HERE, address, port, port, frames.dns_question(name))))
            packet = self._until(lambda one: one.protocol == UDP and one.source_port == port and LEASE in frames.dns_addresses(one.rest), 3)
            if packet:
                return frames.dns_addresses(packet.rest)
        return []

    # How

    def _ends(self, over):
        """Our address and the box's."""
        with self.changed:
            self.changed.wait_for(lambda: self.mac and (self.lease if over == 4 else self.link_local), 60)
        here, there = (HERE, self.lease) if over == 4 else (HERE6, self.link_local)
        if not there or not self.mac:
            raise RuntimeError(f"the box has no address of IPv{over} on this network")
        return here, there

    def _knock(self, ports, probe, take, over):
        self._heard()
        # An address that is being tried out takes nothing yet.
        self._in_step(99, lambda packet: None, over)
        for at in range(0, len(ports), BATCH):
            for port in ports[at:at + BATCH]:
                probe(port)
            self._in_step(at // BATCH, take, over)
        # Whoever answers later than in turn, because it thinks first.
        end = time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(0.1)
            for packet in self._heard():
                if isinstance(packet, frames.Packet):
                    take(packet)

    def _in_step(self, number, take, over):
        """Asks for the box's own hardware address in another neighbour's name each time: the answer comes after those to all frames before."""
        asker = f"192.168.77.{100 + number % 100}" if over == 4 else f"fe80::77:{number % 100 + 1:x}"
        for _ in range(6):
            self._frame(self._who_has(asker, over))
            end = time.monotonic() + 10
            while time.monotonic() < end:
                with self.changed:
                    self.changed.wait_for(lambda: self.heard, 1)
                for one in self._heard():
                    if one == asker or isinstance(one, frames.Packet) and one.protocol == ICMP6 and one.target == asker:
                        return
                    if isinstance(one, frames.Packet):
                        take(one)
        raise RuntimeError("the box does not answer on this network any more")

    def _who_has(self, asker, over):
        if over == 4:
            return frames.arp(1, OUR_MAC, asker, bytes(6), self.lease)
        return frames.ip(self.mac, OUR_MAC, asker, self.link_local, ICMP6, frames.neighbour(frames.SOLICIT, asker, self.link_local, self.link_local, OUR_MAC))

    def _until(self, wanted, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.changed:
                self.changed.wait_for(lambda: self.heard, 1)
            for one in self._heard():
                if isinstance(one, frames.Packet) and wanted(one):
                    return one
        return None

    def _heard(self):
        with self.changed:
            heard, self.heard = self.heard, []
        return heard

    def _send(self, protocol, payload, there):
        self._frame(frames.ip(self.mac, OUR_MAC, HERE6 if ":" in there else HERE, there, protocol, payload))

    def _frame(self, frame):
        # Before QEMU has bound its end, and when it ended, nobody is there.
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            self.socket.sendto(frame, str(self.box))
            self._keep(frame)

    def _keep(self, frame):
        now = time.time()
        with self.changed:
            self.kept.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)

    def _listen(self):
        self.socket.settimeout(0.5)
        while not self.over:
            try:
                frame = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            self._keep(frame)
            self._arp(frame)
            packet = frames.parse_ip(frame)
            if packet:
                self._answer(packet)

    def _arp(self, frame):
        found = frames.parse_arp(frame)
        if found is None:
            return
        operation, mac, sender, target = found
        if operation == 1 and target == HERE:
            self._frame(frames.arp(2, OUR_MAC, HERE, mac, sender))
        elif operation == 2:
            with self.changed:
                self.heard.append(target)
                self.changed.notify_all()

    def _answer(self, packet):
        if packet.protocol == UDP and packet.target_port == 67:
            self._dhcp(packet)
        elif packet.protocol == ICMP and packet.rest[:1] == b"\x08" and packet.target == HERE:
            self._send(ICMP, frames.echo(0, packet.rest[4:]), packet.source)
        elif packet.protocol == ICMP6:
            self._neighbour(packet)
        with self.changed:
            self.heard.append(packet)
            self.changed.notify_all()

    def _neighbour(self, packet):
        if packet.source.startswith("fe80::"):
            with self.changed:
                self.link_local, self.mac = packet.source, packet.mac
                self.changed.notify_all()
        if packet.rest[:1] == bytes([frames.SOLICIT]) and packet.rest[8:24] == frames.packed(HERE6) and packet.source != "::":
            self._send(ICMP6, frames.neighbour(frames.ADVERTISE, HERE6, packet.source, HERE6, OUR_MAC), packet.source)

    def _dhcp(self, packet):
        asked = frames.dhcp_request(packet.rest)
        if asked is None or asked[0] not in (frames.DISCOVER, frames.REQUEST):
            return
        kind, transaction, mac = asked
        answer = frames.dhcp_answer(frames.OFFER if kind == frames.DISCOVER else frames.GRANTED, transaction, mac, LEASE, HERE)
        # To everybody, since it has no address yet.
        self._frame(frames.ip(frames.EVERYBODY, OUR_MAC, HERE, "255.255.255.255", UDP, frames.udp(HERE, "255.255.255.255", 67, 68, answer)))
        with self.changed:
            self.mac = mac
            if kind == frames.REQUEST:
                self.lease = LEASE
            self.changed.notify_all()


def unreachable(packet):
    """The UDP port that a box says nobody listens at."""
    if packet.protocol == ICMP and packet.rest[:2] == b"\x03\x03" and len(packet.rest) >= 32:
        return struct.unpack_from(">H", packet.rest, 8 + 20 + 2)[0]
    if packet.protocol == ICMP6 and packet.rest[:2] == b"\x01\x04" and len(packet.rest) >= 52:
        return struct.unpack_from(">H", packet.rest, 8 + 40 + 2)[0]
    return None


def sorted_out(ports, answers):
    found = {kind: {port for port in ports if answers.get(port) == kind} for kind in ("open", "closed")}
    return Scan(**found, filtered=set(ports) - found["open"] - found["closed"])

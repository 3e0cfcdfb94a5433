"""The other end of a machine's second network card: a small network with one DHCP lease, where somebody knocks on every door. Owns the socket and what was heard; the bytes of frames are frames.py's."""

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import frames
from .frames import ACK, ICMP, RST, SYN, TCP, UDP

HERE, LEASE = "192.168.77.1", "192.168.77.20"
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

    def __init__(self, folder, lease=None, mac=None):
        """`lease`, `mac`: of a machine that was saved, which has its address already."""
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.box, self.ours = self.folder / "box", self.folder / "ours"
        for path in (self.box, self.ours):
            path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(str(self.ours))
        self.lease, self.mac = lease, mac
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

    # What somebody on it can do

    def leased(self, seconds=300):
        """The box's address here, when it has asked for one."""
        with self.changed:
            self.changed.wait_for(lambda: self.lease, seconds)
        return self.lease

    def tcp(self, ports=range(1, 65536)):
        """Knocks on each port with one SYN, and takes every half-made connection back."""
        ports, answers = list(ports), {}

        def probe(port):
            self._send(TCP, frames.tcp(HERE, self.lease, PROBE_PORT, port, 1, 0, SYN))

        def take(packet):
            if packet.protocol == TCP and packet.target_port == PROBE_PORT:
                if packet.flags & RST:
                    answers.setdefault(packet.source_port, "closed")
                elif packet.flags & SYN and packet.flags & ACK:
                    answers[packet.source_port] = "open"
                    self._send(TCP, frames.tcp(HERE, self.lease, PROBE_PORT, packet.source_port, 2, 0, RST))

        self._knock(ports, probe, take)
        return sorted_out(ports, answers)

    def udp(self, ports=range(1, 65536)):
        """Sends each port something that its usual service answers. The kernel says "unreachable" of few a second, so `closed` is a part of those that are."""
        ports, answers = list(ports), {}

        def probe(port):
            self._send(UDP, frames.udp(HERE, self.lease, PROBE_PORT, port, QUESTIONS.get(port, b"\r\n\r\n")))

        def take(packet):
            if packet.protocol == UDP and packet.target_port == PROBE_PORT:
                answers[packet.source_port] = "open"
            elif packet.protocol == ICMP and packet.rest[:2] == b"\x03\x03" and len(packet.rest) >= 36:
                answers.setdefault(struct.unpack_from(">H", packet.rest, 8 + 20 + 2)[0], "closed")

        self._knock(ports, probe, take)
        return sorted_out(ports, answers)

    def ping(self, seconds=10):
        """Whether it answers an echo request."""
        self._heard()
        self._send(ICMP, frames.echo(8, struct.pack(">HH", 77, 1) + b"keepwell"))
        return self._until(lambda packet: packet.protocol == ICMP and packet.rest[:1] == b"\0", seconds) is not None

    def mdns(self, name="keepwell.local", seconds=30):
        """The addresses that a multicast question for a name brings."""
        address, mac, port = MDNS
        end = time.monotonic() + seconds
        self._heard()
        while time.monotonic() < end:
            self._frame(frames.ipv4(mac, OUR_MAC, HERE, address, UDP, frames.udp(HERE, address, port, port, frames.dns_question(name))))
            packet = self._until(lambda one: one.protocol == UDP and one.source_port == port and LEASE in frames.dns_addresses(one.rest), 3)
            if packet:
                return frames.dns_addresses(packet.rest)
        return []

    # How

    def _knock(self, ports, probe, take):
        if not self.leased(1):
            raise RuntimeError("the box has no address on this network")
        self._heard()
        for at in range(0, len(ports), BATCH):
            for port in ports[at:at + BATCH]:
                probe(port)
            self._in_step(at // BATCH, take)
        # Whoever answers later than in turn, because it thinks first.
        end = time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(0.1)
            for packet in self._heard():
                if isinstance(packet, frames.Packet):
                    take(packet)

    def _in_step(self, number, take):
        """Asks for the box's own hardware address in another neighbour's name each time: the answer comes after those to all frames before."""
        asker = f"192.168.77.{100 + number % 100}"
        for _ in range(6):
            self._frame(frames.arp(1, OUR_MAC, asker, bytes(6), self.lease))
            end = time.monotonic() + 10
            while time.monotonic() < end:
                with self.changed:
                    self.changed.wait_for(lambda: self.heard, 1)
                for one in self._heard():
                    if isinstance(one, frames.Packet):
                        take(one)
                    elif one == asker:
                        return
        raise RuntimeError("the box does not answer on this network any more")

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

    def _send(self, protocol, payload):
        self._frame(frames.ipv4(self.mac, OUR_MAC, HERE, self.lease, protocol, payload))

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
            packet = frames.parse_ipv4(frame)
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
            self._send(ICMP, frames.echo(0, packet.rest[4:]))
        with self.changed:
            self.heard.append(packet)
            self.changed.notify_all()

    def _dhcp(self, packet):
        asked = frames.dhcp_request(packet.rest)
        if asked is None or asked[0] not in (frames.DISCOVER, frames.REQUEST):
            return
        kind, transaction, mac = asked
        answer = frames.dhcp_answer(frames.OFFER if kind == frames.DISCOVER else frames.GRANTED, transaction, mac, LEASE, HERE)
        # To everybody, since it has no address yet.
        self._frame(frames.ipv4(frames.EVERYBODY, OUR_MAC, HERE, "255.255.255.255", UDP, frames.udp(HERE, "255.255.255.255", 67, 68, answer)))
        with self.changed:
            self.mac = mac
            if kind == frames.REQUEST:
                self.lease = LEASE
            self.changed.notify_all()


def sorted_out(ports, answers):
    found = {kind: {port for port in ports if answers.get(port) == kind} for kind in ("open", "closed")}
    return Scan(**found, filtered=set(ports) - found["open"] - found["closed"])

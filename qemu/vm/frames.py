"""Ethernet frames as bytes: made and taken apart (IEEE 802.3, RFC 826, 791, 792, 768, 9293, 8200, 4861, 2131, 6762). Knows no connection."""

import ipaddress
import struct
from dataclasses import dataclass

EVERYBODY = b"\xff" * 6
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
# Neighbour discovery in ICMPv6.
SOLICIT, ADVERTISE = 135, 136
SYN, RST, ACK = 2, 4, 16
DHCP_MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINED, GRANTED = 1, 2, 3, 4, 5


@dataclass
class Packet:
    """What an IP frame carries. `rest` is what follows the header of the protocol; for ICMP all of it."""

    mac: bytes
    source: str
    target: str
    protocol: int
    source_port: int = 0
    target_port: int = 0
    flags: int = 0
    number: int = 0
    rest: bytes = b""


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def ethernet(target, source, kind, payload):
    return target + source + struct.pack(">H", kind) + payload.ljust(46, b"\0")


def arp(operation, source_mac, source, target_mac, target):
    payload = struct.pack(">HHBBH6s4s6s4s", 1, IPV4, 6, 4, operation, source_mac, packed(source), target_mac, packed(target))
    return ethernet(target_mac if operation == 2 else EVERYBODY, source_mac, ARP, payload)


def ip(target_mac, source_mac, source, target, protocol, payload):
    """IPv4 or IPv6, as the addresses are."""
    if ":" in target:
        head = struct.pack(">IHBB16s16s", 6 << 28, len(payload), protocol, 255, packed(source), packed(target))
        return ethernet(target_mac, source_mac, IPV6, head + payload)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 255, protocol, 0, packed(source), packed(target))
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return ethernet(target_mac, source_mac, IPV4, head + payload)


def summed(source, target, protocol, segment, at):
    """Puts the checksum that covers addresses too into its place: of TCP, UDP, ICMPv6."""
    pseudo = packed(source) + packed(target) + struct.pack(">II", len(segment), protocol)
    return segment[:at] + struct.pack(">H", checksum(pseudo + segment)) + segment[at + 2:]


def tcp(source, target, source_port, target_port, number, answer, flags):
    segment = struct.pack(">HHIIBBHHH", source_port, target_port, number, answer, 5 << 4, flags, 64240, 0, 0)
    return summed(source, target, TCP, segment, 16)


def udp(source, target, source_port, target_port, payload):
    segment = struct.pack(">HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    return summed(source, target, UDP, segment, 6)


def echo(kind, payload):
    message = struct.pack(">BBH", kind, 0, 0) + payload
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


def parse_arp(frame):
    """(operation, sender's MAC, sender, target), or nothing."""
    if len(frame) < 42 or frame[12:14] != struct.pack(">H", ARP):
        return None
    operation, mac, sender, _, target = struct.unpack_from(">H6s4s6s4s", frame, 20)
    return operation, mac, str(ipaddress.IPv4Address(sender)), str(ipaddress.IPv4Address(target))


def neighbour(kind, source, target, about, mac):
    """Neighbour discovery: who has `about`, asked from `mac`; or that `mac` has it, asked for."""
    flags, option = (0x60000000, 2) if kind == ADVERTISE else (0, 1)
    return summed(source, target, ICMP6, struct.pack(">BBHI16sBB6s", kind, 0, 0, flags, packed(about), option, 1, mac), 2)


def parse_ip(frame):
    """A packet, or nothing. Options, extension headers and fragments are not looked into."""
    if len(frame) >= 34 and frame[12:14] == struct.pack(">H", IPV4):
        head = 14 + (frame[14] & 15) * 4
        end, protocol = 14 + struct.unpack_from(">H", frame, 16)[0], frame[23]
        source, target = frame[26:30], frame[30:34]
    elif len(frame) >= 54 and frame[12:14] == struct.pack(">H", IPV6):
        head = 54
        end, protocol = 54 + struct.unpack_from(">H", frame, 18)[0], frame[20]
        source, target = frame[22:38], frame[38:54]
    else:
        return None
    body = frame[head:end]
    packet = Packet(frame[6:12], str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target)), protocol, rest=body)
    if protocol == TCP and len(body) >= 20:
        packet.source_port, packet.target_port, packet.number = struct.unpack_from(">HHI", body)
        packet.flags, packet.rest = body[13], body[(body[12] >> 4) * 4:]
    elif protocol == UDP and len(body) >= 8:
        packet.source_port, packet.target_port = struct.unpack_from(">HH", body)
        packet.rest = body[8:]
    return packet


# DHCP

def dhcp_request(message):
    """(kind, transaction, MAC), or nothing."""
    if len(message) < 240 or message[0] != 1 or message[236:240] != DHCP_MAGIC:
        return None
    at, kind = 240, None
    while at + 1 < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        if message[at] == 53:
            kind = message[at + 2]
        at += 2 + message[at + 1]
    return kind, message[4:8], message[28:34]


def dhcp_answer(kind, transaction, mac, address, server, seconds=3600):
    """An address without router or name server: this network leads nowhere."""
    head = struct.pack(">BBBB4sHH4s4s4s4s16s192s", 2, 1, 6, 0, transaction, 0, 0x8000, bytes(4), packed(address), packed(server), bytes(4), mac, bytes(192))
    options = [(53, bytes([kind])), (54, packed(server)), (51, struct.pack(">I", seconds)), (1, packed("255.255.255.0"))]
    return head + DHCP_MAGIC + b"".join(bytes([code, len(value)]) + value for code, value in options) + b"\xff"


# Names

def dns_question(name, kind=1, number=0):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)


def dns_addresses(message):
    """The IPv4 addresses that an answer names."""
    if len(message) < 12 or not message[2] & 0x80:
        return []
    questions, answers, more, extra = struct.unpack_from(">HHHH", message, 4)
    found, at = [], 12
    try:
        for _ in range(questions):
            at = _after_name(message, at) + 4
        for _ in range(answers + more + extra):
            at = _after_name(message, at)
            kind, _, _, length = struct.unpack_from(">HHIH", message, at)
            at += 10
            if kind == 1 and length == 4:
                found.append(str(ipaddress.IPv4Address(message[at:at + 4])))
            at += length
    except (struct.error, IndexError):
        pass
    return found


def _after_name(message, at):
    while message[at]:
        if message[at] >= 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1

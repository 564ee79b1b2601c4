"""Packets of GStreamer's gdppay, made from their description."""

from __future__ import annotations

import struct
from binascii import crc_hqx

NO_TIME = (1 << 64) - 1
BUFFER, CAPS, EVENT = 1, 2, 64 + 2563

CAPS_TEXT = "video/x-raw, format=(string)I420, width=(int)320, height=(int)240"


def make_header(kind=BUFFER, length=0, pts_ns=NO_TIME, buffer_flags=0, start=b"\x01\x00\x01\x00"):
    head = start + struct.pack(">HIQ24xH14x", kind, length, pts_ns, buffer_flags)
    return head + struct.pack(">HH", crc_hqx(head, 0xFFFF) ^ 0xFFFF, 0)


def make_packet(kind, payload, **fields):
    return make_header(kind, len(payload), **fields) + payload

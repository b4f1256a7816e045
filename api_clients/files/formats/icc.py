"""ICC profiles: what decides on colours is kept, all else becomes zeros, so no offset changes."""

from __future__ import annotations

import struct

_HEADER = 128
_SIGNATURE = slice(36, 40)
_TABLE = _HEADER + 4
_ENTRY = 12
_MOST_TAGS = 100
_PRIVATE = ((4, 8), (48, 56), (80, 100))
"""Fields of the header about the program, the device, the maker, and the digest of the whole."""
_WHEN = slice(24, 36)
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
_COLOUR = frozenset(
    b"rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt chad chrm cicp gamt "
    b"A2B0 A2B1 A2B2 A2B3 A2M0 B2A0 B2A1 B2A2 B2A3 D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 "
    b"pre0 pre1 pre2 rig0 rig2".split()
)
_TEXTS = frozenset({b"desc", b"cprt"})
"""Tags that a profile has to have; their text is taken out."""
_EMPTY = {
    b"desc": b"desc" + struct.pack(">II", 0, 1),
    b"mluc": b"mluc" + struct.pack(">III", 0, 0, 12),
    b"text": b"text" + bytes(4),
}
"""Texts of nothing, by their type; zeros may follow."""


def public_profile(profile: bytes) -> bytes | None:
    """A profile with the same colours that tells nothing else: no device, person, folder or date.

    Args:
        profile: the whole of it.

    Returns:
        As many bytes; ``None`` where it is no profile, which all readers ignore.
    """
    if len(profile) < _TABLE or profile[_SIGNATURE] != b"acsp":
        return None
    count = int.from_bytes(profile[_HEADER:_TABLE], "big")
    if count > _MOST_TAGS or len(profile) < _TABLE + count * _ENTRY:
        return None
    public = bytearray(len(profile))
    public[:_HEADER] = profile[:_HEADER]
    for start, stop in _PRIVATE:
        public[start:stop] = bytes(stop - start)
    public[_WHEN] = _DATE
    kept: list[bytes] = []
    texts: list[tuple[int, bytes]] = []
    colours: list[tuple[int, int]] = []
    for at in range(_TABLE, _TABLE + count * _ENTRY, _ENTRY):
        entry = profile[at : at + _ENTRY]
        name, start, size = struct.unpack(">4sII", entry)
        if start < _TABLE + count * _ENTRY or start + size > len(profile):
            continue
        empty = _EMPTY.get(profile[start : start + 4], b"") if name in _TEXTS else b""
        if name in _COLOUR:
            colours.append((start, start + size))
        elif empty and len(empty) <= size:
            texts.append((start, empty))
        else:
            continue
        kept.append(entry)
    # Tags may share their data, so colours come last.
    for start, empty in texts:
        public[start : start + len(empty)] = empty
    for start, stop in colours:
        public[start:stop] = profile[start:stop]
    public[_HEADER : _TABLE + len(kept) * _ENTRY] = len(kept).to_bytes(4, "big") + b"".join(kept)
    return bytes(public)

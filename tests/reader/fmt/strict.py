"""Strict MessagePack, documents and the checks of maps (conventions.md)."""

import struct

import zstandard

MAX_NESTING = 128
MAX_DOCUMENT = 64 << 20
MAX_WINDOW = 32 << 20
MAX_TEXT = 4096
SECONDS = 1 << 62


class Refused(Exception):
    """What a reader refuses: `where` names the file, `what` says what is wrong with it."""

    def __init__(self, where, what):
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


# ---- MessagePack -----------------------------------------------------------------------------


class _Decoder:
    def __init__(self, data, where):
        self.data = data
        self.where = where
        self.pos = 0

    def fail(self, what):
        raise Refused(self.where, f"MessagePack: {what}")

    def take(self, n):
        if n > len(self.data) - self.pos:
            self.fail("value is longer than the bytes that are there")
        piece = self.data[self.pos:self.pos + n]
        self.pos += n
        return piece

    def number(self, size, least, signed=False):
        """A number behind a type byte; `least` is the smallest that needs this size."""
        n = int.from_bytes(self.take(size), "big", signed=signed)
        if signed and n > least or not signed and n < least:
            self.fail("number, length or count is not in its shortest form")
        return n

    def value(self, depth):
        t = self.take(1)[0]
        if t <= 0x7F:
            return t
        if t >= 0xE0:
            return t - 0x100
        if 0xA0 <= t <= 0xBF:
            return self.text(t & 0x1F)
        if 0x90 <= t <= 0x9F:
            return self.array(t & 0x0F, depth)
        if 0x80 <= t <= 0x8F:
            return self.map(t & 0x0F, depth)
        if t == 0xC4:
            return self.take(self.number(1, 0))
        if t == 0xC5:
            return self.take(self.number(2, 1 << 8))
        if t == 0xC6:
            return self.take(self.number(4, 1 << 16))
        if t == 0xCC:
            return self.number(1, 1 << 7)
        if t == 0xCD:
            return self.number(2, 1 << 8)
        if t == 0xCE:
            return self.number(4, 1 << 16)
        if t == 0xCF:
            return self.number(8, 1 << 32)
        if t == 0xD0:
            return self.number(1, -33, signed=True)
        if t == 0xD1:
            return self.number(2, -(1 << 7) - 1, signed=True)
        if t == 0xD2:
            return self.number(4, -(1 << 15) - 1, signed=True)
        if t == 0xD3:
            return self.number(8, -(1 << 31) - 1, signed=True)
        if t == 0xD9:
            return self.text(self.number(1, 32))
        if t == 0xDA:
            return self.text(self.number(2, 1 << 8))
        if t == 0xDB:
            return self.text(self.number(4, 1 << 16))
        if t == 0xDC:
            return self.array(self.number(2, 16), depth)
        if t == 0xDD:
            return self.array(self.number(4, 1 << 16), depth)
        if t == 0xDE:
            return self.map(self.number(2, 16), depth)
        if t == 0xDF:
            return self.map(self.number(4, 1 << 16), depth)
        return self.fail(f"type {t:#04x} is not allowed")

    def text(self, n):
        try:
            s = self.take(n).decode("utf-8")
        except UnicodeDecodeError:
            self.fail("text is not valid UTF-8")
        if "\0" in s:
            self.fail("text has a NUL")
        return s

    def enter(self, depth, count):
        if depth >= MAX_NESTING:
            self.fail(f"nested deeper than the limit of {MAX_NESTING}")
        if count > len(self.data) - self.pos:
            self.fail("count is larger than the bytes that are there")

    def array(self, n, depth):
        self.enter(depth, n)
        return [self.value(depth + 1) for _ in range(n)]

    def map(self, n, depth):
        self.enter(depth, 2 * n)
        result = {}
        last = -1
        for _ in range(n):
            key = self.value(depth + 1)
            if type(key) is not int or key < 0:
                self.fail("key of a map is not an unsigned integer")
            if key <= last:
                self.fail(f"keys of a map do not ascend at key {key}")
            last = key
            result[key] = self.value(depth + 1)
        return result


def decode_prefix(data, where):
    """The value at the beginning of data, and where it ends."""
    d = _Decoder(bytes(data), where)
    return d.value(0), d.pos


def decode(data, where):
    """One value with nothing after it."""
    value, end = decode_prefix(data, where)
    if end != len(data):
        raise Refused(where, "MessagePack: bytes after the value")
    return value


def _sized(n, fix, fix_max, forms):
    if fix is not None and n <= fix_max:
        return bytes([fix | n])
    for tag, size in forms:
        if n < 1 << 8 * size:
            return bytes([tag]) + n.to_bytes(size, "big")
    raise ValueError("too long")


def encode(value):
    """The one encoding of a value."""
    if type(value) is int:
        if value >= 0:
            return _sized(value, 0, 0x7F, ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)))
        if value >= -32:
            return bytes([value + 0x100])
        for tag, size in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
            if value >= -(1 << 8 * size - 1):
                return bytes([tag]) + value.to_bytes(size, "big", signed=True)
    if isinstance(value, bytes):
        return _sized(len(value), None, 0, ((0xC4, 1), (0xC5, 2), (0xC6, 4))) + value
    if isinstance(value, str):
        raw = value.encode()
        return _sized(len(raw), 0xA0, 31, ((0xD9, 1), (0xDA, 2), (0xDB, 4))) + raw
    if isinstance(value, list):
        head = _sized(len(value), 0x90, 15, ((0xDC, 2), (0xDD, 4)))
        return head + b"".join(encode(v) for v in value)
    if isinstance(value, dict):
        head = _sized(len(value), 0x80, 15, ((0xDE, 2), (0xDF, 4)))
        return head + b"".join(encode(k) + encode(value[k]) for k in sorted(value))
    raise ValueError(f"cannot encode {value!r}")


# ---- zstd ------------------------------------------------------------------------------------


def _frame_end(body, where):
    """Walks the blocks of a zstd frame (RFC 8878) to find where it ends."""
    if len(body) < 5 or body[:4] != b"\x28\xb5\x2f\xfd":
        raise Refused(where, "body is not a zstd frame")
    try:
        pos = zstandard.frame_header_size(body)
    except zstandard.ZstdError as e:
        raise Refused(where, f"bad zstd frame: {e}") from None
    while True:
        if pos + 3 > len(body):
            raise Refused(where, "zstd frame is truncated")
        block = int.from_bytes(body[pos:pos + 3], "little")
        kind, size = block >> 1 & 3, block >> 3
        pos += 3 + (1 if kind == 1 else size)
        if block & 1:
            break
    return pos + (4 if body[4] & 4 else 0)


def zstd_plain(body, plain_len, where, prefix=None):
    """The plain bytes of one zstd frame of known plain length."""
    end = _frame_end(body, where)
    if end != len(body):
        raise Refused(where, "zstd frame is truncated or has bytes after it")
    frame = zstandard.get_frame_parameters(body)
    if frame.window_size > MAX_WINDOW:
        raise Refused(where, "zstd window is over the limit of 32 MiB")
    if frame.dict_id != 0:
        raise Refused(where, "zstd frame names a dictionary")
    if frame.content_size not in (zstandard.CONTENTSIZE_UNKNOWN, plain_len):
        raise Refused(where, "length of the zstd frame is not the one recorded")
    base = None
    if prefix:
        base = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    try:
        plain = zstandard.ZstdDecompressor(dict_data=base).decompress(
            body, max_output_size=plain_len + 1)
    except zstandard.ZstdError as e:
        raise Refused(where, f"zstd frame does not decode to the length recorded: {e}") from None
    if len(plain) != plain_len:
        raise Refused(where, "zstd frame does not decode to the length recorded")
    return plain


# ---- documents -------------------------------------------------------------------------------


def document(data, where):
    """The value in a document: [codec, plain_len, body] and zero bytes."""
    outer, end = decode_prefix(data, where)
    if not (isinstance(outer, list) and len(outer) == 3 and type(outer[0]) is int
            and type(outer[1]) is int and outer[1] >= 0 and isinstance(outer[2], bytes)):
        raise Refused(where, "document is not [codec, plain_len, body]")
    if data[end:].strip(b"\0"):
        raise Refused(where, "padding of a document is not zero")
    codec, plain_len, body = outer
    if plain_len > MAX_DOCUMENT:
        raise Refused(where, "document is over the limit of 64 MiB")
    if codec == 0:
        if len(body) != plain_len:
            raise Refused(where, "length of a stored document is not the one recorded")
        plain = body
    elif codec == 1:
        plain = zstd_plain(body, plain_len, where)
    else:
        raise Refused(where, f"unknown codec {codec} of a document")
    return decode(plain, where)


def padme(n):
    """The padded length of a document of n bytes."""
    if n < 2:
        return n
    e = n.bit_length() - 1
    step = 1 << e - e.bit_length()
    return (n + step - 1) // step * step


# ---- checks of values ------------------------------------------------------------------------
# A check is a function (value, where) that raises Refused.


def uint(bound=(1 << 64) - 1, least=0):
    def check(v, where):
        if type(v) is not int or v < 0:
            raise Refused(where, "is not an unsigned number")
        if not least <= v <= bound:
            raise Refused(where, f"{v} is outside of the limits {least} to {bound}")
    return check


def sint(low=-SECONDS, high=SECONDS):
    def check(v, where):
        if type(v) is not int:
            raise Refused(where, "is not a number")
        if not low <= v <= high:
            raise Refused(where, f"{v} is outside of the limits {low} to {high}")
    return check


def blob(size=None, least=0, most=None):
    def check(v, where):
        if not isinstance(v, bytes):
            raise Refused(where, "is not a byte string")
        if size is not None and len(v) != size:
            raise Refused(where, f"has {len(v)} bytes, not {size}")
        if len(v) < least or most is not None and len(v) > most:
            raise Refused(where, f"has {len(v)} bytes, which is outside of the limits")
    return check


def text(most=MAX_TEXT, least=0):
    def check(v, where):
        if not isinstance(v, str):
            raise Refused(where, "is not text")
        if not least <= len(v.encode()) <= most:
            raise Refused(where, f"text is outside of the limits of {least} to {most} bytes")
    return check


def listof(item, most=None):
    def check(v, where):
        if not isinstance(v, list):
            raise Refused(where, "is not an array")
        if most is not None and len(v) > most:
            raise Refused(where, f"has {len(v)} items, more than the limit of {most}")
        for i, element in enumerate(v):
            item(element, f"{where}[{i}]")
    return check


def tupleof(*items):
    def check(v, where):
        if not isinstance(v, list) or len(v) != len(items):
            raise Refused(where, f"is not an array of {len(items)}")
        for i, item in enumerate(items):
            item(v[i], f"{where}[{i}]")
    return check


def anything(v, where):
    """A value with its own checks elsewhere."""


def ascending(items, where, key=lambda v: v):
    last = None
    for item in items:
        k = key(item)
        if last is not None and k <= last:
            raise Refused(where, "does not ascend strictly")
        last = k


nanoseconds = uint(999_999_999)
seconds = uint(SECONDS)
signed_seconds = sint()


def mapof(members, is_open=False):
    """A map: {key: (label, check, required)}; open maps may have unknown keys from 64 on."""
    def check(v, where):
        if not isinstance(v, dict):
            raise Refused(where, "is not a map")
        for k, member in v.items():
            if k not in members:
                if is_open and k >= 64:
                    continue
                raise Refused(where, f"unknown key {k}")
            label, item, required = members[k]
            if not required and (type(member) is int and member == 0 or member in ("", b"", [])):
                raise Refused(where, f"{label} is present though it is 0 or empty")
            item(member, f"{where}: {label}")
        for k, (label, _, required) in members.items():
            if required and k not in v:
                raise Refused(where, f"{label} is missing")
    return check


def le32(n):
    return struct.pack("<I", n)


def le64(n):
    return struct.pack("<Q", n)

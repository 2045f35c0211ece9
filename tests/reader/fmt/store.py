"""Packs, segments and the look-up of chunks (pack.md, segment.md)."""

from collections import OrderedDict, defaultdict, namedtuple

from .crypto import (DATA, HEADER, PACK_FILE, SNAPSHOT, TAG, TRAILER, File, object_id,
                     read_section, read_sections)
from .log import LIVE, SEGMENT
from .strict import (Refused, anything, ascending, blob, decode_prefix, document, listof, mapof,
                     tupleof, uint, zstd_plain)

MAX_CHUNK = 2 << 20
MAX_CHUNKS_FRAME = 65535
MAX_CONTENTS = 32 << 20
MAX_CHUNKS_PACK = 524_288
MAX_FRAMES = 65536
MAX_DEPTH = 8
MAX_ENTRIES, MAX_BLOCK = 1 << 31, 65536
MAX_SEGMENT_PACKS = 1 << 20
TABLE_SECTION = (1 << 64) - 1
FOOTER_MASK = (1 << 64) - 2
U32 = (1 << 32) - 1

CHUNK_KIND = uint(SNAPSHOT, DATA)
LENGTH = uint(MAX_CHUNK, 1)
DEPTH = uint(MAX_DEPTH, 1)
FRAME_HEAD = tupleof(uint(), uint(), uint(), uint(U32), uint(MAX_CONTENTS))
TABLE_FRAME = tupleof(uint(U32), uint(MAX_CONTENTS), uint(MAX_CHUNKS_FRAME, 1), uint(), uint(),
                      uint(), uint(U32))
TABLE = mapof({
    1: ("frames", listof(TABLE_FRAME, MAX_FRAMES), True), 2: ("ids", blob(), True),
    3: ("kinds", listof(CHUNK_KIND, MAX_CHUNKS_PACK), True),
    4: ("lengths", listof(LENGTH, MAX_CHUNKS_PACK), True),
    5: ("deltas", listof(tupleof(uint(), uint(), DEPTH, uint(MAX_CHUNK), blob(32))), False),
})
SEGMENT_PACK = tupleof(blob(32), uint(2, 1), uint(PACK_FILE), anything)
DIRECTORY = mapof({
    1: ("packs", listof(SEGMENT_PACK, MAX_SEGMENT_PACKS), True),
    2: ("entries", uint(MAX_ENTRIES), True),
})
BLOCK = mapof({
    1: ("tags", blob(), True), 2: ("ordinals", listof(uint()), True),
    3: ("slots", listof(uint(MAX_CHUNKS_FRAME - 1)), True),
    4: ("kinds", listof(CHUNK_KIND), True), 5: ("lengths", listof(LENGTH), True),
    6: ("deltas", listof(tupleof(uint(), DEPTH, blob(16))), False),
})

# One stored copy of a chunk: base is an id in a pack, a tag in a segment; None when whole.
Row = namedtuple("Row", "kind length encoding depth stored_len id base")
Copy = namedtuple("Copy", "pack frame slot kind length depth base")


def undo_x86(data):
    """Filter 1 undone (pack.md section 5)."""
    b = bytearray(data)
    for i in range(len(b) - 4):
        if b[i] & 0xFE == 0xE8 and b[i + 4] in (0x00, 0xFF):
            b[i + 1:i + 4] = (int.from_bytes(b[i + 1:i + 4], "little") - i & 0xFFFFFF).to_bytes(
                3, "little")
    return bytes(b)


def check_coding(codec, filter_, dictionary, where):
    if codec not in (0, 1):
        raise Refused(where, f"unknown codec {codec} of a frame")
    if filter_ not in (0, 1):
        raise Refused(where, f"unknown filter {filter_} of a frame")
    if dictionary != 0:
        raise Refused(where, f"unknown dictionary {dictionary} of a frame")


def check_kind(kind, pack_kind, where):
    if (kind == DATA) != (pack_kind == 1):
        raise Refused(where, f"chunk of kind {kind} in a pack of kind {pack_kind}")


class Frame:
    """The chunks of one frame (pack.md section 2)."""

    def __init__(self, plain, pack_kind, where):
        self.where = where
        self.head, end = decode_prefix(plain, where)
        FRAME_HEAD(self.head, f"{where}: head")
        codec, filter_, dictionary, _, plain_len = self.head
        check_coding(codec, filter_, dictionary, where)
        body = plain[end:]
        if codec == 1:
            body = zstd_plain(body, plain_len, where)
        elif len(body) != plain_len:
            raise Refused(where, "contents do not have the length recorded")
        rows, end = decode_prefix(body, where)
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_CHUNKS_FRAME:
            raise Refused(where, "rows are not an array of 1 to 65,535")
        data = body[end:]
        if filter_ == 1:
            data = undo_x86(data)
        self.rows, self.stored = [], []
        pos = 0
        for i, row in enumerate(rows):
            row = self.row(row, f"{where} slot {i}")
            check_kind(row.kind, pack_kind, f"{where} slot {i}")
            if row.stored_len > len(data) - pos:
                raise Refused(where, "chunks are longer than the contents of the frame")
            stored = data[pos:pos + row.stored_len]
            pos += row.stored_len
            if row.depth == 0:
                row = row._replace(id=object_id(row.kind, stored))
            self.rows.append(row)
            self.stored.append(stored)
        if pos != len(data):
            raise Refused(where, "bytes after the last chunk of the frame")
        self.size = len(data)

    @staticmethod
    def row(row, where):
        if not isinstance(row, list) or len(row) not in (2, 7):
            raise Refused(where, "row is not an array of 2 or 7")
        CHUNK_KIND(row[0], f"{where}: kind")
        LENGTH(row[1], f"{where}: length")
        if len(row) == 2:
            return Row(row[0], row[1], 0, 0, row[1], None, None)
        uint()(row[2], f"{where}: encoding")
        if row[2] != 1:
            raise Refused(where, f"unknown encoding {row[2]} of a delta")
        DEPTH(row[3], f"{where}: depth of a delta")
        uint(MAX_CHUNK)(row[4], f"{where}: stored length")
        blob(32)(row[5], f"{where}: id")
        blob(32)(row[6], f"{where}: base")
        return Row(*row)


class Pack:
    """A pack and its table (pack.md sections 1 and 3)."""

    def __init__(self, root, keyring, name):
        self.file = file = File(root, f"packs/{name.hex()}", "P", most=PACK_FILE)
        self.where = where = file.where
        self.kind = file.kind
        self.seal = keyring.seal(file, b"data" if self.kind == 1 else b"meta")
        size = len(file.data)
        footer = size - TRAILER - 4
        if footer < HEADER + 4 + TAG:
            raise Refused(where, "file is too short for a pack")
        length = self.seal.unmask(FOOTER_MASK, file.data[footer:footer + 4])
        start = footer - length - 4
        if length < TAG or start < HEADER:
            raise Refused(where, "length of the table in the footer is wrong")
        plain, end = read_section(file, self.seal, TABLE_SECTION, start, footer)
        if end != footer:
            raise Refused(where, "table does not end at the footer")
        self.parse_table(document(plain, where), start)

    def parse_table(self, table, start):
        where = self.where
        TABLE(table, f"{where}: table")
        self.frames, self.offsets, self.firsts = table[1], [], []
        if not self.frames:
            raise Refused(where, "pack has no frames")
        pos, total = HEADER, 0
        for frame in self.frames:
            check_coding(*frame[3:6], where)
            self.offsets.append(pos)
            self.firsts.append(total)
            pos += 4 + frame[0]
            total += frame[2]
        if pos != start:
            raise Refused(where, "frames and table do not fill the file")
        if len(table[2]) != 32 * total or len(table[3]) != total or len(table[4]) != total:
            raise Refused(where, "members of the table differ in their number of chunks")
        if total > MAX_CHUNKS_PACK:
            raise Refused(where, "number of chunks is over the limit of 524,288")
        self.rows = []
        for i in range(total):
            check_kind(table[3][i], self.kind, where)
            self.rows.append(Row(table[3][i], table[4][i], 0, 0, table[4][i],
                                 table[2][32 * i:32 * i + 32], None))
        ascending(table.get(5, []), f"{where}: deltas", lambda d: d[0])
        for index, encoding, depth, stored_len, base in table.get(5, []):
            if index >= total:
                raise Refused(where, "delta of a chunk that the pack does not have")
            if encoding != 1:
                raise Refused(where, f"unknown encoding {encoding} of a delta")
            self.rows[index] = self.rows[index]._replace(
                encoding=encoding, depth=depth, stored_len=stored_len, base=base)

    def rows_of(self, frame):
        return self.rows[self.firsts[frame]:self.firsts[frame] + self.frames[frame][2]]

    def frame(self, i):
        """Frame i, which must be as the table says."""
        where = f"{self.where} frame {i}"
        end = self.offsets[i] + 4 + self.frames[i][0]
        plain, at = read_section(self.file, self.seal, i, self.offsets[i], end)
        if at != end:
            raise Refused(where, "length of the section is not the one in the table")
        frame = Frame(plain, self.kind, where)
        codec, filter_, dictionary, parameters, plain_len = frame.head
        if self.frames[i][1:] != [plain_len, len(frame.rows), codec, filter_, dictionary,
                                  parameters]:
            raise Refused(where, "head of the frame is not what the table says")
        for slot, row in enumerate(self.rows_of(i)):
            if row != frame.rows[slot]:
                raise Refused(where, f"row {slot} of the frame is not what the table says")
        return frame


class Segment:
    """An index segment (segment.md)."""

    def __init__(self, root, keyring, name):
        file = File(root, f"segments/{name.hex()}", "S")
        self.where = where = file.where
        self.size = len(file.data)
        sections = read_sections(file, [keyring.seal(file, b"index")])
        directory = document(sections[0], where)
        DIRECTORY(directory, where)
        if not directory[1]:
            raise Refused(where, "segment names no pack")
        self.packs = {}
        ordinals = []
        ascending(directory[1], f"{where}: packs", lambda p: p[0])
        for pack, kind, size, lengths in directory[1]:
            listof(uint(U32))(lengths, f"{where}: lengths of frames")
            if not lengths or len(lengths) % 2 or len(lengths) > 2 * MAX_FRAMES:
                raise Refused(where, "lengths of frames are not 1 to 65,536 pairs")
            self.packs[pack] = (kind, size, lengths)
            ordinals += [(pack, i) for i in range(len(lengths) // 2)]
        self.copies = []
        last = None
        for section in sections[1:]:
            block = document(section, where)
            BLOCK(block, where)
            n = len(block[2])
            if not 1 <= n <= MAX_BLOCK:
                raise Refused(where, f"block has {n} entries, outside of the limits")
            if len(block[1]) != 16 * n or any(len(block[k]) != n for k in (3, 4, 5)):
                raise Refused(where, "members of a block differ in their number of entries")
            ascending(block.get(6, []), f"{where}: deltas", lambda d: d[0])
            deltas = {d[0]: d[1:] for d in block.get(6, [])}
            if deltas and max(deltas) >= n:
                raise Refused(where, "delta of an entry that the block does not have")
            for i in range(n):
                tag = block[1][16 * i:16 * i + 16]
                key = (tag, block[2][i], block[3][i])
                if last is not None and key <= last:
                    raise Refused(where, "entries do not ascend strictly")
                last = key
                if key[1] >= len(ordinals):
                    raise Refused(where, f"entry names frame {key[1]}, which does not exist")
                pack, frame = ordinals[key[1]]
                check_kind(block[4][i], self.packs[pack][0], where)
                depth, base = deltas.get(i, (0, None))
                self.copies.append((tag, Copy(pack, frame, key[2], block[4][i], block[5][i],
                                              depth, base)))
        if len(self.copies) != directory[2]:
            raise Refused(where, "number of entries is not the one in the directory")

    def check_pack(self, pack, name, keyring):
        """Every chunk of a pack has its entry, and the pack is described as it is."""
        kind, size, lengths = self.packs[name]
        table = [n for frame in pack.frames for n in frame[:2]]
        if (kind, size, lengths) != (pack.kind, len(pack.file.data), table):
            raise Refused(self.where, f"describes {pack.where} other than it is")
        said = sorted((c.frame, c.slot, tag, c) for tag, c in self.copies if c.pack == name)
        there = []
        for f in range(len(pack.frames)):
            for slot, row in enumerate(pack.rows_of(f)):
                base = keyring.tag(row.base) if row.depth else None
                there.append((f, slot, keyring.tag(row.id),
                              Copy(name, f, slot, row.kind, row.length, row.depth, base)))
        if said != there:
            raise Refused(self.where, f"entries are not the chunks of {pack.where}")


class Store:
    """The chunks in the live packs, found through the live segments."""

    CACHE = 256 << 20

    def __init__(self, root, keyring, state):
        self.root, self.keyring = root, keyring
        self.packs, self.segments = {}, {}
        self.index = defaultdict(list)
        self.frames, self.cached = OrderedDict(), 0
        self.live = {n: (t, s) for n, (t, s, st) in state.objects.items() if st == LIVE}
        for name, (kind, size) in sorted(self.live.items()):
            if kind == SEGMENT:
                self.add_segment(name, size)

    def add_segment(self, name, size):
        segment = Segment(self.root, self.keyring, name)
        if segment.size != size:
            raise Refused(segment.where, "size is not the one in the log")
        self.segments[name] = segment
        for tag, copy in segment.copies:
            known = self.live.get(copy.pack)
            if known is None:
                continue
            kind, size, _ = segment.packs[copy.pack]
            if known != (kind, size):
                raise Refused(segment.where,
                              f"kind or size of the pack {copy.pack.hex()} is not that of the log")
            if copy not in self.index[tag]:
                self.index[tag].append(copy)

    def pack(self, name):
        if name not in self.packs:
            pack = Pack(self.root, self.keyring, name)
            kind, size = self.live[name]
            if len(pack.file.data) != size:
                raise Refused(pack.where, "size is not the one in the log")
            if pack.kind != kind:
                raise Refused(pack.where, "kind is not the one in the log")
            self.packs[name] = pack
        return self.packs[name]

    def frame(self, name, i):
        key = name, i
        if key in self.frames:
            self.frames.move_to_end(key)
            return self.frames[key]
        pack = self.pack(name)
        if i >= len(pack.frames):
            raise Refused(pack.where, f"has no frame {i}, which the index names")
        frame = pack.frame(i)
        self.frames[key] = frame
        self.cached += frame.size
        while self.cached > self.CACHE and len(self.frames) > 1:
            self.cached -= self.frames.popitem(last=False)[1].size
        return frame

    def copies(self, chunk_id, kind, packs=None):
        found = [c for c in self.index.get(self.keyring.tag(chunk_id), [])
                 if c.kind == kind and (packs is None or c.pack in packs)]
        return sorted(found, key=lambda c: c.depth)

    def get(self, chunk_id, kind, where, below=MAX_DEPTH + 1):
        """The plain bytes of a chunk, through a copy of a depth smaller than `below`."""
        copies = self.copies(chunk_id, kind)
        if not copies:
            raise Refused(where, f"chunk {chunk_id.hex()} of kind {kind} is in no live pack")
        copy = copies[0]
        if copy.depth >= below:
            raise Refused(where, f"base {chunk_id.hex()} has no copy of a smaller depth")
        return self.read(copy, chunk_id)

    def read(self, copy, chunk_id):
        frame = self.frame(copy.pack, copy.frame)
        where = f"{frame.where} slot {copy.slot}"
        if copy.slot >= len(frame.rows):
            raise Refused(where, "the frame has no such slot, which the index names")
        row = frame.rows[copy.slot]
        base = self.keyring.tag(row.base) if row.depth else None
        if (row.kind, row.length, row.depth, base) != (copy.kind, copy.length, copy.depth,
                                                       copy.base):
            raise Refused(where, "chunk is not as the index says")
        plain = self.decode(frame, copy.slot)
        if object_id(row.kind, plain) != chunk_id:
            raise Refused(where, f"chunk is not {chunk_id.hex()}")
        return plain

    def decode(self, frame, slot):
        """The plain bytes of a chunk of a frame (pack.md section 4)."""
        row, stored = frame.rows[slot], frame.stored[slot]
        if row.depth == 0:
            return stored
        where = f"{frame.where} slot {slot}"
        base = self.get(row.base, row.kind, f"{where}: delta", row.depth)
        plain = zstd_plain(stored, row.length, f"{where}: delta", base)
        if object_id(row.kind, plain) != row.id:
            raise Refused(where, f"delta does not decode to {row.id.hex()}")
        return plain

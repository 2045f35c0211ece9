"""Trees: sequences, nodes, contents, hard links, snapshots and the side object
(tree.md, snapshot.md)."""

import hashlib

from . import chunker
from .crypto import DATA, H, LIST, SIDE, SNAPSHOT, TREE, object_id
from .log import ID, REFERENCE, labels
from .members import IMAGE_MEMBERS, check_members, part_length
from .strict import (Refused, anything, blob, decode, encode, listof, mapof, nanoseconds,
                     signed_seconds, text, tupleof, uint)

MAX_LEVELS = 16
MAX_ITEMS = 256
OBJECT_BYTES = 524_288
MAX_ITEM = 256 << 10
MAX_SIZE = (1 << 63) - 1
MAX_PATH = 65535
MAX_VALUE = 65536
MAX_XATTRS = 65536
MAX_ZEROS = 1 << 20
INLINE = 256

REGULAR, DIRECTORY, SYMLINK, CHARDEV, BLOCKDEV, FIFO, SOCKET = range(1, 8)
KIND_NAMES = {REGULAR: "regular", DIRECTORY: "directory", SYMLINK: "symlink",
              CHARDEV: "character device", BLOCKDEV: "block device", FIFO: "fifo",
              SOCKET: "socket"}
HOST_XATTRS = (b"security.selinux", b"security.ima", b"security.evm")


def is_host_xattr(name):
    return name in HOST_XATTRS or name.startswith(b"trusted.overlay.")


def path_key(path):
    """Path order: name by name (tree.md section 4)."""
    return path.split(b"/") if path else []


def printable(path):
    shown = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


# ---- sequences -------------------------------------------------------------------------------


class Sequence:
    """What tree.md section 3 says of one sort of sequence."""

    def __init__(self, label, kind, limit, key, order=None, repeats=False):
        self.label, self.kind, self.limit = label, kind, limit
        self.key = key              # None: a sequence of extents, or a recipe
        self.order = order or (lambda k: k)
        self.repeats = repeats      # an item may have the key of the one before

    def split(self, item):
        if self.key:
            return int.from_bytes(H(b"ociv2 split", self.key(item))[:4], "little")
        return int.from_bytes(item[1][:4], "little") if isinstance(item, list) else None

    def measure(self, item):
        """What the third member of an index item adds up (extents), or is (keys)."""
        if self.key:
            return self.key(item)
        return item[0] if isinstance(item, list) else item

    def join(self, measures):
        return measures[-1] if self.key else sum(measures)


class Recipes(Sequence):
    """Items of recipes (image.md): a path counts as a key would, for the split only."""

    def split(self, item):
        if isinstance(item, list) and isinstance(item[0], bytes):
            return int.from_bytes(H(b"ociv2 split", item[0])[:4], "little")
        return super().split(item)

    def measure(self, item):
        return part_length(item)


ENTRIES = Sequence("entries", TREE, 512, lambda n: n[0])
EXTENTS = Sequence("extents", LIST, 1024, None)
XATTRS = Sequence("xattrs", LIST, 1024, lambda x: x[0])
LINKS = Sequence("hard links", LIST, 1024, lambda l: l[0], path_key)
SIDES = Sequence("side", SIDE, 1024, lambda s: s[0], path_key, repeats=True)
RECIPES = Recipes("recipe", LIST, 1024, None)


def build_table(spec, items):
    """The objects of the table of a sequence as [(id, plain)], the top last."""
    nodes = [(item, 1, spec.measure(item), spec.split(item)) for item in items]
    objects = []
    for level in range(MAX_LEVELS):
        above, run, size = [], [], 0
        for i, (item, count, measure, q) in enumerate(nodes):
            run.append(nodes[i])
            size += len(encode(item))
            cut = len(run) >= 4 and level <= 4 and q is not None and not q >> 6 * level & 63
            if len(run) == MAX_ITEMS or size >= OBJECT_BYTES or cut or i == len(nodes) - 1:
                plain = encode([level, [n[0] for n in run]])
                oid = object_id(spec.kind, plain)
                objects.append((oid, plain))
                total = sum(n[1] for n in run)
                joined = spec.join([n[2] for n in run])
                above.append(([oid, total, joined], total, joined, run[-1][3]))
                run, size = [], 0
        if len(above) == 1:
            return objects
        nodes = above
    raise ValueError("too many levels")


class Reader:
    """Reads trees from a store and verifies everything that the pages say of them."""

    def __init__(self, store):
        self.store = store
        self.contents = {}
        self.notes = []
        self.seen = None    # when set: {(id, kind)} of every chunk met

    def get(self, oid, kind, where):
        if self.seen is not None:
            self.seen.add((oid, kind))
        return self.store.get(oid, kind, where)

    def table(self, spec, oid, where):
        """The items below the top object of a table."""
        plain = self.get(oid, spec.kind, where)
        top = self.table_object(spec, plain, oid, where)
        items, pending = [], [(top, None, where)]
        while pending:
            (level, members), said, here = pending.pop()
            if level == 0:
                items += members
                continue
            for member in members:
                tupleof(ID, uint(least=1), blob() if spec.key else uint())(
                    member, f"{here}: item of level {level}")
            children = []
            for child_id, count, measure in members:
                child = self.table_object(spec, self.get(child_id, spec.kind, here), child_id, here)
                if child[0] != level - 1:
                    raise Refused(here, f"object of level {child[0]} below level {level}")
                children.append((child, (count, measure), here))
            pending += reversed(children)
        return items

    @staticmethod
    def table_object(spec, plain, oid, where):
        where = f"{where}: table object {oid.hex()}"
        value = decode(plain, where)
        tupleof(uint(MAX_LEVELS - 1), listof(anything))(value, where)
        if not 1 <= len(value[1]) <= MAX_ITEMS:
            raise Refused(where, f"has {len(value[1])} items, outside of the limits")
        for item in value[1]:
            if len(encode(item)) > MAX_ITEM:
                raise Refused(where, "encoded item is over the limit of 256 KiB")
        return value

    def sequence(self, spec, value, check, where):
        """The items of a sequence, inline or in a table, with all its rules."""
        where = f"{where}: {spec.label}"
        if isinstance(value, list):
            if not value:
                raise Refused(where, "empty sequence is present")
            if len(encode(value)) > spec.limit:
                raise Refused(where, f"inline array is over {spec.limit} bytes")
            items = value
        else:
            ID(value, where)
            items = self.table(spec, value, where)
        for item in items:
            check(item, where)
        if spec.key:
            keys = [spec.order(spec.key(i)) for i in items]
            for a, b in zip(keys, keys[1:]):
                if b < a or b == a and not spec.repeats:
                    raise Refused(where, "does not ascend strictly")
        if isinstance(value, bytes):
            if len(encode(items)) <= spec.limit:
                raise Refused(where, f"table although the array has at most {spec.limit} bytes")
            if build_table(spec, items)[-1][0] != value:
                raise Refused(where, "table is not split by the rule, or its counts, keys or "
                                     "lengths are wrong")
        return items

    # ---- nodes

    def node(self, node, where, root=False):
        """The checks of one node alone (tree.md section 2)."""
        if not isinstance(node, dict):
            raise Refused(where, "node is not a map")
        uint(SOCKET, 1)(node.get(1), f"{where}: kind")
        if root and node[1] != DIRECTORY:
            raise Refused(where, "root is not a directory")
        (ROOT_NODE if root else NODES[node[1]])(node, where)
        if node[1] == REGULAR:
            size = node.get(10, 0)
            if (11 in node) != (1 <= size <= INLINE):
                raise Refused(where, "contents are inline for sizes of 1 to 256 only")
            if (12 in node) != (size > INLINE):
                raise Refused(where, "extents are for sizes over 256 only")
            if 11 in node and len(node[11]) != size:
                raise Refused(where, "size is not the length of the contents")

    def entries(self, node, where):
        if 13 not in node:
            return []
        return self.sequence(ENTRIES, node[13], self.node, where)

    def xattrs(self, node, where):
        """[(name, value)], tree.md section 4."""
        if 14 not in node:
            return []
        items = self.sequence(XATTRS, node[14], check_xattr, where)
        if len(items) > MAX_XATTRS:
            raise Refused(where, f"{len(items)} xattrs are over the limit of {MAX_XATTRS}")
        result = []
        for item in items:
            value = item[1]
            if len(item) == 3:
                value = self.get(item[2], DATA, f"{where}: xattr {printable(item[0])}")
                if len(value) != item[1]:
                    raise Refused(where, "length of an xattr's value is wrong")
            result.append((item[0], value))
        return result

    def pieces(self, node, where):
        """The contents of a regular file: byte strings, and numbers for zero extents."""
        if node.get(10, 0) <= INLINE:
            return [node[11]] if 11 in node else []
        items = self.sequence(EXTENTS, node[12], check_extent, where)
        if sum(i if type(i) is int else i[0] for i in items) != node[10]:
            raise Refused(where, "extents do not add up to the size")
        for i, item in enumerate(items):
            after = items[i + 1] if i + 1 < len(items) else 0
            if type(item) is int and type(after) is int and after:
                raise Refused(where, "two zero extents touch")
            if type(item) is not int and item[0] < chunker.MIN and type(after) is not int:
                raise Refused(where, "data chunk is smaller than 4,096 bytes and not the last")
        return self.read_pieces(items, where)

    def read_pieces(self, items, where):
        for item in items:
            if type(item) is int:
                yield item
                continue
            data = self.get(item[1], DATA, where)
            if len(data) != item[0]:
                raise Refused(where, "length of a chunk is not that of its extent")
            yield data

    def file(self, node, where):
        """BLAKE2b-256 of the contents, after the check of how they were cut (chunking.md)."""
        memo = encode([node.get(10, 0), node.get(11, b""), node.get(12, [])])
        if memo in self.contents and self.seen is None:
            return self.contents[memo]
        digest = hashlib.blake2b(digest_size=32)
        run, lengths, zeros_before = bytearray(), [], False
        checked = memo in self.contents

        def end_of_run(zeros_after):
            if not run or checked or 12 not in node:
                return
            data = bytes(run)
            if zeros_before and data[0] == 0 or zeros_after and data[-1] == 0:
                raise Refused(where, "zero extent is not a maximal run of zeros")
            if bytes(chunker.ZERO_RUN) in data:
                raise Refused(where, "run of 65,536 zeros is not a zero extent")
            if chunker.cuts(data) != lengths:
                raise Refused(where, "contents are not cut where the chunker cuts")

        for piece in self.pieces(node, where):
            if isinstance(piece, bytes):
                digest.update(piece)
                run += piece
                lengths.append(len(piece))
                continue
            end_of_run(True)
            run, lengths, zeros_before = bytearray(), [], True
            for at in range(0, piece, MAX_ZEROS):
                digest.update(bytes(min(MAX_ZEROS, piece - at)))
        end_of_run(False)
        self.contents[memo] = digest.digest()
        return self.contents[memo]

    def zero_at(self, node, ranges, where):
        """That the contents are zero in the given [(start, end)], ascending."""
        pos, i = 0, 0
        for piece in self.pieces(node, where):
            n = piece if type(piece) is int else len(piece)
            while i < len(ranges) and ranges[i][0] < pos + n:
                a, b = max(ranges[i][0] - pos, 0), min(ranges[i][1] - pos, n)
                if isinstance(piece, bytes) and piece[a:b].strip(b"\0"):
                    raise Refused(where, "hole where the contents are not zero")
                if ranges[i][1] > pos + n:
                    break
                i += 1
            pos += n

    # ---- trees

    def root(self, tree_id, where):
        where = f"{where} tree {tree_id.hex()}"
        record = decode(self.get(tree_id, TREE, where), where)
        if isinstance(record, dict):
            for key, known in ((1, "ociv2-tree-1"), (2, "fastcdc-16k-1"), (3, "host-xattr-1")):
                if record.get(key) != known:
                    raise Refused(where, f"unknown name {record.get(key)!r} in the root record")
        ROOT_RECORD(record, where)
        self.node(record[4], f"{where} root", root=True)
        return record

    def walk(self, record, where):
        """(path, node) of every node, in path order."""
        pending = [(b"", record[4])]
        while pending:
            path, node = pending.pop()
            yield path, node
            if node[1] == DIRECTORY:
                here = f"{where} path {printable(path)!r}"
                below = [(path + b"/" + n[0] if path else n[0], n)
                         for n in self.entries(node, here)]
                for child, _ in below:
                    if len(child) > MAX_PATH:
                        raise Refused(here, "path is over the limit of 65,535 bytes")
                pending += reversed(below)

    def tree(self, tree_id, where):
        """{path: (node, xattrs, digest or None)} in path order, and {path: leader}."""
        record = self.root(tree_id, where)
        nodes = {}
        for path, node in self.walk(record, where):
            here = f"{where} path {printable(path)!r}"
            digest = self.file(node, here) if node[1] == REGULAR else None
            nodes[path] = (node, self.xattrs(node, here), digest)
        return nodes, self.links(record, nodes, where)

    def links(self, record, nodes, where):
        """The hard links of a tree (tree.md section 4)."""
        if 5 not in record:
            return {}
        leaders = dict(self.sequence(LINKS, record[5], tupleof(blob(), blob()), where))
        for path, leader in leaders.items():
            here = f"{where}: hard link {printable(path)!r}"
            if path not in nodes or leader not in nodes:
                raise Refused(here, "path or leader does not exist")
            if nodes[path][0][1] == DIRECTORY:
                raise Refused(here, "is of a directory")
            if leader in leaders or path_key(leader) >= path_key(path):
                raise Refused(here, "leader is not the first member of the group")
            if unnamed(nodes[path][0]) != unnamed(nodes[leader][0]):
                raise Refused(here, "nodes of the members are not equal")
        return leaders

    # ---- snapshots

    def snapshot(self, snap_id, where):
        where = f"{where} snapshot {snap_id.hex()}"
        snapshot = decode(self.get(snap_id, SNAPSHOT, where), where)
        SNAPSHOT_MAP(snapshot, where)
        check_members(snapshot, where)
        return snapshot

    def side(self, snapshot, nodes, where):
        """{path: (holes, xattrs, errno or None)} of the side object (snapshot.md)."""
        result = {}
        if 10 not in snapshot:
            return result
        items = self.sequence(SIDES, snapshot[10], SIDE_ITEM, where)
        for i, item in enumerate(items):
            path = item[0]
            here = f"{where}: side of {printable(path)!r}"
            if len(item) == 1:
                raise Refused(here, "item says nothing")
            again = i > 0 and items[i - 1][0] == path
            if 3 in item:
                if len(item) > 2 or again or path in nodes:
                    raise Refused(here, "error of a path that has other facts")
                if path_key(path) and not parent_is_directory(path, nodes):
                    raise Refused(here, "error of a path outside of the tree")
                check_path(path, here)
                result[path] = ([], [], item[3][0])
                continue
            if path not in nodes:
                raise Refused(here, "path is not in the tree")
            holes, xattrs, _ = result.setdefault(path, ([], [], None))
            if 2 in item and holes:
                raise Refused(here, "xattrs after holes of the same path")
            add_side_xattrs(xattrs, item.get(2, []), here)
            self.add_holes(holes, item.get(1, []), nodes[path][0], here)
        for path, (holes, _, _) in result.items():
            if holes:
                self.zero_at(nodes[path][0], [(o, o + n) for o, n in holes],
                             f"{where} path {printable(path)!r}")
        return result

    @staticmethod
    def add_holes(holes, numbers, node, where):
        if numbers and node[1] != REGULAR:
            raise Refused(where, "holes of something that is not a regular file")
        if len(numbers) % 2 or len(numbers) > 1024:
            raise Refused(where, "holes are not at most 512 pairs")
        for offset, length in zip(numbers[::2], numbers[1::2]):
            if length == 0:
                raise Refused(where, "hole of no length")
            if holes and offset <= sum(holes[-1]):
                raise Refused(where, "holes do not ascend, or touch")
            if offset + length > node.get(10, 0):
                raise Refused(where, "hole is not inside the file")
            holes.append((offset, length))


def unnamed(node):
    return {k: v for k, v in node.items() if k != 0}


def parent_is_directory(path, nodes):
    parent = path.rpartition(b"/")[0]
    return parent in nodes and nodes[parent][0][1] == DIRECTORY


def add_side_xattrs(xattrs, items, where):
    for name, value in items:
        if not is_host_xattr(name):
            raise Refused(where, f"xattr {printable(name)!r} is not one of the host")
        if xattrs and name <= xattrs[-1][0]:
            raise Refused(where, "xattrs do not ascend strictly")
        xattrs.append((name, value))


# ---- shapes ----------------------------------------------------------------------------------


def check_name(v, where):
    blob()(v, where)
    if not 1 <= len(v) <= 255 or b"/" in v or b"\0" in v or v in (b".", b".."):
        raise Refused(where, f"{printable(v)!r} is outside of the limits of a name")


def check_path(v, where):
    blob(most=MAX_PATH)(v, where)
    for name in path_key(v):
        check_name(name, where)


def check_target(v, where):
    blob(least=1, most=4095)(v, where)
    if b"\0" in v:
        raise Refused(where, "link target has a NUL")


def check_xattr_name(v, where):
    blob(least=1, most=255)(v, where)
    if b"\0" in v:
        raise Refused(where, "name of an xattr has a NUL")


def check_xattr(item, where):
    if not isinstance(item, list) or len(item) not in (2, 3):
        raise Refused(where, "item is not an array of 2 or 3")
    check_xattr_name(item[0], where)
    if is_host_xattr(item[0]):
        raise Refused(where, f"xattr {printable(item[0])!r} of the host is in the tree")
    if len(item) == 2:
        blob(most=INLINE)(item[1], f"{where}: inline value")
    else:
        uint(MAX_VALUE, INLINE + 1)(item[1], f"{where}: length of a value")
        ID(item[2], where)


def check_extent(item, where):
    if isinstance(item, list):
        tupleof(uint(chunker.MAX, 1), ID)(item, f"{where}: data chunk")
    else:
        uint(MAX_SIZE, chunker.ZERO_RUN)(item, f"{where}: zero extent")


OWNER = uint((1 << 32) - 2)
DEVICE = uint((1 << 32) - 1)
COMMON = {
    1: ("kind", uint(SOCKET, 1), True), 3: ("uid", OWNER, False), 4: ("gid", OWNER, False),
    5: ("mtime", signed_seconds, False), 6: ("mtime nanoseconds", nanoseconds, False),
    14: ("xattrs", anything, False),
}
MODE = {2: ("mode", uint(0o7777), False)}
NAME = {0: ("name", check_name, True)}
OF_KIND = {
    REGULAR: MODE | {10: ("size", uint(MAX_SIZE), False), 11: ("contents", blob(), False),
                     12: ("extents", anything, False)},
    DIRECTORY: MODE | {13: ("entries", anything, False)},
    SYMLINK: {9: ("target", check_target, True)},
    CHARDEV: MODE | {7: ("major", DEVICE, False), 8: ("minor", DEVICE, False)},
    BLOCKDEV: MODE | {7: ("major", DEVICE, False), 8: ("minor", DEVICE, False)},
    FIFO: MODE, SOCKET: MODE,
}
NODES = {kind: mapof(COMMON | NAME | members) for kind, members in OF_KIND.items()}
ROOT_NODE = mapof(COMMON | OF_KIND[DIRECTORY])
ROOT_RECORD = mapof({
    1: ("tree", text(), True), 2: ("chunking", text(), True), 3: ("host xattrs", text(), True),
    4: ("node", anything, True), 5: ("hard links", anything, False),
})
STATISTICS = mapof({k: ("statistic", uint(), False) for k in range(1, 10)}, is_open=True)
SNAPSHOT_MAP = mapof({
    1: ("tree id", ID, True), 2: ("name", REFERENCE, False), 3: ("time", signed_seconds, False),
    4: ("nanoseconds", nanoseconds, False), 5: ("host", text(), False),
    6: ("user", text(), False), 7: ("program", text(), False),
    8: ("source", blob(most=4096), False), 9: ("labels", labels, False),
    10: ("side", anything, False), 11: ("statistics", STATISTICS, True),
    12: ("parent", ID, False), 13: ("excludes", listof(text()), False),
} | IMAGE_MEMBERS, is_open=True)
SIDE_ITEM = mapof({
    0: ("path", check_path, True), 1: ("holes", listof(uint(MAX_SIZE)), False),
    2: ("xattrs", listof(tupleof(check_xattr_name, blob(most=MAX_VALUE)), 64), False),
    3: ("error", tupleof(uint()), False),
})

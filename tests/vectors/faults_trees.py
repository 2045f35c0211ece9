"""Faults of trees, contents, hard links, snapshots and side objects."""

from faults import CONTENTS, edit, grow, register
from fmt import tree
from fmt.crypto import DATA, LIST, TREE
from fmt.strict import decode, encode
from writer import EPOCH_START, Random

CASES, ACCEPTED = [], []
case, accept = register(CASES), register(ACCEPTED)


def bad_root(name, word, hooks):
    case(f"root-{name}", "read", "", word, lambda t: grow(t, hooks=hooks))


def children(name, word, make, stage="read", **more):
    """A root whose children are made by make(builder)."""
    case(name, stage, "", word, lambda t: grow(t, make, **more))


def node(name, word, change, base=None, stage="read"):
    """One node, changed after it was made well."""
    base = base or (lambda b: b.file(b"file", b"small"))
    children(f"node-{name}", word, lambda b: [change(base(b))], stage)


def device(b):
    return b.other(4, b"device", k7=1, k8=2)


def symlink(b):
    return b.other(3, b"link", k9=b"target")


# ---- the root record -------------------------------------------------------------------------


bad_root("tree-name", "unknown name", {"root": edit(k1="ociv2-tree-2")})
bad_root("chunking-name", "unknown name", {"root": edit(k2="fastcdc-16k-2")})
bad_root("xattr-name", "unknown name", {"root": edit(k3="host-xattr-2")})
bad_root("name-missing", "unknown name", {"root": edit(k3=None)})
bad_root("name-of-bytes", "unknown name", {"root": edit(k1=b"ociv2-tree-1")})
bad_root("node-missing", "node is missing", {"root": edit(k4=None)})
bad_root("unknown-key", "unknown key 6", {"root": edit(k6=1)})
bad_root("key-of-64", "unknown key 64", {"root": edit(k64=1)})
bad_root("with-name", "unknown key 0", {"root": lambda m: m | {4: m[4] | {0: b"root"}}})
bad_root("file", "not a directory",
         {"root": lambda m: m | {4: {1: 1, 10: 1, 11: b"x"}}})
bad_root("bytes-after", "after the value", {"root plain": lambda d: d + b"\0"})
bad_root("long-form", "shortest", {"root plain": lambda d: b"\xde\0" + bytes([d[0] & 15]) + d[1:]})
bad_root("not-a-map", "not a map", {"root plain": lambda d: encode([1])})
bad_root("padded", "after the value", {"root plain": lambda d: d + bytes(8)})


# ---- nodes -----------------------------------------------------------------------------------


for _name, _bytes in (("slash", b"a/b"), ("dot", b"."), ("dot-dot", b".."), ("empty", b""),
                      ("nul", b"a\0b"), ("long", b"n" * 256), ("only-slash", b"/")):
    node(f"name-{_name}", "limits of a name", edit(k0=_bytes))
node("name-of-text", "not a byte string", edit(k0="file"))
node("name-missing", "", edit(k0=None))
node("unknown-key", "unknown key 15", edit(k15=1))
node("key-of-64", "unknown key 64", edit(k64=1))
node("kind-0", "limits", edit(k1=0))
node("kind-8", "limits", edit(k1=8))
node("kind-missing", "kind", edit(k1=None))
node("mode-limit", "limits", edit(k2=0o10000))
node("mode-0", "present though", edit(k2=0))
node("mode-negative", "unsigned", edit(k2=-1))
node("mode-of-symlink", "unknown key 2", edit(k2=0o777), symlink)
node("uid-limit", "limits", edit(k3=(1 << 32) - 1))
node("uid-0", "present though", edit(k3=0))
node("gid-limit", "limits", edit(k4=(1 << 32) - 1))
node("time-limit", "limits", edit(k5=(1 << 62) + 1))
node("time-limit-low", "limits", edit(k5=-(1 << 62) - 1))
node("time-0", "present though", edit(k5=0))
node("nanoseconds", "limits", edit(k6=1_000_000_000))
node("nanoseconds-0", "present though", edit(k6=0))
node("device-of-file", "unknown key 7", edit(k7=1))
node("device-limit-major", "limits", edit(k7=1 << 32), device)
node("device-limit-minor", "limits", edit(k8=1 << 32), device)
node("device-with-size", "unknown key 10", edit(k10=1), device)
node("target-missing", "target is missing", edit(k9=None), symlink)
node("target-empty", "bytes", edit(k9=b""), symlink)
node("target-nul", "NUL", edit(k9=b"a\0b"), symlink)
node("target-long", "limits", edit(k9=b"t" * 4096), symlink)
node("target-of-file", "unknown key 9", edit(k9=b"x"))
node("size-of-directory", "unknown key 10", edit(k10=1), lambda b: b.directory(b"file", []))
node("contents-of-fifo", "unknown key 11", edit(k11=b"x"), lambda b: b.other(6, b"fifo"))
node("entries-of-file", "unknown key 13", edit(k13=[{0: b"x", 1: 6}]))
node("size-limit", "limits", edit(k10=1 << 63))
node("size-0-with-contents", "inline for sizes", edit(k10=None))
node("size-0", "present though", edit(k10=0, k11=None))
node("size-wrong", "length of the contents", edit(k10=6))
node("contents-missing", "inline for sizes", edit(k11=None))
node("contents-empty", "present though", edit(k11=b""))
node("contents-and-extents", "over 256", edit(k12=[[5, bytes(32)]]))
node("contents-of-257", "inline for sizes", edit(k10=257, k11=b"x" * 257))
children("node-extents-of-256", "inline for sizes",
         lambda b: [edit(k11=None, k12=[[256, b.add(DATA, b"y" * 256)]])(
             b.file(b"file", b"y" * 256))])
node("extents-missing", "over 256", edit(k10=257, k11=None))
node("entries-empty", "present though", edit(k13=[]), lambda b: b.directory(b"dir", []))
node("xattrs-empty", "present though", edit(k14=[]))
node("not-a-map", "not a map", lambda n: [n])


# ---- entries and tables ----------------------------------------------------------------------


def crowd(b, n=200):
    return [b.file(b"f%04d" % i, b"%d" % i) for i in range(1, n + 1)]


def levels(spec, items):
    """The right groups of items of level 0."""
    return [decode(plain, "")[1] for _, plain in tree.build_table(spec, items)
            if decode(plain, "")[0] == 0]


def index_item(b, spec, level, items, below):
    """Adds one object of a table, and returns its item of the next level."""
    oid = b.add(spec.kind, encode([level, items]))
    return [oid, below, spec.join([spec.measure(i) for i in items])]


def table_of(b, spec, groups, change=lambda top: top, level=1):
    """The top of a table of two levels, made of the given groups."""
    tops = [index_item(b, spec, 0, g, len(g)) for g in groups]
    return b.add(spec.kind, encode([level, change(tops)]))


def entries_table(name, word, regroup=lambda g: g, change=lambda top: top, level=1, n=200):
    """A directory whose table is put together otherwise."""
    def make(b):
        groups = levels(tree.ENTRIES, crowd(b, n))
        return [b.directory(b"dir", []) | {
            13: table_of(b, tree.ENTRIES, regroup(groups), change, level)}]
    children(f"table-{name}", word, make)


def item(which, index, value):
    """A hook that changes a member of an item of the top."""
    def change(top):
        top = [list(i) for i in top]
        top[which][index] = value(top[which][index])
        return top
    return change


children("entries-unsorted", "ascend", lambda b: [
    b.directory(b"dir", []) | {13: [{0: b"b", 1: 6}, {0: b"a", 1: 6}]}])
children("entries-twice", "ascend", lambda b: [
    b.directory(b"dir", []) | {13: [{0: b"a", 1: 6}, {0: b"a", 1: 7}]}])
children("entries-prefix-later", "ascend", lambda b: [
    b.directory(b"dir", []) | {13: [{0: b"ab", 1: 6}, {0: b"a", 1: 6}]}])
children("entries-inline-too-large", "over 512", lambda b: [
    b.directory(b"dir", []) | {13: crowd(b, 60)}])
children("entries-table-too-small", "at most 512", lambda b: [
    b.directory(b"dir", []) | {13: b.add(TREE, encode([0, crowd(b, 2)]))}])
children("entries-not-a-sequence", "not a byte string", lambda b: [
    b.directory(b"dir", []) | {13: "text"}])
children("entries-short-id", "31 bytes", lambda b: [b.directory(b"dir", []) | {13: bytes(31)}])
children("entries-missing-object", "no live pack", lambda b: [
    b.directory(b"dir", []) | {13: bytes(32)}])
children("entries-of-other-kind", "no live pack", lambda b: [
    b.directory(b"dir", []) | {13: b.add(LIST, encode([0, crowd(b, 60)]))}])
accept("table", "check", "", "", lambda t: grow(t, lambda b: [b.directory(b"dir", crowd(b))]))
entries_table("split-late", "split by the rule", lambda g: [g[0] + g[1]] + g[2:])
entries_table("split-early", "split by the rule", lambda g: [g[0][:-1], g[0][-1:]] + g[1:])
entries_table("split-moved", "split by the rule",
              lambda g: [g[0] + g[1][:1], g[1][1:]] + g[2:])
entries_table("not-split", "split by the rule", lambda g: [sum(g, [])])
entries_table("257-items", "limits", lambda g: [sum(g, [])], n=257)
entries_table("count", "split by the rule", change=item(0, 1, lambda n: n + 1))
entries_table("count-0", "limits", change=item(0, 1, lambda n: 0))
entries_table("last-key", "split by the rule", change=item(0, 2, lambda k: k + b"x"))
entries_table("children-exchanged", "ascend", change=lambda top: [top[1], top[0]] + top[2:])
entries_table("level", "below level 2", level=2)
entries_table("level-limit", "limits", level=16)
entries_table("level-0-of-index", "not a map", level=0)
entries_table("item-shape", "array of 3", change=lambda top: [top[0] + [1]] + top[1:])
entries_table("key-of-text", "not a byte string", change=item(0, 2, lambda k: k.decode()))
entries_table("child-missing", "no live pack", change=item(1, 0, lambda i: bytes(32)))


def raw_table(name, word, value):
    """A directory whose table's only object is made otherwise."""
    children(f"table-{name}", word, lambda b: [
        b.directory(b"dir", []) | {13: b.add(TREE, value(levels(tree.ENTRIES, crowd(b, 40))))}])


raw_table("empty", "limits", lambda g: encode([0, []]))
raw_table("shape", "array of 2", lambda g: encode([0, g[0], 1]))
raw_table("bytes-after", "after the value", lambda g: encode([0, g[0]]) + b"\0")


def needless_level(b):
    """A table with an index above a single object."""
    groups = levels(tree.ENTRIES, crowd(b, 200))[:1]
    small = crowd(b, 200)[:len(groups[0])]
    top = index_item(b, tree.ENTRIES, 0, small, len(small))
    return [b.directory(b"dir", []) | {13: b.add(TREE, encode([1, [top]]))}]


def large_item(b):
    """An item over 256 KiB: a node with an inline list that is too long."""
    big = {0: b"a", 1: 1, 14: [[b"user.x", bytes(256 << 10)]]}
    return [b.directory(b"dir", []) | {13: b.add(TREE, encode([0, [big]]))}]


def nested(b):
    """Directories inside of each other beyond the nesting of MessagePack."""
    inner = {0: b"x", 1: 2}
    for _ in range(70):
        inner = {0: b"x", 1: 2, 13: [inner]}
    return [inner]


def long_path(b):
    """A path of more than 65,535 bytes."""
    inner = b.file(b"bottom", b"1")
    for _ in range(260):
        inner = b.directory(b"n" * 255, [inner])
    return [inner]


children("table-needless-level", "split by the rule", needless_level)
children("table-item-limit", "256 KiB", large_item)
children("nesting", "nested deeper", nested)
children("path-limit", "65,535", long_path)


# ---- extents and contents --------------------------------------------------------------------


def noise(n, label="noise"):
    return Random(label).bytes(n).replace(b"\0", b"\1")


def extents(name, word, size, make, stage="read"):
    """A file of the given size with a list of extents of its own."""
    def node_of(b):
        b.files += 1
        b.bytes += size
        return [b.node(1, b"file", 0o644, k10=size) | {12: make(b)}]
    children(f"extents-{name}", word, node_of, stage)


def data(b, plain, length=None):
    return [len(plain) if length is None else length, b.add(DATA, plain)]


extents("sum-less", "add up", 701, lambda b: [data(b, b"x" * 700)])
extents("sum-more", "add up", 699, lambda b: [data(b, b"x" * 700)])
extents("chunk-length", "not that of its extent", 701, lambda b: [data(b, b"x" * 700, 701)])
extents("chunk-of-none", "limits", 700, lambda b: [data(b, b"x" * 700), [0, bytes(32)]])
extents("chunk-too-large", "limits", 65537, lambda b: [data(b, noise(65537))])
extents("chunk-too-small", "smaller than 4,096", 5000,
        lambda b: [data(b, noise(4000)), data(b, noise(1000, "rest"))])
extents("chunk-missing", "no live pack", 700, lambda b: [[700, bytes(32)]])
extents("chunk-of-other-kind", "no live pack", 700,
        lambda b: [[700, b.add(LIST, b"x" * 700)]])
extents("zeros-too-short", "limits", 65535, lambda b: [65535])
extents("zeros-touch", "touch", 140000, lambda b: [70000, 70000])
extents("zeros-limit", "limits", 70000, lambda b: [1 << 63])
extents("empty", "present though", 700, lambda b: [])
extents("shape", "array of 2", 700, lambda b: [data(b, b"x" * 700) + [1]])
extents("of-text", "", 700, lambda b: ["text"])
extents("zeros-as-data", "not a zero extent", 65536, lambda b: [data(b, bytes(65536))], "check")
extents("zeros-not-maximal-before", "maximal", 70700,
        lambda b: [data(b, b"x" * 699 + b"\0"), 70000], "check")
extents("zeros-not-maximal-after", "maximal", 70700,
        lambda b: [70000, data(b, b"\0" + b"x" * 699)], "check")
extents("cut-early", "chunker", 10000, lambda b: [
    data(b, noise(10000)[:5000]), data(b, noise(10000)[5000:])], "check")
extents("cut-late", "chunker", 65536, lambda b: [data(b, noise(65536))], "check")


ISLANDS = 120


def islands(b):
    """Extents that need a table of two levels."""
    out = []
    for i in range(ISLANDS):
        out += [data(b, b"island %d" % i), 65536]
    return out


def extents_table(name, word, make):
    size = sum(len(b"island %d" % i) + 65536 for i in range(ISLANDS))
    extents(name, word, size, make)


def regrouped(b, regroup=lambda g: g, change=lambda top: top):
    return table_of(b, tree.EXTENTS, regroup(levels(tree.EXTENTS, islands(b))), change)


extents_table("inline-too-large", "over 1024", islands)
extents("table-too-small", "at most 1024", 700,
        lambda b: b.add(LIST, encode([0, [data(b, b"x" * 700)]])))
extents_table("split-late", "split by the rule", lambda b: regrouped(
    b, lambda g: [g[0] + g[1]] + g[2:]))
extents_table("split-early", "split by the rule", lambda b: regrouped(
    b, lambda g: [g[0][:4], g[0][4:]] + g[1:]))
extents_table("table-length", "split by the rule", lambda b: regrouped(
    b, lambda g: [g[0][:4], g[0][4:]] + g[1:], item(0, 2, lambda n: n + 1)))
extents_table("table-key-for-length", "unsigned", lambda b: regrouped(
    b, lambda g: [g[0][:4], g[0][4:]] + g[1:], item(0, 2, lambda n: b"key")))


# ---- xattrs ----------------------------------------------------------------------------------


def xattrs(name, word, make):
    children(f"xattrs-{name}", word,
             lambda b: [b.file(b"file", b"small") | {14: make(b)}])


xattrs("unsorted", "ascend", lambda b: [[b"user.b", b""], [b"user.a", b""]])
xattrs("twice", "ascend", lambda b: [[b"user.a", b"1"], [b"user.a", b"2"]])
xattrs("name-empty", "limits", lambda b: [[b"", b"1"]])
xattrs("name-long", "limits", lambda b: [[b"n" * 256, b"1"]])
xattrs("name-nul", "NUL", lambda b: [[b"user.\0", b"1"]])
xattrs("name-of-text", "not a byte string", lambda b: [["user.a", b"1"]])
xattrs("inline-257", "limits", lambda b: [[b"user.a", b"v" * 257]])
xattrs("out-of-line-256", "limits", lambda b: [[b"user.a", 256, b.add(DATA, b"v" * 256)]])
xattrs("length", "length of an xattr", lambda b: [[b"user.a", 301, b.add(DATA, b"v" * 300)]])
xattrs("value-limit", "limits", lambda b: [[b"user.a", 65537, b.add(DATA, noise(65537))]])
xattrs("value-missing", "no live pack", lambda b: [[b"user.a", 300, bytes(32)]])
xattrs("shape", "array of 2 or 3", lambda b: [[b"user.a"]])
for _name in (b"security.selinux", b"security.ima", b"security.evm", b"trusted.overlay.opaque",
              b"trusted.overlay."):
    xattrs("host-" + _name.decode().strip(".").replace(".", "-"), "of the host",
           lambda b, n=_name: [[n, b"1"]])
xattrs("inline-too-large", "over 1024",
       lambda b: [[b"user.%03d" % i, b"v" * 20] for i in range(40)])
xattrs("table-too-small", "at most 1024",
       lambda b: b.add(LIST, encode([0, [[b"user.a", b"1"]]])))
accept("xattr-almost-of-host", "check", "", "", lambda t: grow(t, lambda b: [
    b.file(b"file", b"1", xattrs=[(b"trusted.overlay", b"1"), (b"security.selinux2", b"")])]))


# ---- hard links ------------------------------------------------------------------------------


def linked(b):
    """x is linked as y and z; "other" differs, "dir" is a directory with a file."""
    return [b.file(b"x", b"1"), b.file(b"y", b"1", link=True), b.file(b"z", b"1", link=True),
            b.file(b"other", b"2"), b.directory(b"dir", [b.file(b"f", b"1")])]


def links(name, word, items, stage="read"):
    """Hard links whose items are given as they are stored."""
    def make(t):
        def member(record):
            return record | {5: items(t) if callable(items) else items}
        grow(t, linked, hooks={"root": member})
    case(f"links-{name}", stage, "", word, make)


accept("links", "check", "", "", lambda t: grow(t, linked, links={b"y": b"x", b"z": b"x"}))
links("unsorted", "ascend", [[b"z", b"x"], [b"y", b"x"]])
links("twice", "ascend", [[b"y", b"x"], [b"y", b"x"]])
links("empty", "present though", [])
links("path-missing", "does not exist", [[b"nowhere", b"x"]])
links("leader-missing", "does not exist", [[b"y", b"nowhere"]])
links("to-directory", "", [[b"y", b"dir"]])
links("of-directory", "directory", [[b"dir", b"dir"]])
links("nodes-differ", "not equal", [[b"y", b"other"]], "check")
links("to-itself", "first member", [[b"y", b"y"]])
links("leader-later", "first member", [[b"x", b"y"]])
links("chain", "first member", [[b"y", b"x"], [b"z", b"y"]], "check")
links("shape", "array of 2", [[b"y", b"x", b"z"]])
links("absolute", "does not exist", [[b"/y", b"x"]])
links("dot-dot", "does not exist", [[b"dir/../y", b"x"]])
links("of-text", "not a byte string", [["y", "x"]])
children("links-order", "ascend", lambda b: [
    b.file(b"0", b"1"), b.file(b"a-b", b"1", link=True),
    b.directory(b"a", [b.file(b"x", b"1", link=True)])],
    hooks={"root": edit(k5=[[b"a-b", b"0"], [b"a/x", b"0"]])})


# ---- snapshots -------------------------------------------------------------------------------


def snapshot(name, word, change, stage="read", hook="snapshot"):
    case(f"snapshot-{name}", stage, "", word, lambda t: grow(t, hooks={hook: change}))


snapshot("tree-missing", "tree id is missing", edit(k1=None))
snapshot("tree-short", "31 bytes", edit(k1=bytes(31)))
snapshot("tree-other", "tree id", edit(k1=bytes(32)))
snapshot("statistics-missing", "statistics is missing", edit(k11=None))
snapshot("statistics-unknown-key", "unknown key 10", edit(k11={10: 1}))
snapshot("unknown-key", "unknown key 14", edit(k14=1))
snapshot("kept-key", "unknown key 27", edit(k27={1: 1}))
snapshot("name-empty", "present though", edit(k2=""))
snapshot("name-long", "400", edit(k2="n" * 401))
snapshot("name-other", "name in the record", edit(k2="other:1"), "check")
snapshot("time-other", "time in the record", edit(k3=EPOCH_START + 1), "check")
snapshot("time-limit", "limits", edit(k3=(1 << 62) + 1))
snapshot("nanoseconds", "limits", edit(k4=1_000_000_000))
snapshot("host-other", "host in the record", edit(k5="other"), "check")
snapshot("host-long", "4096", edit(k5="h" * 4097))
snapshot("labels-other", "labels in the record", edit(k9=[["a", "b"]]), "check")
snapshot("labels-unsorted", "ascend", edit(k9=[["b", ""], ["a", ""]]))
snapshot("labels-too-many", "256", edit(k9=[["%04d" % i, ""] for i in range(257)]))
snapshot("parent-short", "31 bytes", edit(k12=bytes(31)))
snapshot("excludes-of-bytes", "not text", edit(k13=[b"x"]))
snapshot("bytes-after", "after the value", lambda d: d + b"\0", hook="snapshot plain")
snapshot("size", "bytes in the record", lambda m: m | {11: m[11] | {4: 5}}, "check")
snapshot("files", "files in the record", lambda m: m | {11: m[11] | {1: 5}}, "check")
snapshot("record-tree", "", edit(k2=bytes(32)), "check", "record")
snapshot("record-size", "size in the record", edit(k8=5), "check", "record")
snapshot("record-files", "files in the record", edit(k9=5), "check", "record")
snapshot("record-errors", "errors in the record", edit(k12=5), "check", "record")
accept("record-packs-missing", "check", "", "", lambda t: grow(t, hooks={"record": edit(k11=None)}))
accept("snapshot-with-later-members", "check", "", "", lambda t: grow(t, hooks={
    "snapshot": edit(k64={0: b"", 1: []}, k11={1: 1, 2: 1, 4: len(CONTENTS), 64: [0]}),
    "record": edit(k64=0)}))


def record_of_nothing(t):
    """A record whose snapshot is stored nowhere."""
    state = t.golden.state
    record = dict(sorted(state.snapshots.items())[0][1]) | {1: b"n" * 32}
    t.w.entry(inner={6: [record], 8: [["bad:1", b"n" * 32]]})
    t.w.head()


case("snapshot-missing", "read", "", "no live pack", record_of_nothing)


# ---- the side object -------------------------------------------------------------------------


HOLED = b"x" * 100 + bytes(100) + b"y" * 700


def side_children(b):
    return [b.file(b"file", HOLED), b.file(b"zeros", bytes(2000)), b.directory(b"dir", [])]


def side(name, word, items, stage="read"):
    """Side items as they are stored."""
    case(f"side-{name}", stage, "", word,
         lambda t: grow(t, side_children, hooks={"snapshot": edit(k10=items)}))


def selinux(value=b"label"):
    return [[b"security.selinux", value]]


accept("side", "check", "", "", lambda t: grow(t, side_children, side=[
    {0: b"file", 1: [100, 100]}, {0: b"dir", 2: selinux()}, {0: b"dir/lost", 3: [5]}]))
accept("side-continued", "check", "", "", lambda t: grow(t, side_children, side=[
    {0: b"file", 2: [[b"security.ima", b"1"]]}, {0: b"file", 1: [100, 20], 2: selinux()},
    {0: b"file", 1: [121, 5]}, {0: b"file", 1: [150, 50]}]))
side("empty", "present though", [])
side("unsorted", "ascend", [{0: b"file", 1: [100, 100]}, {0: b"dir", 2: selinux()}])
side("xattrs-continue-twice", "ascend", [{0: b"dir", 2: selinux()}, {0: b"dir", 2: selinux()}],
     "check")
side("nothing", "says nothing", [{0: b"dir"}])
side("unknown-key", "unknown key 4", [{0: b"dir", 4: 1}])
side("path-missing", "path is missing", [{2: selinux()}])
side("path-unknown", "not in the tree", [{0: b"nowhere", 2: selinux()}], "check")
side("path-absolute", "name", [{0: b"/dir", 2: selinux()}])
side("path-dot-dot", "name", [{0: b"dir/..", 2: selinux()}])
side("holes-empty", "present though", [{0: b"file", 1: []}])
side("holes-odd", "pairs", [{0: b"file", 1: [100, 50, 160]}])
side("holes-of-none", "no length", [{0: b"file", 1: [100, 0]}])
side("holes-touch", "touch", [{0: b"file", 1: [100, 50, 150, 50]}])
side("holes-overlap", "touch", [{0: b"file", 1: [100, 50, 140, 50]}])
side("holes-unsorted", "ascend", [{0: b"file", 1: [160, 20, 100, 20]}])
side("holes-beyond", "inside", [{0: b"zeros", 1: [1990, 11]}], "check")
side("holes-far-beyond", "", [{0: b"zeros", 1: [(1 << 64) - 1, 10]}])
side("holes-of-directory", "regular", [{0: b"dir", 1: [0, 10]}], "check")
side("holes-not-zero", "not zero", [{0: b"file", 1: [90, 20]}], "check")
side("holes-continue-touching", "touch", [{0: b"zeros", 1: [0, 100]}, {0: b"zeros", 1: [100, 9]}], "check")
side("xattrs-after-holes", "after holes",
     [{0: b"zeros", 1: [0, 100]}, {0: b"zeros", 1: [200, 9], 2: selinux()}], "check")
side("error-twice", "other facts", [{0: b"lost", 3: [13]}, {0: b"lost", 3: [13]}], "check")
side("xattrs-empty", "present though", [{0: b"dir", 2: []}])
side("xattrs-unsorted", "ascend", [{0: b"dir", 2: selinux() + [[b"security.ima", b""]]}])
side("xattrs-twice", "ascend", [{0: b"dir", 2: selinux() * 2}])
side("xattr-not-of-host", "not one of the host", [{0: b"dir", 2: [[b"user.a", b""]]}])
side("error-of-existing", "other facts", [{0: b"dir", 3: [13]}], "check")
side("error-with-xattrs", "other facts", [{0: b"lost", 2: selinux(), 3: [13]}])
side("error-shape", "array of 1", [{0: b"lost", 3: [13, 1]}])
side("error-below-file", "outside of the tree", [{0: b"file/lost", 3: [13]}], "check")
side("inline-too-large", "over 1024", [{0: b"dir", 2: selinux(b"v" * 1100)}])


def side_table(name, word, items):
    """Side items that lie in an object."""
    def prepare(b):
        return tree.build_table(tree.SIDES, items)

    def make(t):
        top = prepare(None)[-1][0]
        grow(t, side_children, hooks={"snapshot": edit(k10=top)},
             prepare=lambda b: [b.objects.setdefault(i, (4, p)) for i, p in prepare(b)])
    case(f"side-{name}", "read", "", word, make)


side_table("xattrs-65", "64", [{0: b"dir", 2: [
    [b"trusted.overlay.%03d" % i, b"v" * 20] for i in range(65)]}])
side_table("xattr-value-limit", "limits", [{0: b"dir", 2: selinux(b"v" * 65537)}])
side_table("holes-513", "512 pairs", [{0: b"zeros", 1: [
    n for i in range(513) for n in (i * 3, 2)]}])
side_table("table-too-small", "at most 1024", [{0: b"dir", 2: selinux()}])

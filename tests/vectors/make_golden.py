#!/usr/bin/python3
"""Makes the golden repository, its key files, its listing and the vectors of chunking.

make_golden.py [FOLDER]: writes golden-v1/, golden-v1.key, golden-v1.recovery, golden-v1.jsonl and
chunking.json there (by default beside this file). Every byte follows from the label below and the
zstd library, whose version is kept in golden-v1.zstd.
"""

import json
import os
import shutil
import sys

from writer import (DATA_PACK, EPOCH_START, HERE, META_PACK, Builder, Random, Writer, delta,
                    key_file_text, make_keyring, recovery_text, whole)

from fmt import chunker, tree
from fmt.check import Repository, check
from fmt.crypto import DATA, TREE, H, object_id
from fmt.strict import decode, le32

import zstandard

LABEL = "ociv2 golden repository 1"
PASSWORD = b"golden"
TAGS = ("golden:1", "golden:2", "kept:1")


# ---- contents --------------------------------------------------------------------------------


def prose(random, length):
    """Text that compresses, and that the chunker finds cuts in."""
    words = [random.bytes(5).hex() for _ in range(200)]
    out, have = [], 0
    while have < length:
        out.append(words[random.number(200)] + f" {have}\n")
        have += len(out[-1])
    return "".join(out).encode()[:length]


def code(random, length):
    """Bytes like x86 code: many calls with near targets, forwards and backwards."""
    out = bytearray()
    while len(out) < length:
        out += bytes([0x48, 0x89, 0xC7, random.number(8)])
        here = len(out)
        target = random.number(16) * 4096
        offset = target - here & 0xFFFFFFFF
        out += bytes([0xE8 if random.number(2) else 0xE9]) + le32(offset)
        if random.number(5) == 0:
            out += b"\xe8\xe9\xe8\xff\x00\x00\xe9\xff\xe8\xff"
    return bytes(out[:length])


def wanted(make, good, start=0):
    """The first of make(0), make(1), … that is good."""
    n = start
    while not good(make(n)):
        n += 1
    return make(n)


def split_of(name):
    return int.from_bytes(H(b"ociv2 split", name)[:4], "little")


def crowd():
    """Names for a directory whose table has three levels."""
    names = [b"entry-%04d" % i for i in range(330)]
    ends = wanted(lambda n: b"entry-0150-%d" % n, lambda n: split_of(n) & 0xFFF == 0)
    early = wanted(lambda n: b"entry-0299-%d" % n, lambda n: split_of(n) & 0x3F == 0)
    more = [wanted(lambda n, i=i: b"entry-00%d-%d" % (i, n), lambda n: split_of(n) & 0x3F == 0)
            for i in (10, 20, 30, 40, 50)]
    return sorted(names + [ends, early] + more)


def islands():
    """Small pieces of data between runs of zeros: a list of extents of three levels."""
    parts = []
    for i in range(300):
        piece = b"island %d" % i
        if i in (60, 120):
            piece = wanted(lambda n, i=i: b"island %d.%d" % (i, n),
                           lambda p: int.from_bytes(object_id(DATA, p)[:4], "little") & 0xFFF == 0)
        elif i % 10 == 0 and i < 60:
            piece = wanted(lambda n, i=i: b"island %d.%d" % (i, n),
                           lambda p: int.from_bytes(object_id(DATA, p)[:4], "little") & 0x3F == 0)
        parts.append(piece + bytes(65536 + i % 3))
    return b"".join(parts) + b"the end"


def first_tree(b, random):
    """The root's children, the hard links and the side items of the first snapshot."""
    links = {}
    text = prose(random, 300_000)
    program = code(random, 40_000)
    noise = random.bytes(50_000)
    data = b.directory(b"data", [
        b.file(b"empty", b""), b.file(b"one", b"1"), b.file(b"inline-256", b"i" * 256),
        b.file(b"out-257", b"o" * 257), b.file(b"text", text), b.file(b"noise", noise),
        b.file(b"islands", islands()), b.file(b"holes", bytes(600 * 8192), ns=1),
        b.file(b"written-zeros", bytes(70_000)),
        b.file(b"zeros-65535", b"a" * 300 + bytes(65_535) + b"b" * 300),
        b.file(b"edges", b"head" + bytes(200_000) + b"middle" * 2000 + bytes(65_536)),
        b.file(b"small-hole", bytes(200)),
    ])
    sides = [
        {0: b"data/holes", 1: [n for i in range(512) for n in (i * 8192, 4096)]},
        {0: b"data/holes", 1: [n for i in range(512, 600) for n in (i * 8192, 4096)]},
        {0: b"data/edges", 1: [4, 4096, 8192, 100_000]},
        {0: b"data/small-hole", 1: [0, 100]},
        {0: b"", 2: [[b"security.selinux", b"system_u:object_r:root_t:s0\0"]]},
        {0: b"data", 2: [[b"security.ima", b"\x01" * 20], [b"trusted.overlay.opaque", b"y"]]},
        {0: b"data/text", 2: [[b"security.evm", b""], [b"trusted.overlay.", b"x" * 300]]},
        {0: b"data/unreadable", 3: [13]}, {0: b"xattrs/unknown", 3: [0]},
    ]
    group = dict(mode=0o4755, uid=1000, gid=1001, mtime=EPOCH_START - 5)
    bin_ = b.directory(b"bin", [b.file(b"tool", program, **group),
                                b.file(b"tool-again", program, link=True, **group)])
    links[b"bin/tool-again"] = b"bin/tool"
    many = b.directory(b"many", [
        b.file(n, b"%d" % i if i % 3 else b"", ns=i) for i, n in enumerate(crowd())])
    linked = [b.file(b"leader", b"linked")]
    for i in range(60):
        linked.append(b.file(b"member-%02d" % i, b"linked", link=True))
        links[b"links/member-%02d" % i] = b"links/leader"
    # The walk meets a/x before a-b, though "a-b" is less than "a/x" as a byte string.
    order = b.directory(b"order", [
        b.directory(b"a", [b.file(b"x", b"ordered")]), b.file(b"a-b", b"ordered", link=True)])
    links[b"order/a-b"] = b"order/a/x"
    sides += [{0: b"order/a-b", 2: [[b"security.ima", b"2"]]},
              {0: b"order/a/x", 2: [[b"security.ima", b"1"]]}]
    kinds = b.directory(b"kinds", [
        b.other(4, b"char", 0o620, k7=5, k8=1), b.other(4, b"char-0-0", 0),
        b.other(5, b"block", 0o660, k7=(1 << 32) - 1, k8=(1 << 32) - 1, gid=6),
        b.other(6, b"fifo", 0o600), b.other(6, b"fifo-again", 0o600, link=True),
        b.other(7, b"socket", 0o777), b.other(3, b"symlink", k9=b"../data/text"),
        b.other(3, b"symlink-again", k9=b"../data/text", link=True),
        b.other(3, b"symlink-long", k9=b"t" * 4095, uid=(1 << 32) - 2, gid=(1 << 32) - 2),
    ])
    links |= {b"kinds/fifo-again": b"kinds/fifo", b"kinds/symlink-again": b"kinds/symlink"}
    names = b.directory(b"names", [
        b.file(n, n[:200]) for n in (b"new\nline", b"\xff\xfe\x80", b"n" * 255, b" ", b"...",
                                     "é".encode(), b"\x01", b"-", b"\\", b"~")])
    times = b.directory(b"times", [
        b.file(b"before-1970", b"", mtime=-1, ns=999_999_999), b.file(b"zero", b"", mtime=0),
        b.file(b"zero-and-a-bit", b"", mtime=0, ns=1), b.file(b"far", b"", mtime=1 << 62),
        b.file(b"long-ago", b"", mtime=-(1 << 62)), b.file(b"year-1969", b"", mtime=-33)],
        mtime=-200, ns=5)
    acl = bytes.fromhex("0200000001000600ffffffff04000400ffffffff20000400ffffffff")
    xattrs = b.directory(b"xattrs", [
        b.file(b"few", b"", xattrs=[(b"user.empty", b""), (b"user.256", b"v" * 256),
                                    (b"user.257", b"w" * 257), (b"security.capability", b"\1\0"),
                                    (b"system.posix_acl_access", acl)]),
        b.file(b"lots", b"", xattrs=[(b"user.%03d" % i, b"value %d" % i) for i in range(100)]),
        b.other(3, b"link", k9=b"few", xattrs=[(b"trusted.other", b"\xff")])])
    deep = b.file(b"bottom", b"deep")
    for i in range(70):
        deep = b.directory(b"d%d" % i, [deep], mode=0o700)
    return ([data, bin_, many, b.directory(b"links", linked), order, kinds, names, times, xattrs,
             b.directory(b"deep", [deep]), b.directory(b"empty-directory", [], mode=0)],
            links, sides)


def split_frames(chunks, sizes):
    """Chunks in frames of the given counts; the rest in the last."""
    frames, at = [], 0
    for n in sizes:
        frames.append(chunks[at:at + n])
        at += n
    return [f for f in frames + [chunks[at:]] if f]


def make_first(w, random):
    """Entry 1: frames of every codec and filter."""
    b = Builder()
    children, links, sides = first_tree(b, random)
    tree_id = b.root(b.directory(None, children), links)
    sid, record = b.snapshot(tree_id, "golden:1", ns=123_456_789, k10=b.side(sides),
                             k13=["proc/*", "tmp"])
    program = [b.objects[i] for i in data_ids(b, b"bin", b"tool", tree_id)]
    other = [o for o in b.objects.values() if o[0] == DATA and o not in program]
    parts = split_frames([whole(*o) for o in other], [10, 20, 300])
    half = len(program) // 2
    frames = [
        {"codec": 1, "filter": 0, "chunks": parts[0]},
        {"codec": 0, "filter": 0, "chunks": parts[1]},
        {"codec": 1, "filter": 1, "chunks": [whole(*o) for o in program[:half]]},
        {"codec": 0, "filter": 1, "chunks": [whole(*o) for o in program[half:]]},
    ] + [{"chunks": p} for p in parts[2:]]
    packs = [w.pack(DATA_PACK, frames)]
    meta = [whole(*o) for o in b.objects.values() if o[0] != DATA]
    packs.append(w.pack(META_PACK, [{"chunks": c} for c in split_frames(meta, [8, 5])]))
    segment = w.commit(packs, record, ["golden:1", "golden:latest"], block=200)
    return b, packs, segment, sid, children, links, sides


def data_ids(b, folder, name, tree_id):
    """The ids of the chunks of one file, looked up in the objects of a builder."""
    class Objects:
        @staticmethod
        def get(oid, kind, where, below=0):
            return b.objects[oid][1]
    reader = tree.Reader(Objects())
    record = reader.root(tree_id, "")
    for path, node in reader.walk(record, ""):
        if path == folder + b"/" + name:
            return [e[1] for e in reader.sequence(tree.EXTENTS, node[12], tree.check_extent, "")]
    raise KeyError(name)


def change(contents, at, text):
    return contents[:at] + text + contents[at + len(text):]


def make_second(w, random, first):
    """Entry 2: changed files as deltas of depth 1 and 2, of bases in other packs and frames."""
    before, packs, children = first[0], first[1], first[4]
    b = Builder()
    old = next(c for c in children if c[0] == b"data")
    noise = b"".join(before.objects[e[1]][1] for e in node_of(before, old, b"noise")[12])
    once = change(noise, 1000, b"changed once")
    twice = change(once, 2000, b"changed twice")
    data = b.directory(b"data", [
        b.file(b"noise", noise), b.file(b"once", once), b.file(b"twice", twice),
        b.file(b"islands-2", islands()[:200_000])])
    crowd_ids = set(before.objects)
    many = b.directory(b"many", [
        b.file(n, b"%d" % i if i % 3 else b"", ns=i if i != 200 else 7)
        for i, n in enumerate(crowd())])
    long_value = b.file(b"value", b"", xattrs=[(b"user.big", b"big value " * 100)])
    tree_id = b.root(b.directory(None, [data, many, long_value]))
    sid, record = b.snapshot(tree_id, "golden:2", time=-5, ns=1, k12=first[3])
    chunks = [o[1] for o in b.objects.values() if o[0] == DATA]
    firsts = {n: chunker.extents(c)[0][1] for n, c in
              (("noise", noise), ("once", once), ("twice", twice))}
    level_1 = delta(DATA, firsts["once"], firsts["noise"], 1)
    level_2 = delta(DATA, firsts["twice"], firsts["once"], 2)
    # A second copy of a base, itself a delta: a reader takes the whole one.
    again = delta(DATA, firsts["noise"], change(firsts["noise"], 5, b"other"), 1)
    other_base = whole(DATA, change(firsts["noise"], 5, b"other"))
    known = {object_id(DATA, firsts[n]) for n in firsts} | crowd_ids
    rest = [whole(DATA, c) for c in chunks if object_id(DATA, c) not in known]
    deltas_first = w.pack(DATA_PACK, [
        {"codec": 0, "chunks": [level_2]},
        {"codec": 1, "chunks": rest}])
    deltas_second = w.pack(DATA_PACK, [
        {"codec": 1, "chunks": [level_1, again, other_base]}])
    meta = []
    for oid, (kind, plain) in b.objects.items():
        if kind == DATA or oid in crowd_ids:
            continue
        meta.append(whole(kind, plain))
    table = max((i for i, c in enumerate(meta) if c["kind"] == TREE),
                key=lambda i: len(meta[i]["plain"]))
    base = max((p for k, p in before.objects.values() if k == TREE),
               key=lambda p: common(p, meta[table]["plain"]))
    meta[table] = delta(TREE, meta[table]["plain"], base)
    new = [deltas_first, deltas_second, w.pack(META_PACK, [{"chunks": meta}])]
    segment = w.commit(new, record, "golden:2", needed=[p["name"] for p in packs])
    return new, segment, sid


def common(a, b):
    """How many bytes two byte strings have in common at their ends and beginnings."""
    n = min(len(a), len(b))
    start = next((i for i in range(n) if a[i] != b[i]), n)
    return start + next((i for i in range(1, n + 1) if a[-i] != b[-i]), n)


def node_of(b, folder, name):
    for node in entries_of(b, folder[13]):
        if node[0] == name:
            return node
    raise KeyError(name)


def entries_of(b, value):
    if isinstance(value, list):
        return value
    level, items = decode(b.objects[value][1], "")
    return items if level == 0 else [n for i in items for n in entries_of(b, i[0])]


def small(w, name, contents, known=(), needed=(), tag=None, **more):
    """A snapshot of one file in the root."""
    b = Builder()
    tree_id = b.root(b.directory(None, [b.file(b"file", contents)]))
    sid, record = b.snapshot(tree_id, name, **more)
    packs = w.store(b, known)
    segment = w.commit(packs, record, tag, needed)
    return b, packs, segment, sid


def state_of(root, secret=("password", PASSWORD)):
    return Repository(root, secret, full=True).state


def make_repository(root):
    """The golden repository; returns its keyring and the key of the key file."""
    random = Random(LABEL)
    keyring = make_keyring(random)
    w = Writer(root, keyring, random)
    config = w.config()
    w.slot(1, PASSWORD)
    key = random.bytes(32)
    w.slot(2, key)
    w.entry({8: config}, command="init")
    first = make_first(w, random)
    new, segment_2, second = make_second(w, random, first)
    gone, gone_packs, segment_3, gone_id = small(w, "gone:1", b"soon gone " * 100, tag="gone:1")
    w.entry(inner={8: [["golden:latest", second]]}, command="tag")
    w.entry(inner={7: [gone_id], 9: ["gone:1"]}, command="remove")
    w.checkpoint(state_of(root))
    # A merge of the segments of entries 1 and 3, whose packs are condemned, and later revived.
    merged = w.segment(first[1] + gone_packs, block=300)
    condemned = [[p["kind"], p["name"], p["size"]] for p in gone_packs]
    w.entry({4: [merged], 5: [first[2], segment_3] + condemned}, command="prune")
    extra, record_lists = Builder(), {6: [condemned[0]]}
    tree_id = extra.root(extra.directory(None, [extra.file(b"file", b"soon gone " * 100)]))
    _, record = extra.snapshot(tree_id, "kept:1", k64="a member of later versions",
                               k11={1: 1, 2: 1, 4: 1000, 99: [1, {2: b""}]})
    record |= {64: [0, ""]}
    packs = w.store(extra, {i for i in extra.objects if gone.objects.get(i, (0,))[0] == DATA})
    w.commit(packs, record, "kept:1", [gone_packs[0]["name"]], outer=record_lists)
    orphan = [SEGMENT_TYPE, random.bytes(32), 999]
    w.entry({5: [orphan], 7: [first[2], segment_3]}, {200: "later"}, command="prune")
    w.checkpoint(state_of(root))
    w.entry({7: [orphan, condemned[1]]}, command="prune")
    for folder, obj in (("segments", first[2]), ("segments", segment_3), ("packs", condemned[1])):
        os.unlink(os.path.join(root, folder, obj[1].hex()))
    w.head()
    w.clear_file("reserve", "R", random.bytes(65536))
    return keyring, key


SEGMENT_TYPE = 3


# ---- chunking --------------------------------------------------------------------------------


STREAMS = [
    ("empty", []), ("one byte", [["random", 1]]), ("4,096 bytes", [["random", 4096]]),
    ("4,097 bytes", [["random", 4097]]), ("noise", [["random", 400_000]]),
    ("zeros, one too few", [["zeros", 65_535]]), ("zeros", [["zeros", 65_536]]),
    ("many zeros", [["zeros", 1_000_000]]),
    ("zeros between", [["random", 30_000], ["zeros", 65_536], ["random", 30_000]]),
    ("zeros not enough", [["random", 30_000], ["zeros", 60_000], ["random", 30_000]]),
    ("zeros at both ends", [["zeros", 70_000], ["random", 100_000], ["zeros", 80_000]]),
    ("one value", [["byte", 0xAA, 200_000]]),
    ("islands", [["zeros", 65_536], ["random", 1], ["zeros", 65_537], ["random", 5]]),
]


def stream(label, parts):
    """random: the bytes that are not zero of the stream of the label, in order."""
    source, out = Random(label), b""
    for part in parts:
        if part[0] == "zeros":
            out += bytes(part[1])
        elif part[0] == "byte":
            out += bytes([part[1]]) * part[2]
        else:
            out += source.bytes(part[1]).replace(b"\0", b"\1")
    return out


def chunking():
    result = []
    for label, parts in STREAMS:
        contents = stream(label, parts)
        result.append({
            "label": label, "parts": parts, "length": len(contents),
            "blake2b": H(b"", contents).hex(),
            "extents": [["data", len(p)] if s == "data" else ["zero", p]
                        for s, p in chunker.extents(contents)]})
    return {"random": "BLAKE2b-512(label, le64(i)) for i = 0, 1, ... without a break between "
                      "parts, each zero byte replaced by 01", "streams": result}


def listing(root, secret=("password", PASSWORD)):
    repo = Repository(root, secret)
    return "".join(json.dumps(line) + "\n" for tag in TAGS for line in repo.listing(tag))


def make(folder):
    os.makedirs(folder, exist_ok=True)
    root = os.path.join(folder, "golden-v1")
    shutil.rmtree(root, ignore_errors=True)
    keyring, key = make_repository(root)
    check(root, ("password", PASSWORD), print)
    texts = {
        "golden-v1.key": key_file_text(key), "golden-v1.recovery": recovery_text(keyring),
        "golden-v1.jsonl": listing(root),
        "golden-v1.zstd": ".".join(str(n) for n in zstandard.ZSTD_VERSION) + "\n",
        "chunking.json": json.dumps(chunking(), indent=1) + "\n",
    }
    for name, content in texts.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(content)


if __name__ == "__main__":
    make(sys.argv[1] if len(sys.argv) > 1 else HERE)

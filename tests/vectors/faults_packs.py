"""Faults of packs, deltas and segments."""

import os

import zstandard

from faults import CONTENTS, at, damage, edit, flip, grow, once, put, register, reseal
from fmt.crypto import DATA, LIST, TREE, object_id
from fmt.strict import encode
from writer import DATA_PACK, META_PACK, Hooks, compress, delta, whole

CASES, ACCEPTED = [], []
case, accept = register(CASES), register(ACCEPTED)

BASE = CONTENTS[:300] + b"the base differs" + CONTENTS[300:]
THIRD = BASE[:500] + b"and so does this one" + BASE[500:]
STORED = {DATA_PACK: [{"codec": 0, "chunks": [whole(DATA, CONTENTS)]}]}


# ---- damage of the files of a pack or segment ------------------------------------------------


def data_pack(t):
    """The path of the data pack of "golden:1", the largest."""
    folder = os.path.join(t.root, "packs")
    return "packs/" + max(os.listdir(folder), key=lambda n: os.stat(f"{folder}/{n}").st_size)


def names_of(t, folder):
    return [f"{folder}/{n}" for n in sorted(os.listdir(os.path.join(t.root, folder)))]


def swap(t, folder):
    a, b = sorted(names_of(t, folder), key=lambda p: -len(t.read(p)))[:2]
    x, y = t.read(a), t.read(b)
    t.w.write(a, y)
    t.w.write(b, x)


def file_of(name, stage, folder, path_of, word, make):
    case(f"{name}", stage, folder, word, lambda t: make(t, path_of(t)), "golden:1")


def largest_segment(t):
    return max(names_of(t, "segments"), key=lambda p: len(t.read(p)))


for _what, _path_of in (("pack", data_pack), ("segment", largest_segment)):
    def _file(name, word, make, stage="read", what=_what, path_of=_path_of):
        file_of(f"{what}-{name}", stage, f"{what}s/", path_of, word, make)
    _file("truncated", "damaged", lambda t, p: damage(t, p, lambda d: d[:-1]), "check")
    _file("cut-in-the-middle", "damaged", lambda t, p: damage(t, p, lambda d: d[:len(d) // 2]))
    _file("cut-to-header", "short", lambda t, p: damage(t, p, lambda d: d[:64]))
    _file("empty", "short", lambda t, p: damage(t, p, lambda d: b""))
    _file("bytes-appended", "damaged", lambda t, p: damage(t, p, lambda d: d + b"\0"), "check")
    _file("flipped", "damaged", lambda t, p: damage(t, p, flip(3000)))
    _file("trailer-flipped", "damaged", lambda t, p: damage(t, p, flip(-1)), "check")
    _file("missing", "No such file", lambda t, p: t.remove(p))
    _file("sealed-flipped", "does not open", lambda t, p: reseal(t, p, flip(3000)))
    _file("length-flipped", "section 0", lambda t, p: reseal(t, p, flip(64)))
    _file("magic", "magic", lambda t, p: reseal(t, p, flip(3)))
    _file("type", "type", lambda t, p: reseal(t, p, put(8, b"L")))
    _file("version", "version 3", lambda t, p: reseal(t, p, put(9, 3)))
    _file("header-kind", "kind", lambda t, p: reseal(t, p, put(10, 3)))
    _file("envelope", "envelope", lambda t, p: reseal(t, p, put(11, 2)))
    _file("epoch", "epoch 2", lambda t, p: reseal(t, p, put(12, 2)))
    _file("number", "number", lambda t, p: reseal(t, p, put(16, 1)))
    _file("reserved", "reserved", lambda t, p: reseal(t, p, put(24, 1)))
    _file("salt", "salt", lambda t, p: reseal(t, p, flip(40)))
    case(f"{_what}-swapped", "read", f"{_what}s/", "salt", lambda t, w=_what: swap(t, f"{w}s"),
         "golden:1")
case("pack-kind-exchanged", "read", "packs/", "",
     lambda t: reseal(t, data_pack(t), put(10, 2)), "golden:1")


# ---- frames ----------------------------------------------------------------------------------


def frame(name, word, hooks, stage="read", frames=None, children=None, kind="data pack"):
    """A pack with a fault, of the one file of "bad:1"."""
    def make(t):
        own = {k: once(v) for k, v in hooks.items()} if isinstance(hooks, dict) else hooks()
        grow(t, **({"children": children} if children else {}), hooks={kind: Hooks(own)},
             frames=lambda b: frames(b) if callable(frames) else frames)
    case(name, stage, "packs/", word, make)


def body_frame(name, word, body, plain_len=None, **more):
    """A frame whose body, one zstd frame, is made otherwise."""
    def hooks():
        kept = {}

        def contents(c):
            kept["contents"] = c
            return c
        return {"contents": contents, "body": lambda b: body(kept["contents"], b)}
    frame(name, word, hooks, **more)


def two_frames(b):
    half = [whole(DATA, CONTENTS), whole(DATA, CONTENTS[::-1])]
    return {DATA_PACK: [{"codec": 0, "chunks": [c]} for c in half]}


def swap_sections(body):
    half = len(body) // 2
    return body[half:] + body[:half]


def no_size(contents):
    return zstandard.ZstdCompressor(level=3, write_content_size=False).compress(contents)


def raw_zstd(contents, window_log):
    """A zstd frame of raw blocks with a window of its own (RFC 8878)."""
    out = b"\x28\xb5\x2f\xfd" + bytes([0, window_log - 10 << 3])
    return out + (len(contents) << 3 | 1).to_bytes(3, "little") + contents


def with_dictionary(contents, _):
    return b"\x28\xb5\x2f\xfd\x61" + bytes([5]) + len(contents).to_bytes(2, "little") + (
        len(contents) << 3 | 1).to_bytes(3, "little") + contents


def split_size(contents, _):
    return raw_zstd(contents[:100], 17) + raw_zstd(contents[100:], 17)


frame("frame-codec", "codec 2", {"head": at(0, 2)})
frame("frame-filter", "filter 2", {"head": at(1, 2)})
frame("frame-dictionary", "dictionary 1", {"head": at(2, 1)})
frame("frame-shape", "array of 5", {"head": lambda h: h[:4]})
frame("frame-long-form", "shortest",
      {"frame": lambda f: b"\x95\xcc\x01" + f[2:]})
frame("frame-length-less", "", {"head": lambda h: h[:4] + [h[4] - 1]})
frame("frame-length-more", "", {"head": lambda h: h[:4] + [h[4] + 1]})
frame("frame-length-limit", "limits", {"head": at(4, (32 << 20) + 1)})
frame("frame-stored-length", "length recorded", {"head": lambda h: h[:4] + [h[4] + 1]},
      frames=STORED)
frame("frame-claims-stored", "", {"head": at(0, 0)})
frame("frame-claims-filter", "", {"head": at(1, 1)}, frames=lambda b: {
    DATA_PACK: [{"codec": 0, "chunks": [whole(DATA, CONTENTS)]}]}, stage="check")
frame("frame-no-rows", "1 to 65,535", {"rows": lambda r: []})
frame("frame-row-shape", "array of 2 or 7", {"rows": lambda r: [r[0] + [0]]})
frame("frame-row-kind", "limits", {"rows": lambda r: [[6, r[0][1]]]})
frame("frame-row-kind-0", "limits", {"rows": lambda r: [[0, r[0][1]]]})
frame("frame-row-kind-of-metadata", "in a pack of kind 1", {"rows": lambda r: [[2, r[0][1]]]})
frame("frame-row-kind-of-data", "in a pack of kind 2", {"rows": lambda r: [[1, r[0][1]]] + r[1:]},
      kind="meta pack")
frame("frame-row-longer", "longer than", {"rows": lambda r: [[1, r[0][1] + 1]]})
frame("frame-row-shorter", "after the last chunk", {"rows": lambda r: [[1, r[0][1] - 1]]})
frame("frame-row-missing", "after the last chunk", {"rows": lambda r: r[:1]}, kind="meta pack")
frame("frame-row-more", "longer than", {"rows": lambda r: r + [[1, 5]]})
frame("frame-row-limit", "limits", {"rows": lambda r: [[1, (2 << 20) + 1]]})
frame("frame-bytes-after", "after the last chunk", {"contents": lambda c: c + b"\0"})
body_frame("frame-zstd-truncated", "truncated", lambda c, b: b[:-3])
body_frame("frame-zstd-bytes-after", "bytes after", lambda c, b: b + b"\0")
body_frame("frame-zstd-two-frames", "", split_size)
body_frame("frame-zstd-skippable", "", lambda c, b: b + b"\x50\x2a\x4d\x18\0\0\0\0")
body_frame("frame-zstd-longer", "length", lambda c, b: compress(c + b"x"))
body_frame("frame-zstd-longer-unknown", "length", lambda c, b: no_size(c + b"x"))
body_frame("frame-zstd-shorter-unknown", "length", lambda c, b: no_size(c[:-1]))
body_frame("frame-zstd-window", "window", lambda c, b: raw_zstd(c, 26))
body_frame("frame-zstd-dictionary", "dictionary", with_dictionary)
body_frame("frame-zstd-garbage", "zstd", lambda c, b: b"garbage" + b)
body_frame("frame-zstd-empty", "zstd", lambda c, b: b"")
frame("frames-swapped", "section 0", {"frames": swap_sections}, frames=two_frames)
frame("frame-sealed-length", "", {"section": lambda s: bytes([s[0] ^ 1]) + s[1:]})
frame("pack-footer", "", {"footer": flip(0)}, stage="check")
frame("pack-footer-large", "", {"footer": flip(3)}, stage="check")
frame("pack-bytes-before-table", "do not fill", {"frames": lambda f: f + bytes(20)},
      stage="check")


def large_chunk(t):
    """A chunk over 2 MiB, which no file needs."""
    grow(t, frames=lambda b: {DATA_PACK: [{"chunks": [
        whole(DATA, CONTENTS), whole(DATA, bytes((2 << 20) + 1))]}]})


def many_chunks(t):
    """A frame of 65,536 chunks, one more than the limit."""
    grow(t, frames=lambda b: {DATA_PACK: [{"chunks": [
        whole(DATA, CONTENTS)] + [whole(DATA, b"x")] * 65535}]})


case("frame-chunks-limit", "check", "", "limits", many_chunks)
case("chunk-limit", "check", "", "limits", large_chunk)


# ---- tables ----------------------------------------------------------------------------------


def table(name, word, hook, **more):
    """A table that differs from the frames, which readers of single images may not notice."""
    frame(f"pack-table-{name}", word, {"table": hook}, stage="check", **more)


def first_frame(index, change):
    def hook(m):
        row = list(m[1][0])
        row[index] = change(row[index])
        return m | {1: [row] + m[1][1:]}
    return hook


table("sealed-length", "do not fill", first_frame(0, lambda n: n + 1))
table("plain-length", "head of the frame", first_frame(1, lambda n: n + 1))
table("chunks", "number of chunks", first_frame(2, lambda n: n + 1))
table("chunks-none", "limits", first_frame(2, lambda n: 0))
table("codec", "head of the frame", first_frame(3, lambda n: 1 - n))
table("codec-unknown", "codec 2", first_frame(3, lambda n: 2))
table("filter", "head of the frame", first_frame(4, lambda n: 1))
table("filter-unknown", "filter 9", first_frame(4, lambda n: 9))
table("dictionary", "dictionary 1", first_frame(5, lambda n: 1))
table("parameters", "head of the frame", first_frame(6, lambda n: n + 1))
table("no-frames", "frames", edit(k1=[], k2=b"", k3=[], k4=[]))
table("frame-missing", "do not fill", lambda m: {
    1: m[1][:1], 2: m[2][:32], 3: m[3][:1], 4: m[4][:1]}, frames=two_frames)
table("frames-exchanged", "", lambda m: m | {1: m[1][::-1]}, frames=lambda b: {
    DATA_PACK: [{"codec": 0, "chunks": [whole(DATA, CONTENTS)]},
                {"codec": 0, "chunks": [whole(DATA, BASE), whole(DATA, THIRD)]}]})
table("id", "is not what the table says", lambda m: m | {2: flip(0)(m[2])})
table("ids-short", "number of chunks", lambda m: m | {2: m[2][:-1]})
table("ids-missing", "ids is missing", edit(k2=None))
table("kind", "is not what the table says", lambda m: m | {3: [3] + m[3][1:]}, kind="meta pack")
table("kind-of-other-pack", "in a pack of kind 1", lambda m: m | {3: [2]})
table("length", "is not what the table says", lambda m: m | {4: [m[4][0] + 1]})
table("lengths-more", "number of chunks", lambda m: m | {4: m[4] + [1]})
table("delta-of-whole", "is not what the table says",
      lambda m: m | {5: [[0, 1, 1, 5, bytes(32)]]})
table("delta-index", "does not have", lambda m: m | {5: [[1, 1, 1, 5, bytes(32)]]})
table("unknown-key", "unknown key 6", edit(k6=1))
table("deltas-empty", "present though", edit(k5=[]))
frame("pack-table-padding", "padding", {"table padded": lambda d: d + b"\1"}, stage="check")
frame("pack-table-bytes-after", "padding", {"table padded": lambda d: d + b"\1\2"},
      stage="check")


# ---- deltas ----------------------------------------------------------------------------------


def deltas(name, word, chunks, hooks=None, stage="read", file="packs/"):
    """The file's one chunk and what is stored with it."""
    def make(t):
        grow(t, frames=lambda b: {DATA_PACK: [{"codec": 0, "chunks": chunks()}]},
             hooks={"data pack": Hooks(hooks or {})})
    case(f"delta-{name}", stage, file, word, make)


def good_delta(**changes):
    return [whole(DATA, BASE), delta(DATA, CONTENTS, BASE) | changes]


def of_table(change):
    """Changes the delta in the table, whose segment and frame stay right."""
    return {"table": lambda m: m | {5: [change(list(m[5][0]))] + m[5][1:]}}


def of_row(index, value):
    def hook(rows):
        row = list(rows[1])
        row[index] = value(row[index]) if callable(value) else value
        return [rows[0], row] + rows[2:]
    return {"rows": hook}


accept("delta", "check", "", "", lambda t: grow(t, frames=lambda b: {
    DATA_PACK: [{"codec": 0, "chunks": good_delta()}]}))
accept("delta-of-depth-8", "check", "", "", lambda t: grow(t, frames=lambda b: {
    DATA_PACK: [{"codec": 0, "chunks": good_delta(depth=8)}]}))
deltas("base-of-same-depth", "smaller depth", lambda: [
    whole(DATA, THIRD), delta(DATA, BASE, THIRD, 1), delta(DATA, CONTENTS, BASE, 1)])
deltas("base-of-larger-depth", "smaller depth", lambda: [
    whole(DATA, THIRD), delta(DATA, BASE, THIRD, 3), delta(DATA, CONTENTS, BASE, 2)])
deltas("cycle", "smaller depth", lambda: [
    delta(DATA, BASE, CONTENTS, 1), delta(DATA, CONTENTS, BASE, 1)])
deltas("cycle-of-two-depths", "smaller depth", lambda: [
    delta(DATA, BASE, CONTENTS, 1), delta(DATA, CONTENTS, BASE, 2)])
deltas("of-itself", "smaller depth", lambda: [delta(DATA, CONTENTS, CONTENTS, 1)])
deltas("depth-9", "limits", lambda: good_delta(depth=9), file="")
deltas("depth-0", "limits", good_delta, of_row(3, 0))
deltas("base-missing", "no live pack", lambda: [delta(DATA, CONTENTS, BASE)])
deltas("base-wrong", "", lambda: [
    whole(DATA, BASE), whole(DATA, bytes(len(BASE))),
    delta(DATA, CONTENTS, BASE) | {"base": object_id(DATA, bytes(len(BASE)))}])
deltas("length-more", "length", lambda: good_delta(length=len(CONTENTS) + 1))
deltas("length-less", "length", lambda: good_delta(length=len(CONTENTS) - 1))
deltas("length-of-row", "what the", good_delta, of_row(1, lambda n: n + 1))
deltas("depth-of-row", "", good_delta, of_row(3, 2))
deltas("encoding", "encoding 2", good_delta, of_row(2, 2))
deltas("encoding-0", "encoding 0", good_delta, of_row(2, 0))
deltas("stored-length-more", "longer than", good_delta, of_row(4, lambda n: n + 1))
deltas("stored-length-less", "after the last chunk", good_delta, of_row(4, lambda n: n - 1))
deltas("id", "does not decode to", lambda: [
    whole(DATA, BASE), delta(DATA, CONTENTS, BASE), delta(DATA, THIRD, BASE) | {"id": bytes(32)}],
    stage="check")
deltas("id-of-row", "what the", good_delta, of_row(5, bytes(32)), "check")
deltas("base-of-row", "", good_delta, of_row(6, bytes(32)))
deltas("not-zstd", "zstd", lambda: good_delta(stored=b"not a zstd frame"))
deltas("bytes-after", "bytes after",
       lambda: good_delta(stored=compress(CONTENTS, BASE) + b"\0"))
deltas("table-encoding", "encoding 2", good_delta, of_table(at(1, 2)), "check")
deltas("table-depth", "what the table says", good_delta, of_table(at(2, 2)), "check")
deltas("table-depth-9", "limits", good_delta, of_table(at(2, 9)), "check")
deltas("table-stored-length", "what the table says", good_delta, of_table(at(3, 1)), "check")
deltas("table-base", "what the table says", good_delta, of_table(at(4, bytes(32))), "check")
deltas("table-index", "what the table says", good_delta, of_table(at(0, 0)), "check")
deltas("table-missing", "what the table says", good_delta, {"table": edit(k5=None)}, "check")
deltas("table-twice", "ascend", good_delta, {"table": lambda m: m | {5: m[5] * 2}}, "check")


def delta_of_other_kind(t):
    """A base with the same bytes, but stored as another kind only."""
    def frames(b):
        tree_plain = next(p for k, p in b.objects.values() if k == TREE)
        rest = [whole(k, p) for k, p in b.objects.values() if k not in (DATA, TREE)]
        base = encode([0, [CONTENTS]])
        return {META_PACK: [{"chunks": rest + [
            whole(LIST, base), delta(TREE, tree_plain, base) | {"base": object_id(LIST, base)}]}]}
    grow(t, frames=frames)


case("delta-of-other-kind", "read", "packs/", "no live pack", delta_of_other_kind)


# ---- segments --------------------------------------------------------------------------------


def segment(name, word, hooks, stage="read", frames=None, file="segments/"):
    def make(t):
        grow(t, hooks={"segment": Hooks(hooks)},
             frames=(lambda b: frames(b) if callable(frames) else frames) if frames else None)
    case(f"segment-{name}", stage, file, word, make)


def entries_with(kind, index, change):
    """Changes one column of the entries of a kind."""
    def hook(entries):
        out = []
        for e in entries:
            e = list(e)
            if e[3] == kind:
                e[index] = change(e[index])
            out.append(e)
        return out
    return {"entries": hook}


def exchange(index, kinds):
    """Exchanges a column between the first entries of two kinds."""
    def hook(entries):
        a = next(e for e in entries if e[3] == kinds[0])
        b = next(e for e in entries if e[3] == kinds[1])
        a[index], b[index] = b[index], a[index]
        return sorted(entries, key=lambda e: e[:3])
    return {"entries": hook}


def first_pack(index, change):
    def hook(m):
        pack = list(m[1][0])
        pack[index] = change(pack[index])
        return m | {1: [pack] + m[1][1:]}
    return {"directory": hook}


def split_meta(b):
    meta = [whole(*o) for o in b.objects.values() if o[0] != DATA]
    return {META_PACK: [{"chunks": [c]} for c in meta]}


def spread(b):
    """Two data frames."""
    return {DATA_PACK: [{"chunks": [whole(DATA, CONTENTS)]}, {"chunks": [whole(DATA, BASE)]}]}


segment("slot-beyond", "no such slot", entries_with(DATA, 2, lambda n: n + 5), file="packs/")
segment("slot-limit", "limits", entries_with(DATA, 2, lambda n: 65535))
segment("slots-exchanged", "as the index says", exchange(2, (2, 5)), file="packs/")
segment("frames-exchanged", "as the index says", exchange(1, (2, 5)), frames=split_meta,
        file="packs/")
segment("frame-beyond", "does not exist", entries_with(DATA, 1, lambda n: 7))
segment("pack-wrong", "in a pack of kind", exchange(1, (1, 2)))
segment("kind", "in a pack of kind", entries_with(DATA, 3, lambda n: 2))
segment("kind-unknown", "limits", entries_with(DATA, 3, lambda n: 6))
segment("length", "as the index says", entries_with(DATA, 4, lambda n: n + 1), file="packs/")
segment("length-limit", "limits", entries_with(DATA, 4, lambda n: (2 << 20) + 1))
segment("tags-exchanged", "no live pack", exchange(0, (2, 5)), file="")
segment("tag", "no live pack", {"entries": lambda es: sorted(
    [[flip(3)(e[0]) if e[3] == DATA else e[0]] + e[1:] for e in es])}, file="")
segment("entry-missing", "no live pack", {"entries": lambda es: [e for e in es if e[3] != DATA]},
        file="")
segment("entry-missing-unused", "are not the chunks", {"entries": lambda es: [
    e for e in es if e[4] != len(BASE)]}, "check", frames=spread)
segment("entry-of-nothing", "are not the chunks", {"entries": lambda es: sorted(
    es + [[b"x" * 16, 0, 100, es[0][3], 1, None]], key=lambda e: e[:3])
    if es[0][1] == 0 else sorted(
    es + [[b"x" * 16, es[0][1], 100, es[0][3], 1, None]], key=lambda e: e[:3])}, "check", file="")
segment("entry-of-no-length", "limits", {"entries": lambda es: [
    e[:4] + [0] + e[5:] for e in es]})
segment("entry-twice", "ascend", {"entries": lambda es: es[:1] + es})
segment("unsorted", "ascend", {"entries": lambda es: es[::-1]})
segment("count-more", "number of entries", {"directory": lambda m: m | {2: m[2] + 1}})
segment("count-less", "number of entries", {"directory": lambda m: m | {2: m[2] - 1}})
segment("no-packs", "no pack", {"directory": edit(k1=[])})
segment("packs-unsorted", "ascend", {"directory": lambda m: m | {1: m[1][::-1]}})
segment("pack-twice", "ascend", {"directory": lambda m: m | {1: m[1][:1] + m[1]}})
segment("pack-kind", "", first_pack(1, lambda k: 3 - k))
segment("pack-kind-unknown", "limits", first_pack(1, lambda k: 3))
segment("pack-size", "not that of the log", first_pack(2, lambda n: n + 1), "check")
segment("frame-sealed-length", "other than it is", first_pack(3, lambda l: [l[0] + 1] + l[1:]),
        "check", file="")
segment("frame-plain-length", "other than it is", first_pack(3, lambda l: [l[0], l[1] + 1]),
        "check", file="")
segment("frame-lengths-odd", "pairs", first_pack(3, lambda l: l + [5]))
segment("frame-lengths-none", "pairs", first_pack(3, lambda l: []))
segment("frame-more", "other than it is", {"directory": lambda m: m | {
    1: m[1][:-1] + [m[1][-1][:3] + [m[1][-1][3] + [100, 100]]]}}, "check")
segment("unknown-key", "unknown key 3", {"directory": edit(k3=1)})
segment("block-unknown-key", "unknown key 7", {"block": edit(k7=1)})
segment("block-tags-short", "number of entries", {"block": lambda m: m | {1: m[1][:-1]}})
segment("block-slots-short", "number of entries", {"block": lambda m: m | {3: m[3][:-1]}})
segment("block-empty", "0 entries", {"block": lambda m: {1: b"", 2: [], 3: [], 4: [], 5: []}})
segment("block-deltas-empty", "present though", {"block": edit(k6=[])})
segment("delta-of-whole", "as the index says", {"block": edit(k6=[[i, 1, bytes(16)]
                                                                for i in range(3)])}, file="packs/")
segment("delta-index", "does not have", {"block": edit(k6=[[9, 1, bytes(16)]])})
segment("delta-depth-9", "limits", {"block": edit(k6=[[0, 9, bytes(16)]])})
segment("delta-unsorted", "ascend",
        {"block": edit(k6=[[1, 1, bytes(16)], [0, 1, bytes(16)]])})
segment("section-after", "section", {"segment body": lambda d: d + bytes(50)})
segment("padding", "padding", {"first document": Hooks({"padded": lambda d: d + b"\1"})})
segment("says-whole", "as the index says",
        {"entries": lambda es: [e[:5] + [None] for e in es]},
        frames=lambda b: {DATA_PACK: [{"chunks": good_delta()}]}, file="packs/")
segment("delta-depth", "as the index says",
        {"entries": lambda es: [e[:5] + [(e[5][0] + 1, e[5][1]) if e[5] else None] for e in es]},
        frames=lambda b: {DATA_PACK: [{"chunks": good_delta()}]}, file="packs/")
segment("delta-base", "", {"entries": lambda es: [
    e[:5] + [(e[5][0], bytes(16)) if e[5] else None] for e in es]}, "check",
    frames=lambda b: {DATA_PACK: [{"chunks": good_delta()}]}, file="")


# ---- packs and segments against the log ------------------------------------------------------


def sizes(name, kind, change, word, stage="check"):
    """An object in the entry with another size or type."""
    def hook(m):
        return m | {4: [change(list(o)) if o[0] == kind else o for o in m[4]]}
    case(name, stage, "", word, lambda t: grow(t, hooks={"entry": Hooks({"outer": hook})}))


sizes("log-size-of-pack", 1, lambda o: [o[0], o[1], o[2] + 1], "size")
sizes("log-size-of-segment", 3, lambda o: [o[0], o[1], o[2] - 1], "size")
sizes("log-type-of-pack", 1, lambda o: [2, o[1], o[2]], "kind")
sizes("log-pack-as-segment", 1, lambda o: [3, o[1], o[2]], "kind or size")


def uncovered(t):
    """A live pack that no segment names, and that nothing needs."""
    pack = t.w.pack(DATA_PACK, [{"chunks": [whole(DATA, b"alone")]}])
    t.w.entry({4: [[1, pack["name"], pack["size"]]]})
    t.w.head()


def condemned_need(t):
    """The pack of golden:1 is condemned though it is needed."""
    state = t.golden.state
    name, (kind, size) = max(state.of("live").items(), key=lambda o: o[1][1])
    t.w.entry({5: [[kind, name, size]]})
    t.w.head()


case("pack-uncovered", "check", "packs/", "no live segment", uncovered, "golden:1")
case("pack-condemned-and-needed", "read", "", "no live pack", condemned_need, "golden:1")

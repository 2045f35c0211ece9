"""Faults of what snapshots keep of OCI images (image.md).

`stage` says which command has to refuse the twin: "decode" (whatever reads the snapshot object),
"check" (a check that reads no contents), "read-data" (a check that does). What fails at a stage
fails at the later ones. `export` says what becomes of an export: "no" (must be refused), "yes"
(when it is not refused it has to be right), "any" (the fault is in what a reader gives as it is).
"""

from faults import CONTENTS, at, edit
from faults_trees import index_item, item, levels, noise, table_of
from images import (Archive, compact, config_of, header, layer, layer_names, members,
                    splitting_path, stream)
from fmt.crypto import DATA, LIST, SIDE
from fmt.strict import encode
from fmt.tree import RECIPES
from writer import Builder, Hooks

CASES, ACCEPTED = [], []
REPLACED = b"contents that a later layer replaced"
LIMIT = 4 << 20
MOST = (1 << 63) - 1


def grow(twin, items=None, recipe=None, layers=None, snapshot=None, plain=None, record=None,
         size=None, diff_id=None, keep_blobs=False):
    """Goes on with an image "bad:1" of two layers.

    `items(b, items)` changes the items of the lower layer's recipe and `recipe(b, items)` gives
    the member that holds them; `size` and `diff_id` are those of the layer if not the archive's.
    `layers(b, list)`, `snapshot(b, map)`, `plain(bytes)` and `record(map)` change what is then
    stored.
    """
    b = Builder()
    lower = Archive(b).sparse(header(b"dir/", 0, b"5", 0o755)).sparse(header(b"dir/small", 5))
    lower.file(b"dir/small", b"small").zeros(507).sparse(header(b"file", len(REPLACED)))
    lower.chunks(REPLACED).zeros(512 - len(REPLACED)).end()
    upper = Archive(b).entry(b"file", CONTENTS).end()
    tree_id = b.root(b.directory(None, [
        b.directory(b"dir", [b.file(b"small", b"small")]), b.file(b"file", CONTENTS),
        b.other(3, b"link", k9=b"file")]))
    both = [layer(b, lower, keep_blob=keep_blobs), layer(b, upper, keep_blob=keep_blobs)]
    changed = items(b, lower.items) if items else lower.items
    if items or recipe:
        both[0][3] = recipe(b, changed) if recipe else b.sequence(RECIPES, changed)
    both[0] |= {1: diff_id} if diff_id else {}
    both[0] |= {2: size} if size is not None else {}
    names = layer_names(both)
    more = members(b, both)
    if layers:
        more[24] = layers(b, both)
    hooks = Hooks({"snapshot": lambda m: snapshot(b, m)} if snapshot else {})
    hooks |= {"snapshot plain": plain} if plain else {}
    _, made = b.snapshot(tree_id, "bad:1", hooks=hooks, **{f"k{k}": v for k, v in more.items()})
    made |= {13: names}
    twin.w.commit(twin.w.store(b), record(made) if record else made, "bad:1")
    twin.w.head()


def case(name, stage, word, export="no", **changes):
    CASES.append({"name": name, "stage": stage, "word": word, "export": export, "image": "bad:1",
                  "make": lambda t: grow(t, **changes)})


def accept(name, **changes):
    ACCEPTED.append({"name": name, "image": "bad:1", "make": lambda t: grow(t, **changes)})


# ---- members of the snapshot -----------------------------------------------------------------


def member(name, word, **changes):
    case(f"member-{name}", "decode", word, snapshot=lambda b, m: edit(**changes)(m))


member("manifest-without-type", "without its media type", k21=None)
member("manifest-type-alone", "without its media type", k20=None)
member("manifest-type-empty", "present though", k21="")
member("manifest-type-of-bytes", "not text", k21=b"type")
member("manifest-type-long", "4096", k21="t" * 4097)
member("index-without-type", "without its media type", k26=None)
member("index-type-alone", "without its media type", k25=None)
member("index-type-empty", "present though", k26="")
member("layers-without-config", "without a config", k22=None)
member("layers-empty", "present though", k24=[])
member("layers-too-many", "1024", k24=[{1: "sha256:" + "0" * 64}] * 1025)
member("layers-not-an-array", "not an array", k24={1: 1})
member("platform-of-2", "array of 3", k23=["linux", "arm"])
member("platform-of-4", "array of 3", k23=["linux", "arm", "v7", ""])
member("platform-of-bytes", "not text", k23=[b"linux", b"arm", b"v7"])
member("platform-empty", "present though", k23=[])
member("platform-no-os", "limits", k23=["", "arm", "v7"])
member("platform-no-architecture", "limits", k23=["linux", "", ""])
member("platform-long", "4096", k23=["linux", "arm", "v" * 4097])
for _key, _name in ((20, "manifest"), (22, "config"), (25, "index")):
    member(f"{_name}-too-large", "over the limit", **{f"k{_key}": {1: LIMIT + 1, 3: [LIMIT + 1]}})
    member(f"{_name}-not-a-map", "not a map", **{f"k{_key}": b"{}"})
case("member-long-form", "decode", "shortest",
     plain=lambda d: d.replace(b"\x93\xa5linux", b"\xdc\0\3\xa5linux"))
case("member-bytes-after", "decode", "after the value", plain=lambda d: d + b"\0")
accept("platform-alone", record=edit(k13=None), snapshot=lambda b, m: {
    k: v for k, v in m.items() if k < 20 or k == 23})
accept("manifest-alone", record=edit(k13=None), snapshot=lambda b, m: {
    k: v for k, v in m.items() if k < 22})
accept("layers-none", record=edit(k13=None), snapshot=lambda b, m: edit(k24=None)(m))
accept("config-alone-without-diff-ids", record=edit(k13=None), snapshot=lambda b, m: {
    k: v for k, v in m.items() if k < 20} | {22: stream(b, config_of([]))})
accept("layers-without-manifest", snapshot=lambda b, m: edit(
    k20=None, k21=None, k23=None, k25=None, k26=None)(m))


# ---- streams ---------------------------------------------------------------------------------


def form(name, word, value):
    """The manifest as a stream of a wrong form."""
    member(f"stream-{name}", word, k20=value)


form("empty", "", {1: 0})
form("empty-map", "size is missing", {})
form("size-missing", "size is missing", {2: b"{}"})
form("size-wrong", "length of its contents", {1: 3, 2: b"{}"})
form("size-limit", "limits", {1: 1 << 63, 3: [1 << 63]})
form("contents-empty", "present though", {1: 2, 2: b""})
form("contents-of-text", "not a byte string", {1: 2, 2: "{}"})
form("contents-of-257", "up to 256", {1: 257, 2: b"x" * 257})
form("nothing", "up to 256", {1: 300})
form("nothing-small", "up to 256", {1: 2})
form("both", "up to 256", {1: 2, 2: b"{}", 3: [[2, bytes(32)]]})
form("extents-of-2", "up to 256", {1: 2, 3: [[2, bytes(32)]]})
form("extents-empty", "present though", {1: 300, 3: []})
form("unknown-key", "unknown key 4", {1: 2, 2: b"{}", 4: 1})
form("key-of-64", "unknown key 64", {1: 2, 2: b"{}", 64: 1})


def chunk(b, plain, length=None):
    return [len(plain) if length is None else length, b.add(DATA, plain)]


PROBLEMS = (
    # name, size, extents, stage, export, word
    ("sum-less", 701, lambda b: [chunk(b, b"x" * 700)], "check", "no", "add up"),
    ("sum-more", 699, lambda b: [chunk(b, b"x" * 700)], "check", "no", "add up"),
    ("chunk-length", 701, lambda b: [chunk(b, b"x" * 700, 701)], "check", "no", "its extent"),
    # The same modulo 2^64.
    ("sum-overflow", 5700, lambda b: [MOST, chunk(b, noise(4096)), MOST, chunk(b, noise(1606))],
     "check", "no", "add up"),
    ("chunk-of-none", 700, lambda b: [chunk(b, b"x" * 700), [0, bytes(32)]], "check", "no",
     "limits"),
    ("chunk-too-small", 5000, lambda b: [chunk(b, noise(4000)), chunk(b, noise(1000, "rest"))],
     "check", "no", "smaller than 4,096"),
    ("chunk-missing", 700, lambda b: [[700, bytes(32)]], "check", "no", "no live pack"),
    ("chunk-of-other-kind", 700, lambda b: [[700, b.add(LIST, b"x" * 700)]], "check", "no",
     "no live pack"),
    ("zeros-too-short", 65535, lambda b: [65535], "check", "no", "limits"),
    ("zeros-touch", 140000, lambda b: [70000, 70000], "check", "no", "touch"),
    ("shape", 700, lambda b: [chunk(b, b"x" * 700) + [1]], "check", "no", "array of 2"),
    ("table-too-small", 700, lambda b: b.add(LIST, encode([0, [chunk(b, b"x" * 700)]])), "check",
     "no", "at most 1024"),
    ("inline-too-large", 50 * 65537, lambda b: [e for i in range(50) for e in (
        65536, chunk(b, b"%c" % (i + 1)))], "check", "no", "over 1024"),
    ("zeros-as-data", 65536, lambda b: [chunk(b, bytes(65536))], "read-data", "yes",
     "not a zero extent"),
    ("zeros-not-maximal", 70700, lambda b: [chunk(b, b"x" * 699 + b"\0"), 70000], "read-data",
     "yes", "maximal"),
    ("cut-early", 10000, lambda b: [chunk(b, noise(10000)[:5000]), chunk(b, noise(10000)[5000:])],
     "read-data", "yes", "chunker"),
)
for _name, _size, _make, _stage, _export, _word in PROBLEMS:
    case(f"stream-{_name}", _stage, _word, _export,
         snapshot=lambda b, m, n=_size, make=_make: m | {20: {1: n, 3: make(b)}})


# ---- layers ----------------------------------------------------------------------------------


def changed(**changes):
    return lambda b, layers: [edit(**changes)(layers[0]), layers[1]]


def bad_layer(name, word, stage="decode", **changes):
    case(f"layer-{name}", stage, word, layers=changed(**changes))


HEX = "0123456789abcdef" * 4
bad_layer("key-0", "unknown key 0", k0=1)
bad_layer("unknown-key", "unknown key 8", k8=1)
bad_layer("key-of-64", "unknown key 64", k64=1)
case("layer-not-a-map", "decode", "not a map", layers=lambda b, l: [[1], l[1]])
case("layer-empty-map", "decode", "diff_id is missing", layers=lambda b, l: [{}, l[1]])
bad_layer("diff-id-missing", "diff_id is missing", k1=None)
for _name, _digest in (
        ("short", "sha256:" + HEX[1:]), ("long", "sha256:" + HEX + "0"),
        ("upper-case", "sha256:" + HEX.upper()), ("no-hex", "sha256:" + "g" * 64),
        ("of-sha1", "sha1:" + HEX[:40]), ("algorithm-upper-case", "SHA256:" + HEX),
        ("without-algorithm", HEX), ("sha256-of-128", "sha256:" + HEX * 2),
        ("sha512-of-64", "sha512:" + HEX), ("space", " sha256:" + HEX),
        ("newline", "sha256:" + HEX + "\n")):
    bad_layer(f"diff-id-{_name}", "not a digest", k1=_digest)
bad_layer("diff-id-of-bytes", "not text", k1=bytes(32))
bad_layer("digest-short", "not a digest", k4="sha256:" + HEX[1:])
bad_layer("digest-upper-case", "not a digest", k4="sha256:" + HEX.upper())
bad_layer("digest-empty", "present though", k4="")
bad_layer("size-0", "present though", k2=0)
bad_layer("size-negative", "unsigned", k2=-1)
bad_layer("size-limit", "limits", k2=1 << 63)
bad_layer("recipe-without-size", "without a size", k2=None)
bad_layer("recipe-empty", "present though", k3=[])
bad_layer("blob-size-0", "present though", k5=0)
bad_layer("media-type-empty", "present though", k6="")
bad_layer("media-type-of-bytes", "not text", k6=b"tar")
bad_layer("blob-empty", "", k7={1: 0})
bad_layer("blob-not-a-map", "not a map", k7=b"x")
bad_layer("blob-contents-of-257", "up to 256", k7={1: 257, 2: b"x" * 257})


def bad_blob(name, stage, word, change, export="yes"):
    """Every blob is kept; change(b, blob) gives other members of layer 0."""
    case(f"layer-blob-{name}", stage, word, export, keep_blobs=True, layers=lambda b, layers: [
        layers[0] | change(b, b"".join(b.objects[e[1]][1] for e in layers[0][7][3])), layers[1]])


bad_blob("other", "read-data", "does not give", lambda b, old: {7: stream(b, old[:-1] + b"x")})
bad_blob("digest", "read-data", "does not give", lambda b, old: {4: "sha512:" + HEX * 2}, "any")
bad_blob("size", "check", "blob's size", lambda b, old: {5: len(old) + 1}, "any")
bad_blob("shorter", "check", "blob's size", lambda b, old: {7: stream(b, old[:-1])})
bad_blob("sum", "check", "add up", lambda b, old: {7: {1: len(old), 3: [chunk(b, old[1:])]}})
bad_blob("chunk-missing", "check", "no live pack", lambda b, old: {
    7: {1: len(old), 3: [[len(old), bytes(32)]]}})
bad_blob("chunk-too-small", "check", "smaller than 4,096", lambda b, old: {
    7: {1: len(old), 3: [chunk(b, old[:1000]), chunk(b, old[1000:])]}})


# ---- config ----------------------------------------------------------------------------------


def config(name, word, make):
    """A config that does not fit the layers; make(layers) gives its bytes."""
    case(f"config-{name}", "read-data", word, "any", snapshot=lambda b, m: m | {
        22: stream(b, make(m[24]))})


config("diff-ids-fewer", "1 diff_ids for 2 layers", lambda layers: config_of(layers[:1]))
config("diff-ids-more", "3 diff_ids for 2 layers", lambda layers: config_of(layers + layers[:1]))
config("diff-ids-none", "0 diff_ids for 2 layers", lambda layers: config_of([]))
config("diff-ids-other", "not those of the layers", lambda layers: config_of([
    layers[0], {1: "sha256:" + HEX}]))
config("diff-ids-exchanged", "not those of the layers", lambda layers: config_of(layers[::-1]))
config("diff-ids-of-numbers", "not those of the layers", lambda layers: config_of([{1: 1}, {1: 2}]))
config("not-utf-8", "no diff_ids", lambda layers: b'{"author":"\xff",' + config_of(layers)[1:])
config("without-rootfs", "no diff_ids", lambda layers: compact({"os": "linux"}))
config("rootfs-of-text", "no diff_ids", lambda layers: compact({"rootfs": "layers"}))
config("diff-ids-of-text", "no diff_ids", lambda layers: compact({"rootfs": {"diff_ids": "ab"}}))
config("not-json", "no diff_ids", lambda layers: config_of(layers)[:-1])
config("bytes-after", "no diff_ids", lambda layers: config_of(layers) + b"x")


# ---- recipes ---------------------------------------------------------------------------------


def added(name, word, *more, extra=0, stage="check"):
    """An item more at the end, which stands for `extra` bytes of the layer's size."""
    def items(b, old):
        return old + [m(b) if callable(m) else m for m in more]
    case(f"recipe-{name}", stage, word, items=items,
         size=ARCHIVE + extra if extra else None)


# The size of the lower layer's archive: three headers, two parts padded, the end.
ARCHIVE = 3 * 512 + 2 * 512 + 1024
added("literal-empty", "outside of the limits", b"")
added("literal-too-long", "outside of the limits", b"x" * 4097, extra=4097)
added("zeros-0", "limits", 0)
added("zeros-negative", "unsigned", -1, extra=-1)
added("zeros-limit", "limits", 1 << 63)
added("chunk-of-none", "limits", lambda b: [0, bytes(32)])
added("chunk-too-large", "limits", lambda b: chunk(b, noise(65537)), extra=65537)
added("chunk-longer", "not the one in the recipe", lambda b: chunk(b, b"12345", 6), extra=6)
added("chunk-shorter", "not the one in the recipe", lambda b: chunk(b, b"12345", 4), extra=4)
added("chunk-missing", "no live pack", [5, bytes(32)], extra=5)
added("chunk-of-other-kind", "no live pack", lambda b: [5, b.add(SIDE, b"12345")], extra=5)
added("chunk-id-short", "31 bytes", [5, bytes(31)], extra=5)
added("chunk-id-of-text", "not a byte string", [5, "a" * 32], extra=5)
added("file-of-none", "limits", [b"dir/small", 0])
added("file-missing", "no regular file", [b"nowhere", 5], extra=5)
added("file-below-file", "no regular file", [b"file/small", 5], extra=5)
added("file-directory", "no regular file", [b"dir", 5], extra=5)
added("file-symlink", "no regular file", [b"link", 4], extra=4)
added("file-root", "root", [b"", 5], extra=5)
added("file-absolute", "limits of a name", [b"/dir/small", 5], extra=5)
added("file-dot-dot", "limits of a name", [b"dir/../dir/small", 5], extra=5)
added("file-slash-after", "limits of a name", [b"dir/small/", 5], extra=5)
added("file-shorter", "another size", [b"dir/small", 4], extra=4)
added("file-longer", "another size", [b"dir/small", 6], extra=6)
added("file-of-text", "not an unsigned", ["dir/small", 5], extra=5)
added("item-of-1", "array of 2", [b"dir/small"])
added("item-of-3", "array of 2", [b"dir/small", 5, 5], extra=5)
added("item-empty", "array of 2", [])
added("item-text", "array of 2", "text")
added("item-negative-length", "unsigned", [-5, bytes(32)], extra=-5)
added("file-path-limit", "limits", [b"n/" * 32768 + b"n", 5], extra=5)
added("item-nested", "array of 2", [[[[]]]])
added("item-map", "array of 2", {1: 1})
case("recipe-sum-less", "check", "add up", size=ARCHIVE + 1)
case("recipe-sum-more", "check", "add up", size=ARCHIVE - 1)
case("recipe-sum-overflow", "check", "add up", items=lambda b, old: old + [MOST, MOST, 2])
case("recipe-part-missing", "check", "add up", items=lambda b, old: old[:1] + old[2:])
case("recipe-short-id", "check", "31 bytes", recipe=lambda b, old: bytes(31))
case("recipe-of-text", "check", "not a byte string", recipe=lambda b, old: "text")
case("recipe-object-missing", "check", "no live pack", recipe=lambda b, old: bytes(32))
case("recipe-object-of-other-kind", "check", "no live pack",
     size=ARCHIVE + 1100, recipe=lambda b, old: b.add(SIDE, encode([0, old + [b"x" * 1100]])))
case("recipe-inline-too-large", "check", "over 1024", size=ARCHIVE + 1100,
     recipe=lambda b, old: old + [b"x" * 1100])

# What the recipe gives is not what the diff_id says.
case("diff-id-wrong", "read-data", "does not give", diff_id="sha256:" + HEX)
case("diff-id-wrong-sha512", "read-data", "does not give", diff_id="sha512:" + HEX * 2)
case("diff-id-wrong-order", "read-data", "does not give",
     items=lambda b, old: [old[-1]] + old[:-1])
case("diff-id-wrong-literal", "read-data", "does not give",
     items=lambda b, old: at(0, b"x" + old[0][1:])(old))


# ---- tables of recipes -----------------------------------------------------------------------


def many(b, old=None):
    """Items for a table of two levels, after `old`."""
    names = sorted([b"dir/%02d" % i for i in range(24)] + [
        splitting_path(lambda n, i=i: b"dir/%02d-%d" % (i, n), 1) for i in (4, 10, 16)])
    out = []
    for i, name in enumerate(names):
        out += [b"item %02d " % i * 4, [name, 5], i + 1]
    return out


def grow_table(twin, member_of, n):
    """An image of one layer whose files all have five bytes."""
    b = Builder()
    items = many(b)[:n]
    files = [i[0] for i in items if isinstance(i, list)]
    archive = Archive(b)
    for part in items:
        if isinstance(part, list):
            archive.file(part[0], b"small")
        elif isinstance(part, int):
            archive.zeros(part)
        else:
            archive.literal(part)
    node = b.directory(None, [b.directory(b"dir", [b.file(f[4:], b"small") for f in files])])
    one = layer(b, archive)
    if member_of:
        one[3] = member_of(b, archive.items)
    more = members(b, [one])
    _, record = b.snapshot(b.root(node), "bad:1", **{f"k{k}": v for k, v in more.items()})
    twin.w.commit(twin.w.store(b), record | {13: layer_names([one])}, "bad:1")
    twin.w.head()


def table(name, word, regroup=lambda g: g, change=lambda top: top, level=1, recipe=None, n=81,
          stage="check"):
    """A recipe whose table is put together otherwise."""
    def default(b, items):
        return table_of(b, RECIPES, regroup(levels(RECIPES, items)), change, level)
    CASES.append({"name": f"recipe-table-{name}", "stage": stage, "word": word, "export": "no",
                  "image": "bad:1", "make": lambda t: grow_table(t, recipe or default, n)})


def needless(b, items):
    groups = levels(RECIPES, items)
    assert len(groups) == 1
    top = index_item(b, RECIPES, 0, items, len(items))
    return b.add(LIST, encode([1, [top]]))


ACCEPTED.append({"name": "recipe-table", "image": "bad:1",
                 "make": lambda t: grow_table(t, None, 81)})
ACCEPTED.append({"name": "recipe-table-remade", "image": "bad:1", "make": lambda t: grow_table(
    t, lambda b, items: table_of(b, RECIPES, levels(RECIPES, items)), 81)})
table("split-late", "split by the rule", lambda g: [g[0] + g[1]] + g[2:])
table("split-early", "split by the rule", lambda g: [g[0][:4], g[0][4:]] + g[1:])
table("split-moved", "split by the rule", lambda g: [g[0] + g[1][:1], g[1][1:]] + g[2:])
table("not-split", "split by the rule", lambda g: [sum(g, [])])
table("count", "split by the rule", change=item(0, 1, lambda n: n + 1))
table("count-0", "limits", change=item(0, 1, lambda n: 0))
table("bytes", "split by the rule", change=item(0, 2, lambda n: n + 1))
table("key-for-bytes", "unsigned", change=item(0, 2, lambda n: b"key"))
# A good table of another archive, since each of its objects ends by a q.
table("children-exchanged", "does not give", change=lambda top: [top[1], top[0]] + top[2:],
      stage="read-data")
table("level", "below level 2", level=2)
table("level-limit", "limits", level=16)
table("level-0-of-index", "array of 2", level=0)
table("item-shape", "array of 3", change=lambda top: [top[0] + [1]] + top[1:])
table("child-missing", "no live pack", change=item(1, 0, lambda i: bytes(32)))
table("empty", "limits", recipe=lambda b, items: b.add(LIST, encode([0, []])))
table("shape", "array of 2", recipe=lambda b, items: b.add(LIST, encode([0, items, 1])))
table("bytes-after", "after the value",
      recipe=lambda b, items: b.add(LIST, encode([0, items]) + b"\0"), n=30)
table("long-form", "shortest", recipe=lambda b, items: b.add(
    LIST, b"\x92\0\xdd\0\0" + encode(items)[1:]), n=30)
table("too-small", "at most 1024", recipe=lambda b, items: b.add(LIST, encode([0, items])), n=9)
table("needless-level", "at most 1024", recipe=needless, n=9)


# ---- records of the log ----------------------------------------------------------------------


def record(name, change):
    case(f"record-{name}", "check", "layers in the record", "yes", record=change)


record("layers-missing", edit(k13=None))
record("layers-other", lambda m: m | {13: m[13][:-1] + b"x"})
record("layers-fewer", lambda m: m | {13: m[13][:16]})
record("layers-more", lambda m: m | {13: m[13] + bytes(16)})
record("layers-exchanged", lambda m: m | {13: m[13][16:] + m[13][:16]})
case("record-layer-without-recipe", "check", "layers in the record", "yes",
     layers=lambda b, layers: [edit(k3=None)(layers[0]), layers[1]])
case("record-without-layers", "check", "layers in the record", "any",
     snapshot=lambda b, m: edit(k24=None)(m))
accept("layer-twice", snapshot=lambda b, m: edit(k20=None, k21=None)(m) | {
    22: stream(b, config_of(m[24][:1] * 2)), 24: m[24][:1] * 2},
       record=lambda m: m | {13: m[13][:16] * 2})
accept("blobs-kept", keep_blobs=True)

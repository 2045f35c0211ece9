"""Faults of config, keys, log, checkpoints and head; damage of any file."""

import copy
import os

from faults import at, damage, edit, flip, grow, put, register, reseal
from fmt.check import Repository
from fmt.strict import decode, encode
from writer import EPOCH_START, Hooks

CASES, ACCEPTED = [], []
case, accept = register(CASES), register(ACCEPTED)

E8, E9, E10, E11 = (f"log/{n:016x}" for n in (8, 9, 10, 11))
C8 = "checkpoints/0000000000000008"


# ---- config ----------------------------------------------------------------------------------


def config_file(name, word, change):
    case(f"config-{name}", "open", "config", word, lambda t: damage(t, "config", change))


def config_header(name, word, change):
    case(f"config-{name}", "open", "config", word, lambda t: reseal(t, "config", change))


def config_body(name, word, body):
    """`body` makes the body from the members of a good one."""
    def make(t):
        good = {1: "ociv2", 2: t.golden.keyring.repo_id, 3: 1, 5: EPOCH_START}
        made = body(good)
        t.w.clear_file("config", "F", made if isinstance(made, bytes) else encode(made))
    case(f"config-{name}", "open", "config", word, make)


def raw_map(pairs):
    return bytes([0x80 | len(pairs)]) + b"".join(encode(k) + v for k, v in pairs)


def pairs_of(m):
    return [(k, encode(m[k])) for k in sorted(m)]


config_file("truncated", "damaged", lambda d: d[:-1])
config_file("empty", "too short", lambda d: b"")
config_file("flipped", "damaged", flip(80))
config_file("trailer-flipped", "damaged", flip(-1))
config_file("too-large", "limit", lambda d: d + bytes(65536))
case("config-missing", "open", "config", "No such file", lambda t: t.remove("config"))
config_header("magic", "magic", flip(0))
config_header("type", "type", put(8, b"K"))
config_header("type-version", "version 2", put(9, 2))
config_header("kind", "kind", put(10, 1))
config_header("envelope-sealed", "envelope", put(11, 1))
config_header("envelope-public-key", "envelope", put(11, 2))
config_header("epoch", "epoch", put(12, 1))
config_header("number", "number", put(16, 1))
config_header("reserved", "reserved", put(31, 1))
config_header("salt", "salt", put(63, 1))
config_body("name", "not the config", lambda m: m | {1: "other"})
config_body("format-version", "format version 2", lambda m: m | {3: 2})
config_body("feature", "feature", lambda m: m | {4: ["shiny"]})
config_body("features-empty", "present though", lambda m: m | {4: []})
config_body("exchanged", "entry 0", lambda m: m | {5: EPOCH_START + 1})
config_body("other-repository", "keyring", lambda m: m | {2: bytes(32)})
config_body("short-id", "31 bytes", lambda m: m | {2: bytes(31)})
config_body("unknown-key", "unknown key 6", lambda m: m | {6: 1})
config_body("key-of-64", "unknown key 64", lambda m: m | {64: 1})
config_body("missing-member", "missing", lambda m: {k: m[k] for k in (1, 2, 3)})
config_body("bytes-after", "after the value", lambda m: encode(m) + b"\0")
config_body("long-form", "shortest",
            lambda m: raw_map(pairs_of(m)[:3] + [(5, b"\xcf" + bytes(4) + b"\x65\x53\xf1\0")]))
config_body("long-form-of-text", "shortest",
            lambda m: raw_map([(1, b"\xd9\x05ociv2")] + pairs_of(m)[1:]))
config_body("long-form-of-bytes", "shortest",
            lambda m: raw_map([pairs_of(m)[0], (2, b"\xc5\0\x20" + m[2])] + pairs_of(m)[2:]))
config_body("long-form-of-map", "shortest", lambda m: b"\xde\0\4" + encode(m)[1:])
config_body("signed-form", "shortest",
            lambda m: raw_map(pairs_of(m)[:3] + [(5, b"\xd2\x65\x53\xf1\0")]))
config_body("keys-descend", "ascend", lambda m: raw_map(pairs_of(m)[::-1]))
config_body("key-twice", "ascend", lambda m: raw_map(pairs_of(m) + [(5, encode(m[5]))]))
config_body("key-of-text", "unsigned integer", lambda m: b"\x81\xa1a\x01")
config_body("key-negative", "unsigned integer", lambda m: b"\x81\xff\x01")
config_body("nil", "not allowed", lambda m: raw_map(pairs_of(m)[:3] + [(5, b"\xc0")]))
config_body("boolean", "not allowed", lambda m: raw_map(pairs_of(m)[:3] + [(5, b"\xc3")]))
config_body("float", "not allowed", lambda m: raw_map(pairs_of(m)[:3] + [(5, b"\xca" + bytes(4))]))
config_body("extension", "not allowed", lambda m: raw_map(pairs_of(m)[:3] + [(5, b"\xd4\1\1")]))
config_body("text-not-utf-8", "UTF-8", lambda m: raw_map([(1, b"\xa2\xc3\x28")]))
config_body("text-with-nul", "NUL", lambda m: raw_map([(1, b"\xa2a\0")]))
config_body("bytes-for-text", "not text", lambda m: m | {1: b"ociv2"})
config_body("text-for-bytes", "not a byte string", lambda m: m | {2: "a" * 32})
config_body("count-lies", "count is larger", lambda m: raw_map([(4, b"\xdd\xff\xff\xff\xff")]))
config_body("length-lies", "longer than", lambda m: raw_map([(2, b"\xc6\xff\xff\xff\xff")]))
config_body("nesting", "nested deeper", lambda m: raw_map([(4, b"\x91" * 128 + b"\x90")]))


# ---- keys ------------------------------------------------------------------------------------


def slot(name, word, hooks=None, damage_=None, kind=1, stage="open", file="keys/"):
    """A new slot in place of the golden one of its type."""
    def make(t):
        path = t.golden.slots[kind]
        if damage_:
            damage_(t, path)
            return
        t.remove(path)
        t.w.slot(kind, b"golden" if kind == 1 else b"k" * 32, Hooks(hooks))
    case(f"slot-{name}", stage, file, word, make, "golden:1")


def keyring(change):
    """A hook that changes a keyring's plain bytes through its map."""
    return lambda plain: encode(change(decode(plain, "")))


slot("truncated", "damaged", damage_=lambda t, p: damage(t, p, lambda d: d[:-1]))
slot("flipped", "damaged", damage_=lambda t, p: damage(t, p, flip(100)))
slot("missing", "no slot", damage_=lambda t, p: t.remove(p), file="")
slot("wrapped-flipped", "no slot", {"slot": lambda m: m | {5: flip(30)(m[5])}}, file="")
slot("salt-flipped", "no slot", {"slot": lambda m: m | {2: flip(3)(m[2])}}, file="")
slot("salt-length", "17 bytes", {"slot": lambda m: m | {2: m[2] + b"x"}})
slot("memory", "limits", {"slot": edit(k4=(1 << 20) + 1)})
slot("passes", "limits", {"slot": edit(k3=33)})
slot("passes-missing", "passes is missing", {"slot": edit(k3=None)})
slot("hint-of-password", "unknown key 8", {"slot": edit(k8=bytes(8))})
slot("unknown-key", "unknown key 9", {"slot": edit(k9=1)})
slot("bytes-after", "after the value", {"slot plain": lambda d: d + b"\0"})
slot("version", "version 2", {"header": put(9, 2)})
slot("too-large", "limit", {"slot": edit(k7=bytes(70000))})
slot("keyring-member", "unknown key 4", {"keyring": keyring(edit(k4=b"x"))})
slot("keyring-of-other", "config", {"keyring": keyring(edit(k1=bytes(32)))}, file="config")
slot("keyring-epoch", "ascend from 1",
     {"keyring": keyring(lambda m: m | {3: [[2, m[3][0][1]]]})})
slot("keyring-no-epoch", "ascend from 1", {"keyring": keyring(edit(k3=[]))})
slot("keyring-epochs", "limit",
     {"keyring": keyring(edit(k3=[[i + 1, bytes(32)] for i in range(1025)]))})
slot("keyring-bytes-after", "after the value", {"keyring": lambda d: d + b"\0"})
slot("description-flipped", "description", {"slot": lambda m: m | {7: flip(30)(m[7])}},
     stage="check")
slot("description-key", "unknown key 5", {"description": edit(k5=1)}, stage="check")
slot("key-file-flipped", "damaged", damage_=lambda t, p: damage(t, p, flip(100)), kind=2,
     stage="check")
slot("key-file-with-passes", "unknown key 3", {"slot": edit(k3=1)}, kind=2, stage="check")


# ---- log -------------------------------------------------------------------------------------


def log(name, word, outer=None, inner=None, hooks=None, file=E10, before=None, stage="open"):
    """One more entry with a fault."""
    def make(t):
        if before:
            before(t)
        def lists(value, given):
            return value | (given(t) if callable(given) else given or {})
        own = Hooks(hooks or {})
        own["outer"] = lambda v, old=own.get("outer"): lists(old(v) if old else v, outer)
        own["inner"] = lambda v, old=own.get("inner"): lists(old(v) if old else v, inner)
        t.w.entry(hooks=own)
        t.w.head()
    case(f"entry-{name}", stage, file, word, make, "golden:1")


def live(t, kind=1):
    return next([k, n, s] for n, (k, s) in sorted(t.golden.state.of("live").items()) if k == kind)


def dropped(t):
    return next([k, n, s] for n, (k, s) in sorted(t.golden.state.of("dropped").items()) if k == 2)


def some_snapshot(t):
    return sorted(t.golden.state.snapshots.items())[0]


def record(t, **changes):
    return {6: [edit(**changes)(some_snapshot(t)[1] | {1: b"n" * 32})]}


def new_object(n, kind=1):
    return [kind, bytes([n]) * 32, 100]


def resized(obj):
    return obj[:2] + [obj[2] + 1]


def swap(t, a, b):
    x, y = t.read(a), t.read(b)
    t.w.write(a, y)
    t.w.write(b, x)


for _name, _stage, _path in (("last", "open", E9), ("of-checkpoint", "open", E8),
                             ("early", "check", "log/0000000000000003")):
    case(f"entry-truncated-{_name}", _stage, _path, "damaged",
         lambda t, p=_path: damage(t, p, lambda d: d[:-5]), "golden:1")
    case(f"entry-flipped-{_name}", _stage, _path, "damaged",
         lambda t, p=_path: damage(t, p, flip(100)), "golden:1")
    case(f"entry-sealed-{_name}", _stage, _path, "does not open",
         lambda t, p=_path: reseal(t, p, flip(100)), "golden:1")
case("entry-missing", "check", "log/0000000000000003", "missing",
     lambda t: t.remove("log/0000000000000003"), "golden:1")
case("entry-last-missing", "open", "head", "beyond the end", lambda t: t.remove(E9), "golden:1")
case("entry-swapped", "open", "log/", "number", lambda t: swap(t, E8, E9), "golden:1")
case("entry-gap", "check", E10, "missing", lambda t: (
    setattr(t.w, "number", 10), t.w.entry()), "golden:1")
case("log-empty", "open", "log", "no entries", lambda t: [
    t.remove(f"log/{n:016x}") for n in range(10)], "golden:1")
log("version", "version 2", hooks={"entry header": put(9, 2)})
log("type", "type", hooks={"entry header": put(8, b"P")})
log("kind", "kind", hooks={"entry header": put(10, 1)})
log("envelope", "envelope", hooks={"entry header": put(11, 0)})
log("epoch", "epoch 2", hooks={"entry header": put(12, 2)})
log("header-number", "number", hooks={"entry header": put(16, 11)})
log("number", "number", outer={1: 11})
log("number-missing", "number", hooks={"outer": edit(k1=None)})
log("previous", "chain", outer={2: bytes(32)})
log("previous-missing", "previous", hooks={"outer": edit(k2=None)})
log("transaction-missing", "transaction is missing", hooks={"outer": edit(k3=None)})
log("config-later", "config hash", outer=lambda t: {8: t.golden.state.config})
log("signatures", "unknown key 9", outer={9: [b"signature"]})
log("unknown-key", "unknown key 64", outer={64: 1})
log("inner-unknown-key", "unknown key 10", inner={10: 1})
log("list-empty", "present though", outer={4: []})
log("user-empty", "present though", inner={2: ""})
log("section-after", "section 2", hooks={
    "entry body": lambda d: d + bytes(40)}, file=E10)
log("section-missing", "section 0", hooks={"entry body": lambda d: d[:-200]})
log("padding", "padding", hooks={"outer document": Hooks({"padded": lambda d: d + b"\1"})})
log("codec", "codec 2", hooks={"outer document": Hooks({"document": at(0, 2)})})
log("document-length", "not the one recorded", hooks={
    "outer document": Hooks({"document": lambda d: [0, d[1] + 1, d[2]]})})
log("document-shape", "not [codec", hooks={"outer document": Hooks({"document": lambda d: d[:2]})})
log("document-limit", "64 MiB", hooks={
    "outer document": Hooks({"document": at(1, (64 << 20) + 1)})})
log("document-bytes-after", "after the value", hooks={
    "outer document": Hooks({"document plain": lambda d: d + b"\0"})})
log("objects-unsorted", "ascend", outer={4: [new_object(2), new_object(1)]})
log("object-twice", "ascend", outer={4: [new_object(1), new_object(1)]})
log("object-in-two-lists", "two lists", outer={4: [new_object(1)], 5: [new_object(1)]})
log("object-type", "limits", outer={4: [new_object(1, 4)]})
log("object-shape", "array of 3", outer={4: [new_object(1) + [0]]})
log("adds-live", "adds the live", outer=lambda t: {4: [live(t)]})
log("adds-dropped", "adds the dropped", outer=lambda t: {4: [dropped(t)]})
log("adds-condemned", "adds the condemned", outer=lambda t: {4: [live(t)]}, file=E11,
    before=lambda t: t.w.entry({5: [live(t)]}))
log("condemns-condemned", "condemns the condemned", outer=lambda t: {5: [live(t)]}, file=E11,
    before=lambda t: t.w.entry({5: [live(t)]}))
log("condemns-other-size", "type or size", outer=lambda t: {5: [resized(live(t))]})
log("condemns-other-type", "type or size", outer=lambda t: {5: [[2] + live(t)[1:]]})
log("revives-other-size", "type or size", outer=lambda t: {6: [resized(live(t))]}, file=E11,
    before=lambda t: t.w.entry({5: [live(t)]}))
log("drops-other-size", "type or size", outer=lambda t: {7: [resized(live(t))]}, file=E11,
    before=lambda t: t.w.entry({5: [live(t)]}))
for _name, _verb, _list in (("adds", "adds", 4), ("condemns", "condemns", 5),
                            ("revives", "revives", 6)):
    log(f"{_name}-orphan", f"{_verb} the orphaned", outer={_list: [new_object(1)]}, file=E11,
        before=lambda t: t.w.entry({5: [new_object(1)]}))
log("drops-orphan-other-size", "type or size", outer={7: [resized(new_object(1))]}, file=E11,
    before=lambda t: t.w.entry({5: [new_object(1)]}))
log("revives-orphan-once-dropped", "revives the orphaned", outer=lambda t: {6: [dropped(t)]},
    file=E11, before=lambda t: t.w.entry({5: [dropped(t)]}))
log("revives-live", "revives the live", outer=lambda t: {6: [live(t)]})
log("revives-dropped", "revives the dropped", outer=lambda t: {6: [dropped(t)]})
log("revives-unknown", "revives the unknown", outer={6: [new_object(1)]})
log("drops-live", "drops the live", outer=lambda t: {7: [live(t)]})
log("drops-unknown", "drops the unknown", outer={7: [new_object(1)]})
log("adds-snapshot-twice", "which exists", inner=lambda t: {6: [some_snapshot(t)[1]]})
log("removes-unknown-snapshot", "does not exist", inner={7: [b"x" * 32]})
log("tag-to-unknown", "without its snapshot", inner={8: [["t:1", b"x" * 32]]})
log("tag-to-removed", "without its snapshot",
    inner=lambda t: {7: [t.golden.state.tags["golden:1"]]})
log("removes-unknown-tag", "does not exist", inner={9: ["no:1"]})
log("tags-unsorted", "ascend",
    inner=lambda t: {8: [["b:1", some_snapshot(t)[0]], ["a:1", some_snapshot(t)[0]]]})
log("tags-twice", "ascend",
    inner=lambda t: {8: [["a:1", some_snapshot(t)[0]], ["a:1", some_snapshot(t)[0]]]})
log("removed-tags-unsorted", "ascend", inner={9: ["kept:1", "golden:1"]})
log("reference-too-long", "400", inner=lambda t: {8: [["t" * 401, some_snapshot(t)[0]]]})
log("text-too-long", "4096", inner={2: "u" * 4097})
log("record-without-id", "snapshot id is missing", inner=lambda t: record(t, k1=None))
log("record-without-tree", "tree id is missing", inner=lambda t: record(t, k2=None))
log("record-unknown-key", "unknown key 14", inner=lambda t: record(t, k14=1))
log("record-layers-cut", "beginnings of digests", inner=lambda t: record(t, k13=bytes(17)))
log("record-layers-empty", "present though", inner=lambda t: record(t, k13=b""))
log("record-layers-too-many", "limits", inner=lambda t: record(t, k13=bytes(16 * 1025)))
log("record-nanoseconds", "limits", inner=lambda t: record(t, k5=1_000_000_000))
log("record-time", "limits", inner=lambda t: record(t, k4=(1 << 62) + 1))
log("record-labels", "256", inner=lambda t: record(t, k7=[["%04d" % i, ""] for i in range(257)]))
log("record-labels-unsorted", "ascend", inner=lambda t: record(t, k7=[["b", ""], ["a", ""]]))
log("record-labels-twice", "ascend", inner=lambda t: record(t, k7=[["a", ""], ["a", "b"]]))
log("record-packs", "list of names", inner=lambda t: record(t, k11=bytes(33)))
log("record-packs-unsorted", "ascend", inner=lambda t: record(t, k11=b"b" * 32 + b"a" * 32))


def fresh(name, word, config=None, hooks=None, outer=None):
    """A repository of its own with a fault in entry 0."""
    def make(t):
        t.clear()
        trailer = t.w.config()
        t.w.slot(1, b"golden")
        first = {8: trailer} if outer is None else outer
        t.w.entry(first, hooks=Hooks(hooks or {}))
    case(f"entry-0-{name}", "open", "", word, make, "golden:1")


fresh("config-wrong", "entry 0", outer={8: bytes(32)})
fresh("config-missing", "config hash", outer={})
fresh("previous", "previous", hooks={"outer": edit(k2=bytes(32))})
fresh("number", "present though", hooks={"outer": edit(k1=0)})


# ---- markers, checkpoints, head --------------------------------------------------------------


def old_marker(t, number, hooks=None, trailer=None):
    t.w.marker(number, trailer or t.golden.log.entry(number).trailer, Hooks(hooks or {}))


case("marker-uncovered", "open", E9, "replaced", lambda t: old_marker(t, 9), "golden:1")
case("marker-number", "open", E8, "number",
     lambda t: old_marker(t, 8, {"marker": edit(k1=7)}), "golden:1")
case("marker-of-the-first", "open", "", "first entry", lambda t: (
    [t.remove(f"checkpoints/{n}") for n in os.listdir(os.path.join(t.root, "checkpoints"))],
    t.w.marker(0, t.golden.log.entry(0).trailer, Hooks({"marker": edit(k1=None)}))), "golden:1")
case("marker-hash", "open", "", "", lambda t: old_marker(t, 8, trailer=bytes(32)), "golden:1")
case("marker-unknown-key", "open", E8, "unknown key 3",
     lambda t: old_marker(t, 8, {"marker": edit(k3=1)}), "golden:1")


def checkpoint(name, word, change=None, hooks=None):
    """Checkpoint 8 with another state, or with hooks."""
    def make(t):
        state = copy.deepcopy(t.golden.log.states[8])
        if change:
            change(state)
        t.w.checkpoint(state, Hooks(hooks or {}))
    case(f"checkpoint-{name}", "check", "", word, make, "golden:1")


def lose_tag(state):
    state.tags.pop("golden:latest")


def lose_object(state):
    state.objects.pop(sorted(state.of("live"))[0])


def condemn_object(state):
    name = sorted(state.of("live"))[0]
    state.objects[name] = state.objects[name][:2] + ("condemned",)


def orphan_object(state):
    name = sorted(state.of("condemned"))[0]
    state.objects[name] = state.objects[name][:2] + ("orphaned",)


def forget_orphan(state):
    state.objects.pop(sorted(state.of("orphaned"))[0])


def condemn_orphan(state):
    name = sorted(state.of("orphaned"))[0]
    state.objects[name] = state.objects[name][:2] + ("condemned",)


def change_record(state):
    snap = sorted(state.snapshots)[0]
    state.snapshots[snap] = state.snapshots[snap] | {8: 77}


def stale_tag(state):
    state.tags["golden:latest"] = state.tags["golden:1"]


checkpoint("tag-lost", "not the state", lose_tag)
checkpoint("tag-stale", "not the state", stale_tag)
checkpoint("object-lost", "not the state", lose_object)
checkpoint("object-condemned", "", condemn_object)
checkpoint("object-orphaned", "not the state", orphan_object)
checkpoint("orphan-lost", "not the state", forget_orphan)
checkpoint("orphan-condemned", "not the state", condemn_orphan)
checkpoint("record-changed", "not the state", change_record)
checkpoint("hash", "hash", lambda s: setattr(s, "hash", bytes(32)))
checkpoint("config", "not the state", lambda s: setattr(s, "config", bytes(32)))
checkpoint("number", "number", hooks={"outer": edit(k1=7)})
checkpoint("unknown-key", "unknown key 7", hooks={"outer": edit(k7=1)})
checkpoint("inner-unknown-key", "unknown key 3", hooks={"inner": edit(k3=1)})
checkpoint("unsorted", "ascend", hooks={"outer": lambda m: m | {3: m[3][::-1]}})
checkpoint("live-and-condemned", "in two lists",
           hooks={"outer": lambda m: m | {4: m[3][:1]}})
checkpoint("live-and-orphaned", "in two lists",
           hooks={"outer": lambda m: m | {6: m[3][:1]}})
checkpoint("orphans-unsorted", "ascend", hooks={
    "outer": lambda m: m | {6: [new_object(2), new_object(1)]}})
checkpoint("orphans-empty", "present though", hooks={"outer": lambda m: m | {6: []}})
checkpoint("tags-unsorted", "ascend", hooks={"inner": lambda m: m | {2: m[2][::-1]}})
checkpoint("records-unsorted", "ascend", hooks={"inner": lambda m: m | {1: m[1][::-1]}})
checkpoint("version", "version 2", hooks={"checkpoint header": put(9, 2)})
case("checkpoint-flipped", "check", C8, "damaged", lambda t: damage(t, C8, flip(120)), "golden:1")
case("checkpoint-truncated", "check", C8, "damaged",
     lambda t: damage(t, C8, lambda d: d[:-40]), "golden:1")
case("checkpoint-beyond-the-end", "check", "checkpoints/00000000000000ff", "",
     lambda t: t.w.write("checkpoints/00000000000000ff", t.read(C8)), "golden:1")
case("reserve-size", "check", "reserve", "64 KiB",
     lambda t: t.w.clear_file("reserve", "R", bytes(65535)), "golden:1")
case("checkpoint-renamed", "check", "checkpoints/0000000000000007", "number",
     lambda t: t.w.write("checkpoints/0000000000000007", t.read(C8)), "golden:1")


def head(name, word, make, stage="open"):
    case(f"head-{name}", stage, "head", word, make, "golden:1")


head("beyond-the-end", "beyond the end", lambda t: t.w.head(10))
head("far-beyond-the-end", "beyond the end", lambda t: t.w.head((1 << 64) - 1))
head("hash", "hash", lambda t: t.w.head(trailer=bytes(32)))
head("old-hash", "hash", lambda t: t.w.head(7))
head("missing", "missing", lambda t: t.remove("head"), "check")
head("flipped", "damaged", lambda t: damage(t, "head", flip(90)), "check")
head("truncated", "short", lambda t: damage(t, "head", lambda d: d[:50]), "check")
head("sealed", "does not open", lambda t: reseal(t, "head", flip(90)), "check")
head("unknown-key", "unknown key 3",
     lambda t: t.w.head(hooks=Hooks({"head": edit(k3=1)})), "check")
head("section-after", "section 1",
     lambda t: t.w.head(hooks=Hooks({"body": lambda d: d + bytes(30)})), "check")
case("reserve-flipped", "check", "reserve", "damaged",
     lambda t: damage(t, "reserve", flip(1000)), "golden:1")


# ---- what has to be accepted -----------------------------------------------------------------


def unknown_slot(t):
    t.w.clear_file(f"keys/{'0' * 32}", "K", encode({1: 3, 2: b"something", 77: "else"}))


def orphans(t):
    """Never added, or dropped long ago, and condemned: no file, and no segment has them."""
    t.w.entry({5: [new_object(1), new_object(2, 3), resized(dropped(t))]})
    t.w.checkpoint(replayed(t))
    t.w.entry({7: [new_object(2, 3), resized(dropped(t))]})
    t.w.head()


def replayed(t):
    return Repository(t.root, ("password", b"golden"), full=True).state


def two_markers(t):
    for number in range(1, 4):
        old_marker(t, number)


accept("one-more-snapshot", "check", "", "", grow)
accept("head-missing", "read", "", "", lambda t: t.remove("head"), "golden:1")
accept("head-behind", "check", "", "",
       lambda t: t.w.head(4, t.golden.log.entry(4).trailer), "golden:1")
accept("head-damaged", "read", "", "", lambda t: damage(t, "head", flip(90)), "golden:1")
accept("checkpoints-missing", "check", "", "", lambda t: [
    t.remove(f"checkpoints/{n}") for n in os.listdir(os.path.join(t.root, "checkpoints"))],
    "golden:1")
accept("slot-of-unknown-type", "check", "", "", unknown_slot, "golden:1")
accept("damaged-slot-of-other", "read", "", "",
       lambda t: damage(t, t.golden.slots[2], flip(100)), "golden:1")
accept("orphans", "check", "", "", orphans, "golden:1")
accept("reserve-missing", "check", "", "", lambda t: t.remove("reserve"), "golden:1")
accept("strange-files", "check", "", "", lambda t: [
    t.w.write(p, b"?") for p in ("README", "packs/x", "log/y", "keys/z", "tmp/upload")],
    "golden:1")
accept("markers", "check", "", "", two_markers, "golden:1")
accept("last-checkpoint-damaged", "read", "", "", lambda t: damage(t, C8, flip(120)), "golden:1")

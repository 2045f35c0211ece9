"""Writes repositories for tests, deterministically and with a hook at every step.

A hook is a function that gets a value before it is encoded or sealed and returns what is to be
stored instead: so a fault can be put behind every seal. Pages: docs/format.
"""

import hashlib
import os
import sys

import nacl.bindings as sodium
import zstandard

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "reader"))

from fmt import chunker, tree  # noqa: E402
from fmt.crypto import (DATA, MAC, MAGIC, SNAPSHOT, TREE, H, Keyring, Seal,  # noqa: E402
                        aead_seal, object_id)
from fmt.strict import encode, le32, le64, padme  # noqa: E402

DATA_PACK, META_PACK, SEGMENT = 1, 2, 3
TABLE_SECTION, FOOTER_MASK = (1 << 64) - 1, (1 << 64) - 2
EPOCH_START = 1_700_000_000


class Random:
    """A stream of bytes that follows from a label: BLAKE2b-512(label, le64(i)), i = 0, 1, …"""

    def __init__(self, label):
        self.label = label.encode()
        self.count, self.rest = 0, b""

    def bytes(self, n):
        parts = [self.rest]
        have = len(self.rest)
        while have < n:
            parts.append(hashlib.blake2b(self.label + le64(self.count)).digest())
            self.count += 1
            have += 64
        stream = b"".join(parts)
        self.rest = stream[n:]
        return stream[:n]

    def number(self, below):
        return int.from_bytes(self.bytes(8), "little") % below


class Hooks(dict):
    """Named hooks; a step without a hook keeps its value."""

    def __call__(self, name, value):
        return self[name](value) if name in self else value


NO_HOOKS = Hooks()


def compress(plain, prefix=None, level=3):
    base = None
    if prefix is not None:
        base = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(level=level, dict_data=base,
                                    write_dict_id=False).compress(plain)


def document(value, codec=None, hooks=NO_HOOKS):
    plain = hooks("document plain", encode(value))
    if codec is None:
        codec = 1 if len(plain) > 128 else 0
    body = compress(plain) if codec else plain
    outer = encode(hooks("document", [codec, len(plain), body]))
    return hooks("padded", outer + bytes(padme(len(outer)) - len(outer)))


def do_x86(data):
    """Filter 1 applied (pack.md section 5)."""
    b = bytearray(data)
    for i in range(len(b) - 5, -1, -1):
        if b[i] in (0xE8, 0xE9) and b[i + 4] in (0x00, 0xFF):
            n = int.from_bytes(b[i + 1:i + 4], "little") + i & 0xFFFFFF
            b[i + 1:i + 4] = n.to_bytes(3, "little")
    return bytes(b)


def delta(kind, plain, base, depth=1):
    """A chunk to be stored as delta of the plain bytes `base`."""
    return {"kind": kind, "plain": plain, "depth": depth, "base": object_id(kind, base),
            "stored": compress(plain, base)}


def whole(kind, plain):
    return {"kind": kind, "plain": plain, "depth": 0, "stored": plain}


# ---- trees -----------------------------------------------------------------------------------


class Builder:
    """The objects of a tree, and what the statistics count."""

    def __init__(self):
        self.objects = {}       # id: (kind, plain), in order of making
        self.files = self.directories = self.others = self.bytes = self.errors = 0

    def add(self, kind, plain):
        oid = object_id(kind, plain)
        self.objects.setdefault(oid, (kind, plain))
        return oid

    def sequence(self, spec, items):
        """Inline, or the id of the top of a table; None when empty."""
        if not items:
            return None
        if len(encode(items)) <= spec.limit:
            return items
        table = tree.build_table(spec, items)
        for oid, plain in table:
            self.objects.setdefault(oid, (spec.kind, plain))
        return table[-1][0]

    def extents(self, contents):
        return [piece if sort == "zero" else [len(piece), self.add(DATA, piece)]
                for sort, piece in chunker.extents(contents)]

    def xattr(self, name, value):
        return [name, value] if len(value) <= 256 else [name, len(value), self.add(DATA, value)]

    def node(self, kind, name, mode=0, uid=0, gid=0, mtime=EPOCH_START, ns=0, xattrs=(), **more):
        members = {0: name, 1: kind, 2: mode, 3: uid, 4: gid, 5: mtime, 6: ns}
        members |= {int(k[1:]): v for k, v in more.items()}
        members[14] = self.sequence(tree.XATTRS, [self.xattr(n, v) for n, v in sorted(xattrs)])
        return {k: v for k, v in members.items() if v not in (0, b"", None, [])}

    def file(self, name, contents, mode=0o644, link=False, **more):
        if not link:
            self.files += 1
            self.bytes += len(contents)
        node = self.node(1, name, mode, k10=len(contents), **more)
        if 1 <= len(contents) <= 256:
            node[11] = contents
        elif contents:
            node[12] = self.sequence(tree.EXTENTS, self.extents(contents))
        return node

    def directory(self, name, children, mode=0o755, **more):
        self.directories += 1
        if len(children) > 1:
            children = sorted(children, key=lambda n: n[0])
        entries = self.sequence(tree.ENTRIES, children)
        return self.node(2, name, mode, k13=entries, **more)

    def other(self, kind, name, mode=0o644, link=False, **more):
        self.others += not link
        return self.node(kind, name, mode if kind != 3 else 0, **more)

    def root(self, node, links=None, hooks=NO_HOOKS):
        """The tree id of a root node, and a list of hard links in path order."""
        record = {1: "ociv2-tree-1", 2: "fastcdc-16k-1", 3: "host-xattr-1", 4: node}
        if links:
            links = sorted(([p, l] for p, l in links.items()), key=lambda i: tree.path_key(i[0]))
            record[5] = self.sequence(tree.LINKS, links)
        return self.add(TREE, hooks("root plain", encode(hooks("root", record))))

    def side(self, items):
        self.errors += sum(1 for i in items if 3 in i)
        return self.sequence(tree.SIDES, sorted(items, key=lambda i: tree.path_key(i[0])))

    def snapshot(self, tree_id, name, time=EPOCH_START, ns=0, hooks=NO_HOOKS, **more):
        """The snapshot id and its record (without packs)."""
        statistics = {1: self.files, 2: self.directories, 3: self.others, 4: self.bytes,
                      9: self.errors}
        labels = [["origin", "generated"], ["purpose", "tests"]]
        snapshot = {1: tree_id, 2: name, 3: time, 4: ns, 5: "host", 6: "user",
                    7: "make_golden", 8: b"/src", 9: labels,
                    11: {k: v for k, v in statistics.items() if v}}
        snapshot |= {int(k[1:]): v for k, v in more.items()}
        snapshot = hooks("snapshot", {k: v for k, v in snapshot.items() if v not in (0, None)})
        sid = self.add(SNAPSHOT, hooks("snapshot plain", encode(snapshot)))
        record = {1: sid, 2: tree_id, 3: name, 4: time, 5: ns, 6: "host", 7: labels,
                  8: self.bytes, 9: self.files, 12: self.errors}
        return sid, {k: v for k, v in record.items() if v != 0}


# ---- files -----------------------------------------------------------------------------------


class Writer:
    """Writes the files of one repository."""

    def __init__(self, root, keyring, random, number=-1, trailer=None):
        self.root, self.keyring, self.random = root, keyring, random
        self.number, self.trailer = number, trailer

    def write(self, path, data):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if os.path.exists(full):
            os.unlink(full)
        with open(full, "wb") as f:
            f.write(data)

    def finish(self, path, header, body, hooks=NO_HOOKS):
        """Adds the trailer; returns it and the size."""
        header = hooks("header", header)
        data = hooks("file", header + body)
        trailer = hooks("trailer", H(b"", data))
        self.write(path, data + trailer)
        return trailer, len(data) + 32

    def header(self, kind, number=0, pack_kind=0, salt=None):
        clear = kind in "FKR"
        if salt is None:
            salt = bytes(32) if clear else self.random.bytes(32)
        return (MAGIC + kind.encode() + bytes([1, pack_kind, 0 if clear else 1])
                + le32(0 if clear else 1) + le64(number) + bytes(8) + salt)

    def seal(self, header, purpose):
        return Seal(self.keyring.purpose(purpose, 1, ""), self.keyring.repo_id, header)

    def clear_file(self, path, kind, body, hooks=NO_HOOKS):
        return self.finish(path, self.header(kind), body, hooks)

    def config(self, members=None, hooks=NO_HOOKS):
        value = {1: "ociv2", 2: self.keyring.repo_id, 3: 1, 5: EPOCH_START}
        value |= members or {}
        return self.clear_file("config", "F", encode(value), hooks)[0]

    def slot(self, kind, secret, hooks=NO_HOOKS):
        """A slot of type 1 (password) or 2 (key file); returns its path."""
        salt = self.random.bytes(16)
        value = {1: kind, 2: salt, 6: 1}
        if kind == 1:
            value |= {3: 1, 4: 8}
            key = sodium.crypto_pwhash_alg(32, secret, salt, 1, 8 << 10,
                                           sodium.crypto_pwhash_ALG_ARGON2ID13)
        else:
            value[8] = MAC(secret, b"ociv2 key hint", b"")[:8]
            key = MAC(secret, b"ociv2 slot", salt)
        nonce = self.random.bytes(24)
        plain = hooks("keyring", self.keyring.plain)
        value[5] = nonce + aead_seal(key, nonce, b"ociv2 keyring" + salt, plain)
        nonce = self.random.bytes(24)
        text = {1: "user", 2: "host", 3: EPOCH_START, 4: "golden"}
        description = encode(hooks("description", text))
        value[7] = nonce + aead_seal(self.keyring.purpose(b"slot", 1, ""), nonce,
                                     b"ociv2 slot" + salt, description)
        path = f"keys/{self.random.bytes(16).hex()}"
        self.clear_file(path, "K", hooks("slot plain", encode(hooks("slot", value))), hooks)
        return path

    def sealed_file(self, path, kind, number, parts, hooks=NO_HOOKS, salt=None):
        """A file of documents [(purpose, value, hooks of the document)]; its trailer and size."""
        header = hooks("header", self.header(kind, number, salt=salt))
        body = b""
        for i, (purpose, value, doc_hooks) in enumerate(parts):
            plain = document(value, hooks=doc_hooks)
            body += self.seal(header, purpose).section(i, plain)
        rest = Hooks({k: v for k, v in hooks.items() if k != "header"})
        return self.finish(path, header, hooks("body", body), rest)

    # ---- packs

    def pack(self, kind, frames, hooks=NO_HOOKS):
        """A pack of frames {codec, filter, chunks}; returns what a segment and the log need."""
        purpose = b"data" if kind == DATA_PACK else b"meta"
        header = hooks("pack header", self.header("P", pack_kind=kind))
        seal = self.seal(header, purpose)
        table = {1: [], 2: b"", 3: [], 4: [], 5: []}
        body = b""
        for i, frame in enumerate(frames):
            codec, filter_ = frame.get("codec", 1), frame.get("filter", 0)
            rows = []
            for chunk in frame["chunks"]:
                length = chunk.get("length", len(chunk["plain"]))
                row = [chunk["kind"], length]
                oid = chunk.get("id") or object_id(chunk["kind"], chunk["plain"])
                if chunk["depth"]:
                    row += [1, chunk["depth"], len(chunk["stored"]), oid, chunk["base"]]
                    table[5].append([len(table[3]), *row[2:5], chunk["base"]])
                rows.append(row)
                table[2] += oid
                table[3].append(chunk["kind"])
                table[4].append(length)
            data = b"".join(c["stored"] for c in frame["chunks"])
            data = do_x86(data) if filter_ else data
            contents = hooks("contents", encode(hooks("rows", rows)) + data)
            stored = hooks("body", compress(contents) if codec else contents)
            head = hooks("head", [codec, filter_, 0, 3 if codec else 0, len(contents)])
            section = seal.section(i, hooks("frame", encode(head) + stored))
            table[1].append([len(section) - 4, len(contents), len(rows), codec, filter_, 0,
                             head[3]])
            body += hooks("section", section)
        body = hooks("frames", body)
        if not table[5]:
            del table[5]
        described = {k: list(v) if isinstance(v, list) else v for k, v in table.items()}
        sealed = document(hooks("table", table), hooks=Hooks(
            {"padded": hooks["table padded"]} if "table padded" in hooks else {}))
        section = seal.section(TABLE_SECTION, sealed)
        footer = hooks("footer", seal.mask(FOOTER_MASK, len(section) - 4))
        name = header[32:64]
        path = f"packs/{name.hex()}"
        _, size = self.finish(path, header, body + section + footer, Hooks(
            {k[5:]: v for k, v in hooks.items() if k in ("pack trailer", "pack file")}))
        return {"name": name, "kind": kind, "size": size, "table": described, "path": path}

    def segment(self, packs, hooks=NO_HOOKS, block=65536):
        """A segment of packs as returned by pack(); returns its object."""
        packs = sorted(packs, key=lambda p: p["name"])
        directory = {1: [], 2: 0}
        entries, ordinal = [], 0
        for pack in packs:
            table = pack["table"]
            deltas = {d[0]: d for d in table.get(5, [])}
            lengths, index = [], 0
            for frame in table[1]:
                lengths += frame[:2]
                for slot in range(frame[2]):
                    tag = self.keyring.tag(table[2][32 * index:32 * index + 32])
                    d = deltas.get(index)
                    entries.append([tag, ordinal, slot, table[3][index], table[4][index],
                                    (d[2], self.keyring.tag(d[4])) if d else None])
                    index += 1
                ordinal += 1
            directory[1].append([pack["name"], pack["kind"], pack["size"], lengths])
        entries = hooks("entries", sorted(entries, key=lambda e: e[:3]))
        directory[2] = len(entries)
        parts = [(b"index", hooks("directory", directory), hooks.get("first document", NO_HOOKS))]
        for start in range(0, len(entries), block):
            part = entries[start:start + block]
            columns = {1: b"".join(e[0] for e in part)}
            columns |= {k: [e[k - 1] for e in part] for k in (2, 3, 4, 5)}
            columns[6] = [[i, *e[5]] for i, e in enumerate(part) if e[5]]
            if not columns[6]:
                del columns[6]
            parts.append((b"index", hooks("block", columns), NO_HOOKS))
        name = self.random.bytes(32)
        _, size = self.sealed_file(f"segments/{name.hex()}", "S", 0, parts, Hooks(
            {k[8:]: v for k, v in hooks.items() if k.startswith("segment ")}), salt=name)
        return [SEGMENT, name, size]

    # ---- the log

    def entry(self, outer=None, inner=None, command="test", hooks=NO_HOOKS):
        """The next entry of the log."""
        number = self.number + 1
        first = {1: number, 2: self.trailer, 3: self.random.bytes(16)} | (outer or {})
        for key in (4, 5, 6, 7):
            first[key] = sorted(first.get(key, []), key=lambda o: o[1])
        first = {k: v for k, v in first.items() if v not in (0, None, [])}
        second = {1: EPOCH_START + number, 2: "user", 3: "host", 4: "make_golden", 5: command}
        second |= inner or {}
        parts = [(b"log", hooks("outer", first), hooks.get("outer document", NO_HOOKS)),
                 (b"meta", hooks("inner", second), NO_HOOKS)]
        self.trailer, _ = self.sealed_file(f"log/{number:016x}", "L", number, parts, Hooks(
            {k[6:]: v for k, v in hooks.items() if k.startswith("entry ")}))
        self.number = number

    def checkpoint(self, state, hooks=NO_HOOKS):
        """A checkpoint of a state as the reader replays it."""
        def objects(kind):
            return [[t, n, s] for n, (t, s) in sorted(state.of(kind).items())]
        outer = {1: state.number, 2: state.hash, 3: objects("live"), 4: objects("condemned"),
                 5: state.config, 6: objects("orphaned")}
        inner = {1: [r for _, r in sorted(state.snapshots.items())],
                 2: [[n, s] for n, s in sorted(state.tags.items())]}
        parts = [(b"log", hooks("outer", {k: v for k, v in outer.items() if v not in (0, [])}),
                  NO_HOOKS),
                 (b"meta", hooks("inner", {k: v for k, v in inner.items() if v}), NO_HOOKS)]
        self.sealed_file(f"checkpoints/{state.number:016x}", "C", state.number, parts, Hooks(
            {k[11:]: v for k, v in hooks.items() if k.startswith("checkpoint ")}))

    def head(self, number=None, trailer=None, hooks=NO_HOOKS):
        value = {1: self.number if number is None else number, 2: trailer or self.trailer}
        value = hooks("head", {k: v for k, v in value.items() if v != 0})
        self.sealed_file("head", "H", 0, [(b"log", value, NO_HOOKS)], hooks)

    def marker(self, number, trailer, hooks=NO_HOOKS):
        self.sealed_file(f"log/{number:016x}", "M", number,
                         [(b"log", hooks("marker", {1: number, 2: trailer}), NO_HOOKS)])

    # ---- transactions

    def store(self, builder, known=(), hooks=NO_HOOKS, frames=None, extra=()):
        """Packs for the objects of a builder that are not known; a data pack comes first."""
        new = {i: o for i, o in builder.objects.items() if i not in known}
        packs = []
        for kind in (DATA_PACK, META_PACK):
            chunks = [whole(*o) for o in new.values() if (o[0] == DATA) == (kind == DATA_PACK)]
            parts = (frames or {}).get(kind) or ([{"chunks": chunks}] if chunks else [])
            if parts:
                own = "data pack" if kind == DATA_PACK else "meta pack"
                packs.append(self.pack(kind, parts, hooks.get(own, NO_HOOKS)))
        return packs + list(extra)

    def commit(self, packs, record, tag=None, needed=(), hooks=NO_HOOKS, block=65536,
               command="snapshot", **lists):
        """A segment and an entry for packs and one snapshot."""
        segment = self.segment(packs, hooks.get("segment", NO_HOOKS), block)
        added = [[p["kind"], p["name"], p["size"]] for p in packs]
        names = sorted({p["name"] for p in packs} | set(needed))
        record = record | {10: sum(a[2] for a in added + [segment]), 11: b"".join(names)}
        inner = {6: [hooks("record", record)]}
        if tag:
            inner[8] = [[t, record[1]] for t in sorted([tag] if isinstance(tag, str) else tag)]
        self.entry({4: added + [segment]} | lists.get("outer", {}), inner, command,
                   hooks.get("entry", NO_HOOKS))
        return segment


def make_keyring(random):
    plain = encode({1: random.bytes(32), 2: random.bytes(32), 3: [[1, random.bytes(32)]]})
    return Keyring(plain, "keyring")


def key_file_text(key):
    return f"OCIV2-KEY-1-{key.hex()}-{H(b'ociv2 key file', key)[:4].hex()}\n"


def recovery_text(keyring):
    check = H(b"ociv2 key file", keyring.plain)[:4].hex()
    text = f"OCIV2-RECOVERY-1-{keyring.plain.hex()}-{check}"
    return "\n".join(text[i:i + 64] for i in range(0, len(text), 64)) + "\n"

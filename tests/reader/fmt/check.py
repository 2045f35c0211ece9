"""Opening a repository, listing an image, and the check of everything."""

import os
import re

from .crypto import (Config, File, check_description, parse_key_file, parse_recovery,
                     read_slot, slot_names, unlock, unwrap_slot)
from .image import Image
from .log import DROPPED, FOLDERS, LIVE, ORPHAN, SEGMENT, Log
from .store import Pack, Segment, Store
from .strict import Refused
from .tree import DIRECTORY, KIND_NAMES, REGULAR, SYMLINK, Reader, path_key, printable

RESERVE = 64 << 10
KNOWN = {
    "": re.compile("config|head|reserve|keys|log|packs|segments|checkpoints|tmp|damaged"),
    "keys": re.compile("[0-9a-f]{32}"), "log": re.compile("[0-9a-f]{16}"),
    "packs": re.compile("[0-9a-f]{64}"), "segments": re.compile("[0-9a-f]{64}"),
    "checkpoints": re.compile("[0-9a-f]{16}"),
}


def read_text(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        raise Refused(path, e.strerror) from None


class Repository:
    """A repository opened with one secret: ('password' | 'key-file' | 'recovery', value)."""

    def __init__(self, root, secret, full=False):
        self.root = root
        self.notes = []
        self.secret = secret
        self.config = Config(root)
        how, value = secret
        if how == "password":
            self.keyring = unlock(root, 1, value, self.notes)
        elif how == "key-file":
            self.keyring = unlock(root, 2, parse_key_file(read_text(value), value), self.notes)
        else:
            self.keyring = parse_recovery(read_text(value), value)
        if self.keyring.repo_id != self.config.repo_id:
            raise Refused("config", "repository id is not that of the keyring")
        self.log = Log(root, self.keyring, self.config, self.notes, full)
        self.state = self.log.state
        self.store = Store(root, self.keyring, self.state)
        self.reader = Reader(self.store)

    def find(self, image):
        """The record of a tag or of a snapshot id."""
        snap = self.state.tags.get(image)
        if snap is None and re.fullmatch("[0-9a-f]{64}", image):
            snap = bytes.fromhex(image)
        if snap not in self.state.snapshots:
            raise Refused("log", f"there is no image {image!r}")
        return self.state.snapshots[snap]

    # ---- one image

    def image(self, record, where):
        """Reads and verifies a snapshot with everything below it."""
        snapshot = self.reader.snapshot(record[1], where)
        self.check_record(record, snapshot, where)
        nodes, leaders = self.reader.tree(snapshot[1], where)
        side = self.reader.side(snapshot, nodes, where)
        self.check_numbers(record, snapshot, nodes, leaders, side, where)
        return snapshot, nodes, leaders, side

    def oci(self, image):
        """What the snapshot keeps of an OCI image; no contents of its tree are read."""
        record = self.find(image)
        where = f"image {image}"
        snapshot = self.reader.snapshot(record[1], where)
        root = self.reader.root(snapshot[1], where)
        return Image(self.reader, snapshot, dict(self.reader.walk(root, where)), where)

    @staticmethod
    def check_record(record, snapshot, where):
        for mine, theirs, label in ((2, 1, "tree id"), (3, 2, "name"), (4, 3, "time"),
                                    (5, 4, "nanoseconds"), (6, 5, "host"), (7, 9, "labels")):
            if record.get(mine) != snapshot.get(theirs):
                raise Refused(where, f"{label} in the record is not that of the snapshot")

    @staticmethod
    def check_numbers(record, snapshot, nodes, leaders, side, where):
        """Counts of the record and the statistics that follow from the tree."""
        files = [p for p, n in nodes.items() if n[0][1] == REGULAR and p not in leaders]
        size = sum(nodes[p][0].get(10, 0) for p in files)
        directories = sum(1 for n in nodes.values() if n[0][1] == DIRECTORY)
        errors = sum(1 for s in side.values() if s[2] is not None)
        statistics = snapshot[11]
        for value, said, label in (
                (record.get(8, 0), size, "size"), (record.get(9, 0), len(files), "files"),
                (record.get(12, 0), statistics.get(9, 0), "errors"),
                (statistics.get(4, 0), size, "bytes"), (statistics.get(1, 0), len(files), "files"),
                (statistics.get(2, 0), directories, "directories")):
            if value != said:
                raise Refused(where, f"{label} in the record or statistics is {value}, not {said}")
        # Some errors have no path: files that changed meanwhile, entries whose names are lost.
        if statistics.get(9, 0) < errors:
            raise Refused(where, f"{errors} paths could not be read, more than the statistics say")

    def listing(self, image):
        """One JSON object for the image and one for each path, in walk order."""
        record = self.find(image)
        snapshot, nodes, leaders, side = self.image(record, f"image {image}")
        yield {"snapshot": record[1].hex(), "tree": snapshot[1].hex(),
               "name": snapshot.get(2, ""), "nodes": len(nodes)}
        lines = [(path_key(p), self.line(p, *n, leaders, side)) for p, n in nodes.items()]
        lines += [(path_key(p), {"path": p.hex(), "printable": printable(p), "error": s[2]})
                  for p, s in side.items() if s[2] is not None]
        for _, line in sorted(lines, key=lambda pair: pair[0]):
            yield line

    @staticmethod
    def line(path, node, xattrs, digest, leaders, side):
        line = {"path": path.hex(), "printable": printable(path), "kind": KIND_NAMES[node[1]]}
        if node[1] != SYMLINK:
            line["mode"] = f"{node.get(2, 0):04o}"
        line |= {"uid": node.get(3, 0), "gid": node.get(4, 0),
                 "mtime": [node.get(5, 0), node.get(6, 0)]}
        if KIND_NAMES[node[1]].endswith("device"):
            line["device"] = [node.get(7, 0), node.get(8, 0)]
        if node[1] == SYMLINK:
            line["target"] = node[9].hex()
        if node[1] == REGULAR:
            line |= {"size": node.get(10, 0), "blake2b": digest.hex()}
        if xattrs:
            line["xattrs"] = [[n.hex(), v.hex()] for n, v in xattrs]
        if path in leaders:
            line["leader"] = leaders[path].hex()
        holes, host, _ = side.get(path, ([], [], None))
        if holes:
            line["holes"] = [list(h) for h in holes]
        if host:
            line["host_xattrs"] = [[n.hex(), v.hex()] for n, v in host]
        return line

    def cat(self, image, path):
        """The contents of one file, piece by piece."""
        record = self.find(image)
        where = f"image {image}"
        snapshot = self.reader.snapshot(record[1], where)
        node = self.reader.root(snapshot[1], where)[4]
        for name in path_key(path):
            below = self.reader.entries(node, where) if node[1] == DIRECTORY else []
            node = next((n for n in below if n[0] == name), None)
            if node is None:
                raise Refused(where, f"has no path {printable(path)!r}")
        if node[1] != REGULAR:
            raise Refused(where, f"{printable(path)!r} is not a regular file")
        for piece in self.reader.pieces(node, where):
            if isinstance(piece, bytes):
                yield piece
                continue
            while piece:
                yield bytes(min(piece, 1 << 20))
                piece -= min(piece, 1 << 20)


# ---- check -----------------------------------------------------------------------------------


def check(root, secret, report):
    """Reads and verifies everything; `report` is called with each thing worth mentioning."""
    repo = Repository(root, secret, full=True)
    for note in repo.notes:
        report(note)
    if repo.log.problems:
        raise repo.log.problems[0]
    stray_files(root, report)
    check_slots(repo)
    if os.path.exists(os.path.join(root, "reserve")):
        if len(File(root, "reserve", "R", most=RESERVE + 96).body) != RESERVE:
            raise Refused("reserve", "body is not 64 KiB")
    packs = check_objects(repo, report)
    check_frames(repo, packs)
    check_coverage(repo, packs)
    check_chunks(repo, packs)
    check_entries(repo)
    check_images(repo)
    for note in dict.fromkeys(repo.reader.notes):
        report(note)
    return repo


def stray_files(root, report):
    for folder, names in KNOWN.items():
        path = os.path.join(root, folder)
        if os.path.isdir(path):
            for name in sorted(os.listdir(path)):
                if not names.fullmatch(name):
                    report(f"{os.path.join(folder, name)}: not a part of the repository")


def check_slots(repo):
    """Every slot of a known type; the keyring of those that the secret opens."""
    for name in slot_names(repo.root):
        where = f"keys/{name}"
        slot = read_slot(repo.root, name)
        if slot is None:
            continue
        check_description(slot, repo.keyring, where)
        how, value = repo.secret
        if (how, slot[1]) == ("key-file", 2):
            value = parse_key_file(read_text(value), value)
        elif (how, slot[1]) != ("password", 1):
            continue
        keyring = unwrap_slot(slot, value, where)
        if keyring is not None and keyring.plain != repo.keyring.plain:
            raise Refused(where, "keyring differs from that of another slot")


def check_objects(repo, report):
    """Every object of the state is there, with its size; the packs by name."""
    root, packs = repo.root, {}
    for name, (kind, size, state) in sorted(repo.state.objects.items()):
        path = f"{FOLDERS[kind]}/{name.hex()}"
        if state == DROPPED:
            if os.path.exists(os.path.join(root, path)):
                report(f"{path}: was dropped and can be deleted")
            continue
        if state == ORPHAN:
            continue
        if kind == SEGMENT:
            segment = Segment(root, repo.keyring, name)
            if segment.size != size:
                raise Refused(path, "size is not the one in the log")
            repo.store.segments[name] = segment
            continue
        pack = Pack(root, repo.keyring, name)
        if (pack.kind, len(pack.file.data)) != (kind, size):
            raise Refused(path, "kind or size is not the one in the log")
        packs[name] = pack
        if state == LIVE:
            repo.store.packs[name] = pack
    for folder, types in (("packs", (1, 2)), ("segments", (SEGMENT,))):
        path = os.path.join(root, folder)
        for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
            if KNOWN[folder].fullmatch(name):
                known = repo.state.objects.get(bytes.fromhex(name))
                if known is None or known[0] not in types:
                    report(f"{folder}/{name}: in no entry of the log")
    return packs


def check_coverage(repo, packs):
    """Segments against the tables of packs (segment.md)."""
    covered = set()
    for name, segment in repo.store.segments.items():
        live = repo.state.objects[name][2] == LIVE
        for pack in segment.packs:
            if pack in packs:
                segment.check_pack(packs[pack], pack, repo.keyring)
                covered.update([pack] if live else [])
    for name, pack in packs.items():
        if name not in covered:
            raise Refused(pack.where, "is covered by no live segment")


def check_frames(repo, packs):
    """Every frame against its table; with that, the ids of whole chunks."""
    for name, pack in sorted(packs.items()):
        for i in range(len(pack.frames)):
            if repo.state.objects[name][2] == LIVE:
                repo.store.frame(name, i)
            else:
                pack.frame(i)


def check_chunks(repo, packs):
    """Every chunk of the live packs; deltas of condemned packs need no base that is live."""
    for name, pack in sorted(packs.items()):
        if repo.state.objects[name][2] == LIVE:
            for i in range(len(pack.frames)):
                frame = repo.store.frame(name, i)
                for slot in range(len(frame.rows)):
                    repo.store.decode(frame, slot)


def check_entries(repo):
    """What entries say of the packs that they added."""
    for entry in repo.log.cache.values():
        if entry.marker:
            continue
        for record in entry.inner.get(6, []):
            names = record.get(11, b"")
            for i in range(0, len(names), 32):
                known = repo.state.objects.get(names[i:i + 32])
                if known and known[0] == SEGMENT:
                    raise Refused(entry.where, "list of packs of a snapshot names a segment")


def check_images(repo):
    """Every snapshot and tree, and that the packs of a record hold what it needs."""
    for snap, record in sorted(repo.state.snapshots.items()):
        where = f"image {record.get(3) or snap.hex()}"
        repo.reader.seen = set()
        snapshot, nodes, _, _ = repo.image(record, where)
        Image(repo.reader, snapshot, {p: n[0] for p, n in nodes.items()}, where).check(record)
        names = record.get(11, b"")
        packs = {names[i:i + 32] for i in range(0, len(names), 32)}
        if all(repo.state.objects.get(p, (0, 0, ""))[2] == LIVE for p in packs):
            check_closed(repo, repo.reader.seen, packs, where)
    repo.reader.seen = None


def check_closed(repo, chunks, packs, where):
    """Every chunk has a copy in the packs that decodes within them (log.md section 2)."""
    for chunk_id, kind in chunks:
        below = 9
        while True:
            copies = [c for c in repo.store.copies(chunk_id, kind, packs) if c.depth < below]
            if not copies:
                repo.reader.notes.append(f"{where}: list of packs lacks that of {chunk_id.hex()}")
                return
            copy = copies[0]
            if copy.depth == 0:
                break
            row = repo.store.frame(copy.pack, copy.frame).rows[copy.slot]
            chunk_id, below = row.base, copy.depth

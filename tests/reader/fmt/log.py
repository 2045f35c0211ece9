"""The log: entries, checkpoints, markers, the head, and the state they give (log.md)."""

import copy
import os
import re

from .crypto import LOG_FILE, SMALL, File, read_sections
from .members import MAX_LAYERS
from .strict import (Refused, ascending, blob, document, listof, mapof, nanoseconds, seconds,
                     signed_seconds, text, tupleof, uint)

DATA_PACK, META_PACK, SEGMENT = 1, 2, 3
FOLDERS = {DATA_PACK: "packs", META_PACK: "packs", SEGMENT: "segments"}
LIVE, CONDEMNED, ORPHAN, DROPPED = "live", "condemned", "orphaned", "dropped"

NAME = re.compile("[0-9a-f]{16}")
OBJECT = tupleof(uint(3, 1), blob(32), uint((1 << 63) - 1))
OBJECTS = listof(OBJECT)
REFERENCE = text(400, 1)
ID = blob(32)


def labels(v, where):
    """Labels ascend by key, each once, at most 256 (snapshot.md, limits.md)."""
    listof(tupleof(text(), text()), 256)(v, where)
    ascending(v, where, lambda pair: pair[0].encode())


def pack_names(v, where):
    blob()(v, where)
    if len(v) % 32:
        raise Refused(where, "is not a list of names")
    ascending([v[i:i + 32] for i in range(0, len(v), 32)], where)


def layer_names(v, where):
    blob(most=16 * MAX_LAYERS)(v, where)
    if len(v) % 16:
        raise Refused(where, "is not a list of the beginnings of digests")


RECORD = mapof({
    1: ("snapshot id", ID, True), 2: ("tree id", ID, True), 3: ("name", REFERENCE, False),
    4: ("time", signed_seconds, False), 5: ("nanoseconds", nanoseconds, False),
    6: ("host", text(), False), 7: ("labels", labels, False), 8: ("size", uint(), False),
    9: ("files", uint(), False), 10: ("stored", uint(), False),
    11: ("packs", pack_names, False), 12: ("errors", uint(), False),
    13: ("layers", layer_names, False),
}, is_open=True)

OUTER = mapof({
    1: ("number", uint(), False), 2: ("previous", ID, False),
    3: ("transaction", blob(16), True), 4: ("added", OBJECTS, False),
    5: ("condemned", OBJECTS, False), 6: ("revived", OBJECTS, False),
    7: ("dropped", OBJECTS, False), 8: ("config", ID, False),
})
INNER = mapof({
    1: ("time", seconds, False), 2: ("user", text(), False), 3: ("host", text(), False),
    4: ("program", text(), False), 5: ("command", text(), False),
    6: ("snapshots added", listof(RECORD), False),
    7: ("snapshots removed", listof(ID), False),
    8: ("tags set", listof(tupleof(REFERENCE, ID)), False),
    9: ("tags removed", listof(REFERENCE), False),
}, is_open=True)

CHECKPOINT_OUTER = mapof({
    1: ("number", uint(), False), 2: ("trailer", ID, True), 3: ("live", OBJECTS, False),
    4: ("condemned", OBJECTS, False), 5: ("config", ID, True), 6: ("orphans", OBJECTS, False),
})
CHECKPOINT_INNER = mapof({
    1: ("records", listof(RECORD), False), 2: ("tags", listof(tupleof(REFERENCE, ID)), False),
}, is_open=True)

MARKER = mapof({1: ("number", uint(), False), 2: ("trailer", ID, True)})
HEAD = MARKER


def tag_key(pair):
    return pair[0].encode()


class State:
    """What the log says after entry `number`."""

    def __init__(self):
        self.number = -1
        self.hash = None
        self.config = None
        self.objects = {}
        self.snapshots = {}
        self.tags = {}

    def of(self, state):
        """{name: (type, size)} of the objects in a state."""
        return {n: o[:2] for n, o in self.objects.items() if o[2] == state}

    def known(self):
        """What a checkpoint holds: all but the dropped objects."""
        return (self.number, self.hash, self.config, self.of(LIVE), self.of(CONDEMNED),
                self.of(ORPHAN), self.snapshots, self.tags)

    def move(self, obj, before, after, where, verb):
        kind, name, size = obj
        was = self.objects.get(name)
        if (was[2] if was else None) not in before:
            raise Refused(where, f"{verb} the {was[2] if was else 'unknown'} object {name.hex()}")
        if was and was[2] != DROPPED and was[:2] != (kind, size):
            raise Refused(where, f"type or size of the object {name.hex()} differs from before")
        self.objects[name] = (kind, size, after)

    def apply(self, entry):
        """Log.md section 3."""
        where, outer, inner = entry.where, entry.outer, entry.inner
        if outer.get(1, 0) != self.number + 1:
            raise Refused(where, "number in the entry is not the next of the log")
        if outer.get(2) != self.hash:
            raise Refused(where, "previous hash does not fit: the chain of the log is broken")
        for name in inner.get(9, []):
            if self.tags.pop(name, None) is None:
                raise Refused(where, f"removes the tag {name!r}, which does not exist")
        for snap in inner.get(7, []):
            if self.snapshots.pop(snap, None) is None:
                raise Refused(where, f"removes the snapshot {snap.hex()}, which does not exist")
        for record in inner.get(6, []):
            if record[1] in self.snapshots:
                raise Refused(where, f"adds the snapshot {record[1].hex()}, which exists")
            self.snapshots[record[1]] = record
        self.tags.update(inner.get(8, []))
        for name, snap in self.tags.items():
            if snap not in self.snapshots:
                raise Refused(where, f"tag {name!r} is left without its snapshot {snap.hex()}")
        for obj in outer.get(7, []):
            self.move(obj, [CONDEMNED, ORPHAN], DROPPED, where, "drops")
        for obj in outer.get(5, []):
            was_live = self.objects.get(obj[1], (0, 0, None))[2] == LIVE
            self.move(obj, [LIVE, None, DROPPED], CONDEMNED if was_live else ORPHAN, where,
                      "condemns")
        for obj in outer.get(6, []):
            self.move(obj, [CONDEMNED], LIVE, where, "revives")
        for obj in outer.get(4, []):
            self.move(obj, [None], LIVE, where, "adds")
        if entry.number == 0:
            self.config = outer[8]
        self.number = entry.number
        self.hash = entry.trailer


class Entry:
    """One log entry, or the marker in its place."""

    def __init__(self, root, keyring, number):
        file = File(root, f"log/{number:016x}", "LM", number, LOG_FILE)
        self.where = file.where
        self.number = number
        self.trailer = file.trailer
        self.marker = file.type == "M"
        if self.marker:
            if len(file.data) > SMALL:
                raise Refused(self.where, "marker is over the limit of 64 KiB")
            marker = one_document(file, keyring)
            MARKER(marker, self.where)
            if number == 0:
                raise Refused(self.where, "marker in place of the first entry")
            if marker.get(1, 0) != number:
                raise Refused(self.where, "number in the marker is wrong")
            self.trailer = marker[2]
            return
        self.outer, self.inner = two_documents(file, keyring)
        OUTER(self.outer, self.where)
        INNER(self.inner, self.where)
        if self.outer.get(1, 0) != number:
            raise Refused(self.where, "number in the entry is not that of the file")
        if (2 in self.outer) != (number > 0):
            raise Refused(self.where, "previous hash is missing, or present in entry 0")
        if (8 in self.outer) != (number == 0):
            raise Refused(self.where, "config hash is missing in entry 0, or present after it")
        seen = set()
        for key in (4, 5, 6, 7):
            names = [o[1] for o in self.outer.get(key, [])]
            ascending(names, f"{self.where}: objects")
            if seen.intersection(names):
                raise Refused(self.where, "an object is in two lists of the entry")
            seen.update(names)
        ascending(self.inner.get(8, []), f"{self.where}: tags set", tag_key)
        ascending(self.inner.get(9, []), f"{self.where}: tags removed", str.encode)


def one_document(file, keyring):
    sections = read_sections(file, [keyring.seal(file, b"log")])
    if len(sections) != 1:
        raise Refused(file.where, "bytes after the last section")
    return document(sections[0], file.where)


def two_documents(file, keyring):
    sections = read_sections(file, [keyring.seal(file, b"log"), keyring.seal(file, b"meta")])
    if len(sections) != 2:
        raise Refused(file.where, "bytes after the last section")
    return document(sections[0], file.where), document(sections[1], file.where)


def read_checkpoint(root, keyring, number):
    """The state in a checkpoint (log.md section 5)."""
    file = File(root, f"checkpoints/{number:016x}", "C", number, LOG_FILE)
    where = file.where
    outer, inner = two_documents(file, keyring)
    CHECKPOINT_OUTER(outer, where)
    CHECKPOINT_INNER(inner, where)
    if outer.get(1, 0) != number:
        raise Refused(where, "number in the checkpoint is not that of the file")
    state = State()
    state.number, state.hash, state.config = number, outer[2], outer[5]
    for key, kind in ((3, LIVE), (4, CONDEMNED), (6, ORPHAN)):
        ascending([o[1] for o in outer.get(key, [])], f"{where}: {kind} objects")
        for obj in outer.get(key, []):
            if obj[1] in state.objects:
                raise Refused(where, "an object is in two lists")
            state.objects[obj[1]] = (obj[0], obj[2], kind)
    ascending(inner.get(1, []), f"{where}: records", lambda r: r[1])
    ascending(inner.get(2, []), f"{where}: tags", tag_key)
    state.snapshots = {r[1]: r for r in inner.get(1, [])}
    state.tags = dict(inner.get(2, []))
    for name, snap in state.tags.items():
        if snap not in state.snapshots:
            raise Refused(where, f"tag {name!r} is of a snapshot that does not exist")
    return state


def numbers(root, folder):
    try:
        names = os.listdir(os.path.join(root, folder))
    except FileNotFoundError:
        return []
    return sorted(int(n, 16) for n in names if NAME.fullmatch(n))


class Log:
    """The log of a repository; `full` replays every entry that is there."""

    def __init__(self, root, keyring, config, notes, full=False):
        self.root, self.keyring, self.config = root, keyring, config
        self.problems = []
        self.cache = {}
        self.states = {}
        found = numbers(root, "log")
        if not found:
            raise Refused("log", "the log has no entries")
        for expected, number in enumerate(found):
            if number != expected:
                raise Refused(f"log/{expected:016x}", "entry is missing")
        self.end = found[-1]
        self.checkpoints = self.read_checkpoints(full)
        if full:
            self.state = self.replay_all()
        else:
            self.state = self.replay_newest()
        if self.state.config != config.trailer:
            raise Refused("config", "is not the config that entry 0 of the log names")
        self.check_head(notes)

    def entry(self, number):
        if number not in self.cache:
            self.cache[number] = Entry(self.root, self.keyring, number)
        return self.cache[number]

    def read_checkpoints(self, full):
        result = {}
        for number in numbers(self.root, "checkpoints"):
            where = f"checkpoints/{number:016x}"
            try:
                if number > self.end:
                    raise Refused(where, "covers entries that the log does not have")
                state = read_checkpoint(self.root, self.keyring, number)
                if full and self.entry(number).trailer != state.hash:
                    raise Refused(where, "hash of the last entry covered does not fit")
                result[number] = state
            except Refused as e:
                self.problems.append(e)
        return result

    def replay(self, state, first):
        for number in range(first, self.end + 1):
            entry = self.entry(number)
            if entry.marker:
                return number
            state.apply(entry)
            if number in self.checkpoints or number == self.end:
                self.states[number] = copy.deepcopy(state)
        return None

    def replay_newest(self):
        """From the newest checkpoint that fits its entry, else from entry 0."""
        for number in sorted(self.checkpoints, reverse=True):
            state = copy.deepcopy(self.checkpoints[number])
            if self.entry(number).trailer == state.hash:
                stop = self.replay(state, number + 1)
                break
        else:
            state = State()
            stop = self.replay(state, 0)
        if stop is not None:
            raise Refused(f"log/{stop:016x}", "entry was replaced, and no checkpoint covers it")
        return state

    def replay_all(self):
        """Every run of entries between markers; each checkpoint against the replay to it."""
        state, first = State(), 0
        for number in range(self.end + 1):
            if number and not self.entry(number).marker:
                before = self.entry(number - 1).trailer
                if self.entry(number).outer[2] != before:
                    raise Refused(f"log/{number:016x}",
                                  "previous hash does not fit: the chain of the log is broken")
        while True:
            stop = self.replay(state, first)
            if stop is None:
                break
            while stop < self.end and self.entry(stop + 1).marker:
                stop += 1
            after = [n for n in sorted(self.checkpoints) if n >= stop]
            if not after:
                raise Refused(f"log/{stop:016x}",
                              "entry was replaced, and no checkpoint covers it")
            state, first = copy.deepcopy(self.checkpoints[after[0]]), after[0] + 1
            if first > self.end:
                break
        for number, checkpoint in self.checkpoints.items():
            replayed = self.states.get(number)
            if replayed and checkpoint.known() != replayed.known():
                raise Refused(f"checkpoints/{number:016x}",
                              "checkpoint is not the state that the entries give")
        return state

    def check_head(self, notes):
        """Log.md section 7."""
        if not os.path.exists(os.path.join(self.root, "head")):
            notes.append("head is missing")
            self.problems.append(Refused("head", "is missing"))
            return
        try:
            file = File(self.root, "head", "H", most=SMALL)
            head = one_document(file, self.keyring)
            HEAD(head, "head")
        except Refused as e:
            self.problems.append(e)
            notes.append(f"damaged: {e}")
            return
        number = head.get(1, 0)
        if number > self.end:
            raise Refused("head", "is beyond the end of the log: entries were lost or hidden")
        if head[2] != self.entry(number).trailer:
            raise Refused("head", f"hash of entry {number} does not fit")

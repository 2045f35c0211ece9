"""What storage may hold after a loss of power, given a journal of the calls that changed it.

A record of the journal is a line of six fields, parted by tabs, and as many bytes as the last field
says: what, inode, path, path, number, length. The inode is that of the file the record is about;
paths are relative to the directory that is watched.

    create    a new file under the path        mkdir     a new directory
    nameless  a new file without a name        link      the inode is now also at the second path
    rename    from path to path                unlink    the path is gone
    write     the bytes, at offset `number`    truncate  the size is `number`
    extend    the size is at least `number`    sync      fsync of a file or directory
    syncall   fsync of everything

The model is the strictest that POSIX allows. An fsync of a file makes its bytes durable, not its
name; an fsync of a directory makes its names durable, not what they point to. What was not synced
may be there or not, each name for itself and in any order, a rename within one directory as a
whole; of bytes that were not synced nothing, a part, zeros or garbage may be there.
"""

import itertools
import random
import zlib
from dataclasses import dataclass


@dataclass
class Record:
    what: str
    inode: str
    path: str
    path2: str
    number: int
    data: bytes


def read_record(data, at):
    """Returns the record that begins at `at`, and where the next one begins."""
    end = data.index(b"\n", at)
    what, inode, path, path2, number, length = data[at:end].decode().split("\t")
    at = end + 1
    content = data[at : at + int(length)]
    return Record(what, inode, path, path2, int(number), content), at + int(length)


class File:
    def __init__(self, number):
        self.number = number
        self.durable = b""
        self.live = bytearray()
        self.pending = []  # of (offset, bytes) or (size, None)
        self.version = 0
        self.durable_version = 0

    def sync(self):
        if self.pending:
            self.durable = bytes(self.live)
            self.durable_version = self.version
            self.pending = []

    def change(self, offset, data):
        self.version += 1
        self.pending.append((offset, data))
        put(self.live, offset, data)


class Directory:
    def __init__(self, number):
        self.number = number
        self.durable = {}
        self.live = {}
        self.pending = []  # of changes, each a list of (name, node or None)
        self.has_directories = False

    def sync(self):
        self.durable = dict(self.live)
        self.pending = []

    def change(self, *names):
        self.has_directories |= any(isinstance(node, Directory) for _, node in names)
        self.pending.append(names)
        follow(self.live, names)


def put(content, offset, data):
    """Writes into a bytearray as into a file; data None: sets its size."""
    size = offset if data is None else offset + len(data)
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    if data is None:
        del content[size:]
    else:
        content[offset:size] = data


def follow(names, change):
    for name, node in change:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


# ---- What may be left of bytes ----


def keep_synced(file):
    return file.durable


def keep_all(file):
    return bytes(file.live)


def keep_zeros(file):
    """The size arrived, the bytes did not."""
    content = bytearray(file.durable)
    for offset, data in file.pending:
        put(content, offset, data if data is None else bytes(len(data)))
    return bytes(content)


def keep_garbage(file):
    rng = random.Random(file.number)
    content = bytearray(file.durable)
    for offset, data in file.pending:
        put(content, offset, data if data is None else rng.randbytes(len(data)))
    return bytes(content)


def keep_half(file):
    """The first half of what was written."""
    content = bytearray(file.durable)
    left = sum(len(data) for _, data in file.pending if data) // 2
    for offset, data in file.pending:
        if data is None:
            put(content, offset, None)
        elif left > 0:
            put(content, offset, data[:left])
            left -= len(data)
    return bytes(content)


CONTENTS = {"synced": keep_synced, "zeros": keep_zeros, "garbage": keep_garbage, "half": keep_half,
            "all": keep_all}


# ---- What may be left of names ----


def keep(choose):
    def apply(directory):
        if not directory.pending:
            return directory.durable
        names = dict(directory.durable)
        for i, change in enumerate(directory.pending):
            if choose(directory, i, change):
                follow(names, change)
        return names

    return apply


def adds(change):
    return any(node is not None for _, node in change)


def coin(seed):
    """Each name for itself. The same for a change at every later moment, so that few states repeat."""

    def choose(directory, i, change):
        return zlib.crc32(f"{seed} {directory.number} {change[0][0]} {i}".encode()) & 64 == 0

    return choose


def name_rules(directories):
    """Ways in which names may be lost, given the directories that have something to lose."""
    rules = {
        "no names": lambda d, i, c: False,
        "all names": lambda d, i, c: True,
        "only the last names": lambda d, i, c: i == len(d.pending) - 1,
        "all but the first names": lambda d, i, c: i > 0,
        "all but the last names": lambda d, i, c: i < len(d.pending) - 1,
        "only new names": lambda d, i, c: adds(c),
        "only removals": lambda d, i, c: not adds(c),
    }
    for seed in range(4):
        rules[f"names by lot {seed}"] = coin(seed)
    for directory in directories:
        rules[f"only names in {directory.number}"] = lambda d, i, c, x=directory: d is x
        rules[f"no names in {directory.number}"] = lambda d, i, c, x=directory: d is not x
    return rules


class Storage:
    """never_read: a directory whose contents do not matter; it comes out empty."""

    def __init__(self, root, never_read):
        self.never_read = never_read + "/"
        self.numbers = itertools.count()
        self.root = Directory(next(self.numbers))
        self.nodes = {root: self.root}  # by inode, which may be used again

    # ---- Following the journal ----

    def parent(self, path):
        *directories, name = path.split("/")
        node = self.root
        for directory in directories:
            node = node.live[directory]
        return node, name

    def apply(self, record):
        getattr(self, "do_" + record.what)(record)

    def new(self, record, kind):
        self.nodes[record.inode] = kind(next(self.numbers))
        return self.nodes[record.inode]

    def enter(self, path, node):
        directory, name = self.parent(path)
        directory.change((name, node))

    def do_create(self, record):
        self.enter(record.path, self.new(record, File))

    def do_nameless(self, record):
        self.new(record, File)

    def do_mkdir(self, record):
        self.enter(record.path, self.new(record, Directory))

    def do_link(self, record):
        self.enter(record.path2, self.nodes[record.inode])

    def do_unlink(self, record):
        self.enter(record.path, None)

    def do_rename(self, record):
        node = self.nodes[record.inode]
        source, old = self.parent(record.path)
        target, new = self.parent(record.path2)
        if source is target:
            source.change((old, None), (new, node))
        else:
            target.change((new, node))
            source.change((old, None))

    def do_write(self, record):
        self.nodes[record.inode].change(record.number, record.data)

    def do_truncate(self, record):
        self.nodes[record.inode].change(record.number, None)

    def do_extend(self, record):
        file = self.nodes[record.inode]
        file.change(max(record.number, len(file.live)), None)

    def do_sync(self, record):
        self.nodes[record.inode].sync()

    def do_syncall(self, _):
        for node in self.nodes.values():
            node.sync()

    def do_strange(self, record):
        raise ValueError(f"the journal cannot follow {record.data.decode()} of {record.path}")

    # ---- Losing power ----

    def ignored(self):
        node = self.root
        for name in self.never_read.split("/")[:-1]:
            node = node.live.get(name) if isinstance(node, Directory) else None
        return node

    def waiting(self):
        """The directories that can be reached and have names to lose."""
        found, todo, seen = [], [self.root], set()
        while todo:
            node = todo.pop()
            if node.number in seen or not isinstance(node, Directory):
                continue
            seen.add(node.number)
            if node.pending and node is not self.ignored():
                found.append(node)
            todo.extend(node.live.values())
            todo.extend(node.durable.values())
        return found

    def is_settled(self, directory):
        """Whether nothing in it can be lost."""
        if directory.number not in self.settled:
            self.settled[directory.number] = not directory.pending and not any(
                child.pending for child in directory.live.values() if isinstance(child, File))
        return self.settled[directory.number]

    def summary(self, directory, names, content):
        """Stands for the files in a directory and what is in them."""
        if self.is_settled(directory) and directory.number in self.summaries:
            return self.summaries[directory.number]
        files = hash(frozenset((name, *identity(child, content)) for name, child in names.items()
                               if isinstance(child, File)))
        if self.is_settled(directory):
            self.summaries[directory.number] = files
        return files

    def fingerprint(self, rule, content):
        fingerprint = []
        for path, node, names in self.walk(rule):
            fingerprint.append((path, self.summary(node, names, content)))
        return frozenset(fingerprint)

    def walk(self, rule):
        """Yields path, directory, names of the directories that are left, parents first."""
        todo = [("", self.root)]
        kept = keep(rule)
        while todo:
            path, node = todo.pop()
            names = {} if path == self.never_read else kept(node)
            yield path, node, names
            if node.has_directories:
                todo.extend((f"{path}{name}/", child) for name, child in names.items()
                            if isinstance(child, Directory))

    def files(self, rule, content):
        """Contents by path; None is a directory."""
        files = {}
        for path, _, names in self.walk(rule):
            for name, child in names.items():
                is_file = isinstance(child, File)
                files[path + name] = CONTENTS[content](child) if is_file else None
        return files

    def after_power_loss(self):
        """Yields (name, fingerprint, function that returns the files) of each state.

        A fingerprint is a set of pairs of directory and contents. The function is good until the
        storage changes."""
        self.settled = {}
        self.summaries = {}
        for rule_name, rule in name_rules(self.waiting()).items():
            for content in CONTENTS:
                yield (f"{rule_name}, bytes: {content}", self.fingerprint(rule, content),
                       lambda rule=rule, content=content: self.files(rule, content))


def identity(file, content):
    if content == "synced" or not file.pending:
        return file.number, file.durable_version, ""
    return file.number, file.version, content


def write_files(root, files):
    for path in sorted(files):
        if files[path] is None:
            (root / path).mkdir()
    for path, content in files.items():
        if content is not None:
            (root / path).write_bytes(content)

"""What can happen to the files of a repository, and what of it nobody can see.

Each kind of damage is a function of a Case, which changes files and tells of what it has changed.
What cannot be seen is listed in HIDDEN, with the reason.
"""

import os
import shutil

HIDDEN = {
    "reserve gone": "it may be missing, and check mentions it",
    "checkpoint gone": "derived; the log says the same",
    "head is old": "a hint that may be behind",
    "key slot gone": "as if it had been removed",
    "key slots swapped": "their names mean nothing",
    "orphan": "no entry names it; prune removes it",
    "condemned": "only what is there and its size are looked at: nothing needs it",
    "older repository": "a client that has seen it newer is needed, and that one notices",
}


class Damage:
    """What was done."""

    def __init__(self):
        self.lines = []
        self.touched = set()  # files and folders of the repository
        self.visible = []  # names of which check names one
        self.hidden = []  # reasons
        self.is_rollback = False  # of everything: only those who remember notice
        self.is_alone = False  # nothing else is to be done

    def __str__(self):
        return "; ".join(self.lines)


class Case:
    """The repository of a worker while it is being damaged."""

    def __init__(self, original, repo, rng):
        self.original = original
        self.repo = repo
        self.rng = rng
        self.kinds = original.kinds()
        self.damage = Damage()

    def path(self, name):
        return os.path.join(self.repo, name)

    def choose(self, least=1):
        """A file, each kind alike; of a kind that has so many."""
        kind = self.rng.choice(sorted(k for k, names in self.kinds.items() if len(names) >= least))
        return kind, self.rng.choice(self.kinds[kind])

    def without(self, *names):
        """What was changed once is not changed again: that could heal it."""
        for kind in list(self.kinds):
            self.kinds[kind] = [name for name in self.kinds[kind] if name not in names]
            if not self.kinds[kind]:
                del self.kinds[kind]

    def note(self, what, kind, *names, hidden=None):
        damage = self.damage
        damage.lines.append(f"{what} {', '.join(names)} ({kind})")
        damage.touched.update(names)
        self.without(*names)
        if not hidden and ("unknown" in kind or "orphan" in kind):
            hidden = "orphan"
        if hidden:
            damage.hidden.append(hidden)
        else:
            damage.visible.extend(names)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def place(rng, size):
    """Mostly anywhere, but often where headers and trailers are."""
    where = rng.random()
    if where < 0.25:
        return rng.randrange(min(size, 96))
    if where < 0.5:
        return size - 1 - rng.randrange(min(size, 100))
    return rng.randrange(size)


def edit(what, change, keeps_size):
    """A kind of damage that makes other bytes of a file's bytes."""
    def run(case):
        kind, name = case.choose()
        before = read(case.path(name))
        after = change(case.rng, before)
        if after == before:
            return
        write(case.path(name), after)
        is_condemned = "condemned" in kind and keeps_size
        case.note(what, kind, name, hidden="condemned" if is_condemned else None)
    return run


def flip_bits(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[place(rng, len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def fill_range(filler):
    def change(rng, data):
        start = place(rng, len(data))
        length = min(len(data) - start, rng.choice([1, 16, 512, 4096, len(data)]))
        return data[:start] + filler(rng, length) + data[start + length:]
    return change


def cut_out(rng, data):
    start = place(rng, len(data))
    return data[:start] + data[start + rng.randint(1, 600):]


def put_in(rng, data):
    start = place(rng, len(data))
    return data[:start] + rng.randbytes(rng.randint(1, 600)) + data[start:]


def truncate(rng, data):
    return data[:rng.choice([0, rng.randrange(len(data)), len(data) - 1])]


def extend(rng, data):
    length = rng.choice([1, 32, rng.randint(1, 5000)])
    return data + rng.choice([bytes(length), rng.randbytes(length)])


GONE = {"reserve": "reserve gone", "checkpoints": "checkpoint gone", "keys": "key slot gone"}


def delete(case):
    kind, name = case.choose()
    os.unlink(case.path(name))
    case.note("deleted", kind, name, hidden=GONE.get(kind))


def delete_folder(case):
    folder = case.rng.choice(["packs", "segments", "log", "checkpoints"])
    if any(name.startswith(folder + "/") for name in case.damage.touched):
        return
    shutil.rmtree(case.path(folder))
    case.note("deleted", "folder", folder, hidden=GONE.get(folder))


def swap(case):
    kind, one = case.choose(least=2)
    other = case.rng.choice([name for name in case.kinds[kind] if name != one])
    a, b = read(case.path(one)), read(case.path(other))
    write(case.path(one), b)
    write(case.path(other), a)
    keeps_size = len(a) == len(b)
    hidden = "key slots swapped" if kind == "keys" else \
        "condemned" if "condemned" in kind and keeps_size else None
    case.note("swapped", kind, one, other, hidden=hidden)


def overwrite(case):
    """By another file of the same kind."""
    kind, one = case.choose(least=2)
    other = case.rng.choice([name for name in case.kinds[kind] if name != one])
    data = read(case.path(other))
    if data == read(case.path(one)):
        return
    keeps_size = len(data) == os.path.getsize(case.path(one))
    write(case.path(one), data)
    hidden = "key slot gone" if kind == "keys" else \
        "condemned" if "condemned" in kind and keeps_size else None
    case.note(f"overwritten by {other}", kind, one, hidden=hidden)


def roll_back(case):
    """A part of the repository, or all of it, as it was."""
    if case.damage.lines:
        return  # with something else it could be just an older whole
    case.damage.is_alone = True
    stage = case.rng.randrange(3)
    part = case.rng.choice(["head", "log", "checkpoints", "packs", "segments", "."])
    old = os.path.join(case.original.stage(stage), part)
    if part == "head":
        shutil.copy(old, case.path(part))
        case.note("rolled back", "file", part, hidden="head is old")
        return
    if part == ".":
        shutil.rmtree(case.repo)
        shutil.copytree(old, case.repo)
        case.damage.is_rollback = True
        case.note("rolled back", "all", part, hidden="older repository")
        return
    shutil.rmtree(case.path(part))
    shutil.copytree(old, case.path(part))
    if part == "checkpoints":
        case.note("rolled back", "folder", part, hidden="checkpoint gone")
    else:
        # What is named is a file that is missing now, not the folder.
        case.note("rolled back", "folder", part)


def exchange(case):
    """A file of another repository that has the same images and keys."""
    kind, name = case.choose()
    foreign = case.original.foreign.get(kind.split(" ")[0], [])
    if not foreign or kind == "keys":
        return
    data = read(case.rng.choice(foreign))
    keeps_size = len(data) == os.path.getsize(case.path(name))
    write(case.path(name), data)
    # Any reserve is as good as another.
    hidden = "reserve gone" if kind == "reserve" else \
        "condemned" if "condemned" in kind and keeps_size else None
    case.note("exchanged", kind, name, hidden=hidden)


KINDS = [
    (edit("bits flipped in", flip_bits, True), 30),
    (edit("zeros in", fill_range(lambda rng, n: bytes(n)), True), 8),
    (edit("noise in", fill_range(lambda rng, n: rng.randbytes(n)), True), 8),
    (edit("truncated", truncate, False), 12),
    (edit("extended", extend, False), 8),
    (edit("bytes cut out of", cut_out, False), 4),
    (edit("bytes put into", put_in, False), 4),
    (delete, 10),
    (delete_folder, 2),
    (swap, 8),
    (overwrite, 6),
    (roll_back, 8),
    (exchange, 6),
]


def strike(case):
    """One damage, sometimes several. Returns what was done."""
    kinds, weights = zip(*KINDS)
    while not case.damage.lines:
        for _ in range(case.rng.choice([1, 1, 1, 1, 2, 3])):
            if case.damage.is_alone:
                break
            try:
                case.rng.choices(kinds, weights)[0](case)
            except FileNotFoundError:
                pass  # what an earlier one has deleted
    return case.damage

"""What the modules of faults have in common."""

from writer import Builder, H, Hooks

CONTENTS = b"the contents of a file that is larger than what lies inside of a node " * 10


def register(cases):
    """A function that adds a case to a list."""
    def add(name, stage, file, word, make, image="bad:1"):
        cases.append({"name": name, "stage": stage, "image": image, "file": file, "word": word,
                      "make": make})
    return add


def edit(**changes):
    """A hook that sets members (k1=…) of a map; None removes one."""
    def hook(value):
        value = dict(value)
        for key, member in changes.items():
            if member is None:
                value.pop(int(key[1:]), None)
            else:
                value[int(key[1:])] = member
        return value
    return hook


def at(index, value):
    """A hook that replaces one element of an array."""
    return lambda old: old[:index] + [value] + old[index + 1:]


def put(index, value):
    """A hook that replaces bytes."""
    if isinstance(value, int):
        value = bytes([value])
    return lambda old: old[:index] + value + old[index + len(value):]


def once(hook, which=0):
    """A hook that acts on its n-th call only."""
    calls = []

    def run(value):
        calls.append(1)
        return hook(value) if len(calls) == which + 1 else value
    return run


def reseal(twin, path, change):
    """Changes the bytes of a file and gives it a trailer that fits."""
    data = change(twin.read(path)[:-32])
    twin.w.write(path, data + H(b"", data))


def damage(twin, path, change):
    """Changes the bytes of a file and nothing else."""
    twin.w.write(path, change(twin.read(path)))


def flip(offset):
    def change(data):
        data = bytearray(data)
        data[offset] ^= 1
        return bytes(data)
    return change


def default_children(b):
    return [b.file(b"file", CONTENTS)]


def grow(twin, children=default_children, root=None, links=None, side=None, hooks=None,
         prepare=None, frames=None, **more):
    """Goes on with a snapshot "bad:1" of a small tree, its packs, segment and entry.

    `hooks`: root, snapshot (see Builder), data pack, meta pack, segment, record, entry (Hooks).
    `root` changes the root's node; `side` gives the items, or the member, of the side object.
    """
    hooks = Hooks(hooks or {})
    b = Builder()
    node = b.directory(None, children(b))
    node = root(node) if root else node
    tree_id = b.root(node, None if callable(links) else links, hooks)
    if isinstance(side, list):
        more["k10"] = b.side(side)
    _, record = b.snapshot(tree_id, "bad:1", hooks=hooks, **more)
    if prepare:
        prepare(b)
    packs = twin.w.store(b, hooks=hooks, frames=frames(b) if frames else None)
    twin.w.commit(packs, record, "bad:1", hooks=hooks)
    twin.w.head()
    return packs

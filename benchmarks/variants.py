"""Synthetic variants of root filesystems: what an update, another configuration, a build changes.

A working copy of a root is changed in place, which leaves alone what a snapshot recognises unchanged
files by, and put back afterwards. Everything follows from the seed.
"""

import os
import random
import shutil
import stat

TEXT = (b"/etc/", b"/usr/share/", b"/var/lib/dpkg/")


class Variant:
    """One change of a tree; `undo` puts back what the pristine tree has."""

    def __init__(self, tree, pristine, seed):
        self.tree = os.fsencode(tree)
        self.pristine = os.fsencode(pristine)
        self.rng = random.Random(seed)
        self.changed, self.made = [], []

    def apply(self):
        """From 1 to 3 % of the files. Files with several names or with xattrs stay."""
        files = plain_files(self.tree)
        chosen = self.rng.sample(files, int(len(files) * self.rng.uniform(0.01, 0.03)))
        for name in chosen:
            change = self.rng.choices([touch, edit, patch, remove, add], [40, 20, 10, 12, 18])[0]
            change(self, name)
        self.set_times(set(map(os.path.dirname, chosen)))
        return self

    def path(self, name):
        return self.tree + name

    def set_times(self, names):
        for name in sorted(names):
            os.utime(self.path(name), (self.time(), self.time()))

    def time(self):
        return 1_750_000_000 + self.rng.randrange(1 << 24)

    def undo(self):
        for name in self.made:
            os.unlink(self.path(name))
        for name in self.changed:
            put_back(self.pristine + name, self.path(name))
        folders = set(map(os.path.dirname, self.changed + self.made))
        for name in folders:
            shutil.copystat(self.pristine + name, self.path(name))


def plain_files(tree):
    found = []
    for top, folders, names in os.walk(tree):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(top, name)
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode) and st.st_nlink == 1 and not os.listxattr(path):
                found.append(path[len(tree):])
    return found


def put_back(source, target):
    """The same inode, if it is there still."""
    with open(source, "rb") as data, open(target, "wb") as out:
        shutil.copyfileobj(data, out)
    st = os.stat(source)
    os.chown(target, st.st_uid, st.st_gid)
    shutil.copystat(source, target)


def rewrite(variant, name, make):
    with open(variant.path(name), "r+b") as file:
        data = make(file.read())
        file.seek(0)
        file.truncate()
        file.write(data)
    variant.changed.append(name)
    os.utime(variant.path(name), (variant.time(), variant.time()))


# ---- Changes ----

def touch(variant, name):
    variant.changed.append(name)
    os.utime(variant.path(name), (variant.time(), variant.time()))


def edit(variant, name):
    """A line more in a text; anything else is only touched."""
    if not name.startswith(TEXT):
        touch(variant, name)
        return
    rng = variant.rng
    line = b"# changed %016x\n" % rng.getrandbits(64)
    rewrite(variant, name, lambda data: data[:len(data) // 2] + line + data[len(data) // 2:])


def patch(variant, name):
    """Some bytes of a program are others."""
    rng = variant.rng
    if os.path.getsize(variant.path(name)) > 8 << 20:
        touch(variant, name)
        return

    def make(data):
        length = min(len(data), rng.choice([16, 256, 4096, 16384]))
        start = rng.randrange(len(data) - length + 1)
        return data[:start] + rng.randbytes(length) + data[start + length:]
    rewrite(variant, name, make)


def remove(variant, name):
    os.unlink(variant.path(name))
    variant.changed.append(name)


def add(variant, name):
    """A file beside this one: half of it text, half of it not."""
    rng = variant.rng
    length = rng.choice([100, 1000, 6000, 30000])
    lines = b"".join(b"entry %d of %d\n" % (i, length) for i in range(length // 40))
    made = name + b".%08x" % rng.getrandbits(32)
    with open(variant.path(made), "wb") as file:
        file.write(lines + rng.randbytes(length // 2))
    os.utime(variant.path(made), (variant.time(), variant.time()))
    variant.made.append(made)

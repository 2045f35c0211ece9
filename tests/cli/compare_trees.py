#!/usr/bin/python3
"""Compares two directory trees, and shares nothing with what it tests.

compare_trees.py [--ignore KIND]... A B: a line "path: kind: detail" for each difference; exit 1 if
there is one. Kinds: missing, extra (all that is below goes with it), kind, mode, owner, mtime,
device, target, size, content, holes, xattrs, links.

The trees are walked by descriptors, so paths may be longer than PATH_MAX; names are bytes. Holes
are compared as the filesystem tells them (SEEK_HOLE), and never read.
"""

import argparse
import errno
import os
import resource
import stat
import sys

BLOCK = 1 << 20


def raise_limits():
    """Two descriptors are open for each level of the trees."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def data_map(fd, size):
    """Where the data is: [(start, end)]."""
    found, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:
                break
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        found.append((start, at))
    return found


def union(a, b):
    """Ranges that are in either, ascending."""
    out = []
    for start, end in sorted(a + b):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def first_difference(a, b, ranges):
    """The offset of the first block that differs, or None."""
    for start, end in ranges:
        for at in range(start, end, BLOCK):
            length = min(BLOCK, end - at)
            if os.pread(a, length, at) != os.pread(b, length, at):
                return at
    return None


def xattrs(fd, name):
    """Of an entry, or of the directory itself when there is no name; links are not followed."""
    path = b"/proc/self/fd/%d" % fd + (b"/" + name if name else b"")
    follow = not name
    try:
        names = os.listxattr(path, follow_symlinks=follow)
    except OSError as e:
        if e.errno == errno.ENOTSUP:
            return {}
        raise
    return {n: os.getxattr(path, n, follow_symlinks=follow) for n in names}


class Comparison:
    def __init__(self, ignored=(), ignored_xattrs=()):
        self.ignored = set(ignored)
        self.ignored_xattrs = set(ignored_xattrs)
        self.found = []  # (path, kind, detail)
        self.entries = 0
        self.names = []  # of the directories on the way
        self.leaders = ({}, {})  # (device, inode) -> number of the first entry

    def tell(self, name, kind, detail=""):
        if kind not in self.ignored:
            path = b"/".join(self.names + ([name] if name else []))
            self.found.append((path, kind, detail))

    def compare_links(self, name, a, b):
        """A group is named by the first of its entries that both trees have."""
        first = [leaders.setdefault((st.st_dev, st.st_ino), self.entries) if st.st_nlink > 1
                 else self.entries for leaders, st in zip(self.leaders, (a, b))]
        if first[0] != first[1]:
            self.tell(name, "links", "in other groups of hard links")

    def compare_contents(self, name, fds, a, b):
        if a.st_size != b.st_size:
            self.tell(name, "size", f"{a.st_size} and {b.st_size}")
            self.tell(name, "content")
            return
        if a.st_size == 0:
            return
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOATIME
        files = []
        try:
            for fd in fds:
                files.append(os.open(name, flags, dir_fd=fd))
            maps = [data_map(f, a.st_size) for f in files]
            if maps[0] != maps[1]:
                self.tell(name, "holes", f"data at {maps[0][:20]} and {maps[1][:20]}")
            at = first_difference(files[0], files[1], union(maps[0], maps[1]))
            if at is not None:
                self.tell(name, "content", f"in the block at {at}")
        finally:
            for f in files:
                os.close(f)

    def compare_entry(self, name, fds, a, b):
        """Everything but what is below. True when both are directories."""
        self.entries += 1
        kinds = stat.S_IFMT(a.st_mode), stat.S_IFMT(b.st_mode)
        if (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid):
            self.tell(name, "owner", f"{a.st_uid}:{a.st_gid} and {b.st_uid}:{b.st_gid}")
        if a.st_mtime_ns != b.st_mtime_ns:
            self.tell(name, "mtime", f"{a.st_mtime_ns} and {b.st_mtime_ns}")
        pair = [{n: v for n, v in xattrs(fd, name).items() if n not in self.ignored_xattrs}
                for fd in fds]
        if pair[0] != pair[1]:
            names = sorted(n for n in set(pair[0]) | set(pair[1])
                           if pair[0].get(n) != pair[1].get(n))
            self.tell(name, "xattrs", ", ".join(names))
        if kinds[0] != kinds[1]:
            self.tell(name, "kind", f"{kinds[0]:o} and {kinds[1]:o}")
            return False
        if a.st_mode != b.st_mode and not stat.S_ISLNK(a.st_mode):
            self.tell(name, "mode", f"{a.st_mode:o} and {b.st_mode:o}")
        if stat.S_ISDIR(a.st_mode):
            return True
        self.compare_links(name, a, b)
        if stat.S_ISREG(a.st_mode):
            self.compare_contents(name, fds, a, b)
        elif stat.S_ISLNK(a.st_mode):
            targets = [os.readlink(name, dir_fd=fd) for fd in fds]
            if targets[0] != targets[1]:
                self.tell(name, "target", f"{targets[0]!r} and {targets[1]!r}")
        elif (stat.S_ISCHR(a.st_mode) or stat.S_ISBLK(a.st_mode)) and a.st_rdev != b.st_rdev:
            self.tell(name, "device", f"{a.st_rdev:x} and {b.st_rdev:x}")
        return False

    def common_names(self, fds):
        """The names in both directories; tells of those in one. Python decodes what it lists."""
        first, second = (set(map(os.fsencode, os.listdir(fd))) for fd in fds)
        for name in sorted(first - second):
            self.tell(name, "missing")
        for name in sorted(second - first):
            self.tell(name, "extra")
        return iter(sorted(first & second))

    def walk(self, a, b):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        fds = [os.open(p, os.O_RDONLY | os.O_DIRECTORY) for p in (a, b)]
        self.compare_entry(b"", fds, os.fstat(fds[0]), os.fstat(fds[1]))
        stack = [(fds, self.common_names(fds))]
        while stack:
            fds, names = stack[-1]
            name = next(names, None)
            if name is None:
                for fd in fds:
                    os.close(fd)
                stack.pop()
                if stack:
                    self.names.pop()
                continue
            pair = [os.stat(name, dir_fd=fd, follow_symlinks=False) for fd in fds]
            if self.compare_entry(name, fds, *pair):
                fds = [os.open(name, flags, dir_fd=fd) for fd in fds]
                self.names.append(name)
                stack.append((fds, self.common_names(fds)))


def compare(a, b, ignored=(), ignored_xattrs=()):
    """The differences, as (path, kind, detail) with paths as bytes."""
    raise_limits()
    comparison = Comparison(ignored, ignored_xattrs)
    comparison.walk(a, b)
    return comparison.found


def show(found):
    return "\n".join(f"{path.decode('utf-8', 'backslashreplace')[-200:] or '.'}: {kind}: {detail}"
                     for path, kind, detail in found)


def main():
    parser = argparse.ArgumentParser(description="Compares two directory trees.")
    parser.add_argument("--ignore", action="append", default=[])
    parser.add_argument("a")
    parser.add_argument("b")
    args = parser.parse_args()
    found = compare(args.a, args.b, args.ignore)
    if found:
        print(show(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

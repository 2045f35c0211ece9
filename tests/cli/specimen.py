"""A small tree with one of everything, and every way to change one thing in it.

build() makes the tree. MUTATIONS are changes of one attribute each, with what a comparison has to
find: {(path, kind)} in the words of compare_trees.py. `is_covered` tells whether the attribute
belongs to the identity of a tree, and so whether the tree id has to change.
"""

import os
import random
import socket
import stat
import subprocess
from contextlib import contextmanager

import harness

OLD = 1_500_000_000
BIG_XATTR = 60_000
ZEROS = 300 << 10  # where the zeros of "big" begin
HOLE = 556 << 10  # where its hole begins
TAIL = 812 << 10  # where data follows again


def quiet(*words):
    harness.tool(*words)


def write(path, contents, mode=0o644):
    with open(path, "wb") as f:
        f.write(contents)
    os.chmod(path, mode)


def build_big(path):
    """Data, zeros that are stored, a hole, data."""
    with open(path, "wb") as f:
        f.write(random.Random(1).randbytes(ZEROS) + bytes(HOLE - ZEROS))
        f.seek(TAIL)
        f.write(random.Random(2).randbytes(10 << 10))


def make_socket(path):
    """bind() takes short paths only, so it is called in the folder."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(os.path.dirname(path))
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.basename(path))
    finally:
        os.fchdir(here)
        os.close(here)


def build(root):
    """Makes the tree at `root`; what needs root is left out when we are not."""
    at = lambda *names: os.path.join(root, *names)  # noqa: E731
    for folder in ("", "etc", "sub", "dev", "empty", "guarded"):
        os.mkdir(at(folder))
    write(at("etc/conf"), b"setting = 1\n" * 90)
    write(at("etc/small"), b"x = 1\n")
    write(at("etc/empty"), b"")
    write(at("etc/capable"), b"may more")
    write(at("etc/setuid"), b"#!/bin/true\n", 0o4755)
    write(at("hard1"), b"one file, two names" * 20)
    os.link(at("hard1"), at("sub/hard2"))
    for name in ("sub/twin1", "sub/twin2"):
        write(at(name), b"the same contents" * 30)
    write(at("attributes"), b"")
    build_big(at("big"))
    os.symlink("etc/conf", at("link"))
    os.mkfifo(at("fifo"))
    make_socket(at("socket"))
    try:
        os.setxattr(at("attributes"), "user.one", b"1")
        os.setxattr(at("attributes"), "user.empty", b"")
        os.setxattr(at("sub"), "user.folder", b"yes")
    except OSError:
        raise harness.Skipped("no user.* xattrs here") from None
    quiet("setfacl", "-m", "u:7:r", at("etc/conf"))
    quiet("setfacl", "-d", "-m", "g:8:rx", at("guarded"))
    if harness.is_root():
        os.mknod(at("dev/null"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(at("dev/disk"), 0o600 | stat.S_IFBLK, os.makedev(8, 300))
        os.setxattr(at("link"), "trusted.note", b"on a link", follow_symlinks=False)
        try:
            os.setxattr(at("attributes"), "user.large", bytes(BIG_XATTR))
        except OSError:  # some filesystems have no room for it
            os.setxattr(at("attributes"), "user.large", bytes(1000))
        quiet("setcap", "cap_net_raw+ep", at("etc/capable"))
        for name in ("sub/twin1", "sub/twin2"):
            os.chown(at(name), 1000, 2000)
    age(root)
    ns = os.stat(at("sub/twin1")).st_mtime_ns
    os.utime(at("sub/twin2"), ns=(ns, ns))


def age(root):
    """Gives everything an mtime of its own, long ago."""
    paths = [root] + [os.path.join(folder, name) for folder, folders, files in os.walk(root)
                      for name in folders + files]
    for count, path in enumerate(sorted(paths, reverse=True)):
        ns = (OLD + count) * 10**9 + 123_456_789
        os.utime(path, ns=(ns, ns), follow_symlinks=False)


@contextmanager
def same_times(*paths):
    """Gives back their mtimes afterwards."""
    before = [(p, os.lstat(p).st_mtime_ns) for p in paths]
    yield
    for path, ns in before:
        os.utime(path, ns=(ns, ns), follow_symlinks=False)


# ---- Changes: each is called with the tree's path ----

def rename(at):
    with same_times(at + "/etc"):
        os.rename(at + "/etc/conf", at + "/etc/conf2")


def remove(at):
    with same_times(at + "/etc"):
        os.unlink(at + "/etc/setuid")


def remove_folder(at):
    with same_times(at):
        quiet("rm", "-r", at + "/sub")


def add(at):
    with same_times(at + "/empty"):
        write(at + "/empty/new", b"new")


def add_folder(at):
    with same_times(at):
        os.mkdir(at + "/more")
        write(at + "/more/new", b"new")


def change_kind(at):
    st = os.lstat(at + "/etc/empty")
    with same_times(at + "/etc"):
        os.unlink(at + "/etc/empty")
        os.mkfifo(at + "/etc/empty")
        os.chmod(at + "/etc/empty", stat.S_IMODE(st.st_mode))
        os.utime(at + "/etc/empty", ns=(st.st_mtime_ns, st.st_mtime_ns))


def chmod(path, mode):
    return lambda at: os.chmod(os.path.join(at, path), mode)


def chown(path, uid, gid):
    return lambda at: os.chown(os.path.join(at, path), uid, gid, follow_symlinks=False)


def later(path, ns):
    def change(at):
        there = os.path.join(at, path)
        now = os.lstat(there).st_mtime_ns + ns
        os.utime(there, ns=(now, now), follow_symlinks=False)
    return change


def retarget(at):
    st = os.lstat(at + "/link")
    with same_times(at):
        note = harness.is_root() and os.getxattr(at + "/link", "trusted.note",
                                                 follow_symlinks=False)
        os.unlink(at + "/link")
        os.symlink("etc/CONF", at + "/link")
        if note:
            os.setxattr(at + "/link", "trusted.note", note, follow_symlinks=False)
        os.utime(at + "/link", ns=(st.st_mtime_ns, st.st_mtime_ns), follow_symlinks=False)


def put(path, offset, data):
    def change(at):
        with same_times(os.path.join(at, path)), open(os.path.join(at, path), "r+b") as f:
            f.seek(offset)
            f.write(data)
            f.flush()
    return change


def resize(path, size):
    def change(at):
        with same_times(os.path.join(at, path)):
            os.truncate(os.path.join(at, path), size)
    return change


def renumber(path, number):
    def change(at):
        there = os.path.join(at, path)
        st = os.lstat(there)
        with same_times(os.path.dirname(there)):
            os.unlink(there)
            os.mknod(there, st.st_mode, number)
            os.utime(there, ns=(st.st_mtime_ns, st.st_mtime_ns))
    return change


def separate(at):
    with same_times(at + "/sub"):
        quiet("cp", "-a", at + "/sub/hard2", at + "/sub/copy")
        os.rename(at + "/sub/copy", at + "/sub/hard2")


def join(at):
    with same_times(at + "/sub"):
        os.unlink(at + "/sub/twin2")
        os.link(at + "/sub/twin1", at + "/sub/twin2")


def set_xattr(path, name, value):
    return lambda at: os.setxattr(os.path.join(at, path), name, value, follow_symlinks=False)


def remove_xattr(path, name):
    return lambda at: os.removexattr(os.path.join(at, path), name, follow_symlinks=False)


def run(*words):
    """A program; {} stands for the tree."""
    return lambda at: quiet(*(w.replace("{}", at) for w in words))


def timed(path, change):
    def both(at):
        with same_times(os.path.join(at, path)):
            change(at)
    return both


def rewrite(at):
    """The same file under another inode number."""
    with same_times(at):
        quiet("cp", "-a", at + "/attributes", at + "/copy")
        os.rename(at + "/copy", at + "/attributes")


def churn(at):
    """The directory grows, its entries come in another order."""
    with same_times(at + "/etc"):
        for i in range(300):
            write(f"{at}/etc/{i:0200}", b"")
        for i in range(300):
            os.unlink(f"{at}/etc/{i:0200}")


class Mutation:
    def __init__(self, name, change, found, needs_root=False, is_covered=True):
        self.name, self.change, self.is_covered = name, change, is_covered
        self.found = {tuple(f.split(": ")) for f in found}
        self.needs_root = needs_root


def covered(name, change, *found, needs_root=False):
    return Mutation(name, change, found, needs_root)


def uncovered(name, change, *found, needs_root=False):
    return Mutation(name, change, found, needs_root, is_covered=False)


LARGE = b"\0" * (BIG_XATTR - 1) + b"!"

MUTATIONS = [
    covered("name", rename, "etc/conf: missing", "etc/conf2: extra"),
    covered("file removed", remove, "etc/setuid: missing"),
    covered("folder removed", remove_folder, "sub: missing"),
    covered("file added", add, "empty/new: extra"),
    covered("folder added", add_folder, "more: extra"),
    covered("kind", change_kind, "etc/empty: kind"),
    covered("mode", chmod("etc/small", 0o600), "etc/small: mode"),
    covered("set-user-id bit", chmod("etc/setuid", 0o755), "etc/setuid: mode"),
    covered("sticky bit", chmod("empty", 0o1755), "empty: mode"),
    covered("mode of the root", chmod("", 0o711), ".: mode"),
    covered("mode of a fifo", chmod("fifo", 0o111), "fifo: mode"),
    covered("user", chown("sub/twin2", 77, -1), "sub/twin2: owner", needs_root=True),
    covered("group", chown("sub/twin2", -1, 77), "sub/twin2: owner", needs_root=True),
    covered("owner of a link", chown("link", 77, 77), "link: owner", needs_root=True),
    covered("owner of the root", chown("", 77, 77), ".: owner", needs_root=True),
    covered("mtime, seconds", later("etc/small", 10**9), "etc/small: mtime"),
    covered("mtime, 1 ns", later("etc/small", 1), "etc/small: mtime"),
    covered("mtime before 1970", later("etc/small", -(OLD + 10**7) * 10**9), "etc/small: mtime"),
    covered("mtime of a link", later("link", 1), "link: mtime"),
    covered("mtime of a folder", later("sub", -1), "sub: mtime"),
    covered("mtime of the root", later("", 1), ".: mtime"),
    covered("target", retarget, "link: target"),
    covered("one byte of a small file", put("etc/small", 0, b"y"), "etc/small: content"),
    covered("one byte of a file", put("etc/conf", 500, b"?"), "etc/conf: content"),
    covered("one byte of a large file", put("big", 100_000, b"?"), "big: content"),
    covered("one byte of zeros", put("big", ZEROS + 100_000, b"?"), "big: content"),
    covered("last byte of a large file", put("big", TAIL + (10 << 10) - 1, b"\xff"),
            "big: content"),
    covered("one byte more", put("etc/conf", 1080, b"?"), "etc/conf: size", "etc/conf: content"),
    covered("one byte less", resize("etc/small", 5), "etc/small: size", "etc/small: content"),
    covered("emptied", resize("etc/small", 0), "etc/small: size", "etc/small: content"),
    covered("longer by a hole", resize("big", 1 << 20), "big: size", "big: content"),
    covered("major number", renumber("dev/null", os.makedev(2, 3)), "dev/null: device",
            needs_root=True),
    covered("minor number", renumber("dev/disk", os.makedev(8, 301)), "dev/disk: device",
            needs_root=True),
    covered("one file becomes two", separate, "sub/hard2: links"),
    covered("two files become one", join, "sub/twin2: links"),
    covered("xattr changed", set_xattr("attributes", "user.one", b"2"), "attributes: xattrs"),
    covered("xattr emptied", set_xattr("attributes", "user.one", b""), "attributes: xattrs"),
    covered("xattr added", set_xattr("etc/conf", "user.new", b""), "etc/conf: xattrs"),
    covered("xattr removed", remove_xattr("attributes", "user.empty"), "attributes: xattrs"),
    covered("xattr of a folder", remove_xattr("sub", "user.folder"), "sub: xattrs"),
    covered("xattr of the root", set_xattr("", "user.root", b"1"), ".: xattrs"),
    covered("large xattr, last byte", set_xattr("attributes", "user.large", LARGE),
            "attributes: xattrs", needs_root=True),
    covered("xattr of a link", set_xattr("link", "trusted.note", b"other"), "link: xattrs",
            needs_root=True),
    covered("xattr of a fifo", set_xattr("fifo", "trusted.note", b"other"), "fifo: xattrs",
            needs_root=True),
    covered("ACL", run("setfacl", "-m", "u:7:-", "{}/etc/conf"), "etc/conf: xattrs"),
    covered("default ACL", run("setfacl", "-k", "{}/guarded"), "guarded: xattrs"),
    covered("capability", run("setcap", "cap_net_raw+eip", "{}/etc/capable"), "etc/capable: xattrs",
            needs_root=True),
    uncovered("zeros become a hole",
              timed("big", run("fallocate", "-p", "-o", str(ZEROS + 65536), "-l", "65536",
                               "{}/big")), "big: holes"),
    uncovered("a hole becomes zeros", put("big", HOLE + 65536, bytes(65536)), "big: holes"),
    uncovered("atime", run("touch", "-a", "-d", "2001-02-03", "{}/etc/conf")),
    uncovered("ctime", run("chmod", "u+r", "{}/etc/conf")),
    uncovered("inode number", rewrite),
    uncovered("order in a directory", churn),
    uncovered("a name outside", run("ln", "{}/hard1", "{}-outside")),
    uncovered("SELinux label", set_xattr("etc/conf", "security.selinux", b"system_u:x:y:s0\0"),
              "etc/conf: xattrs", needs_root=True),
    uncovered("overlay mark", set_xattr("sub", "trusted.overlay.opaque", b"y"), "sub: xattrs",
              needs_root=True),
    uncovered("no-dump flag", run("chattr", "+d", "{}/etc/conf"), needs_root=True),
]


def copy(a, b):
    """cp makes other holes, so those are made again."""
    quiet("cp", "-a", a, b)
    with same_times(b + "/big"):
        build_big(b + "/big")


def each_mutation(box, original):
    """For each: the mutation, and a copy of the tree in which it was applied."""
    for number, mutation in enumerate(MUTATIONS):
        if mutation.needs_root and not harness.is_root():
            continue
        changed = box.path(f"changed{number}")
        copy(original, changed)
        mutation.change(changed)
        yield mutation, changed
        subprocess.run(["rm", "-rf", changed, changed + "-outside"], check=True)

"""Trees that are hard to keep: one function for each sort of difficulty, made in a folder."""

import os
import random
import socket
import stat

import harness
import specimen

LEVELS, NAME_LENGTH = 300, 200
MANY = 200_000


def long_paths(at):
    """300 levels of names of 200 bytes, with a file and hard links at the bottom."""
    os.mkdir(at)
    fd = os.open(at, os.O_RDONLY)
    top = os.dup(fd)
    os.close(os.open("top", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=top))
    for level in range(LEVELS):
        name = b"%03d" % level + b"d" * (NAME_LENGTH - 3)
        os.mkdir(name, 0o750, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    with os.fdopen(os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=fd), "wb") as f:
        f.write(b"far below" * 1000)
    os.link("deep", "deeper", src_dir_fd=fd, dst_dir_fd=fd)
    os.link("top", "also", src_dir_fd=top, dst_dir_fd=fd)
    os.symlink("deep", "link", dir_fd=fd)
    os.close(fd)
    os.close(top)


def many_entries(at):
    """A directory of 200,000 entries: files, a few of them with contents, links, folders."""
    os.mkdir(at)
    fd = os.open(at, os.O_RDONLY)
    for i in range(MANY):
        name = b"%x-%d" % (i * 2654435761 & 0xffffffff, i)
        if i % 50 == 7:
            os.mkdir(name, dir_fd=fd)
        elif i % 50 == 8:
            os.symlink(name, name, dir_fd=fd)
        else:
            file = os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd)
            if i % 20 == 3:
                os.write(file, b"%d" % i * (i % 64))
            os.close(file)
    os.close(fd)


def kinds(at):
    os.mkdir(at)
    os.mkfifo(at + "/fifo", 0o622)
    specimen.make_socket(at + "/socket")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("\0abstract")
    os.mkdir(at + "/empty")
    os.mkdir(at + "/forbidden")
    specimen.write(at + "/forbidden/file", b"inside")
    os.chmod(at + "/forbidden", 0)
    specimen.write(at + "/unreadable", b"secret", 0)
    for mode in (0o1777, 0o2775, 0o4755, 0o6711, 0o7777, 0o001):
        specimen.write(f"{at}/file{mode:o}", b"mode", mode)
        os.mkdir(f"{at}/folder{mode:o}")
        os.chmod(f"{at}/folder{mode:o}", mode)
    if harness.is_root():
        for name, kind, major, minor in (
                ("null", stat.S_IFCHR, 1, 3), ("whiteout", stat.S_IFCHR, 0, 0),
                ("disk", stat.S_IFBLK, 259, 1_000_000)):
            os.mknod(f"{at}/{name}", kind | 0o640, os.makedev(major, minor))
            os.chown(f"{at}/{name}", 0, 6)
        for uid in (1, 65534, 1 << 31, (1 << 32) - 2):
            specimen.write(f"{at}/owner{uid}", b"")
            os.chown(f"{at}/owner{uid}", uid, uid)


def holes(at):
    os.mkdir(at)
    page, data = os.sysconf("SC_PAGE_SIZE"), random.Random(3)
    for name, size, pieces in (
            ("begins", 10 * page, [5]),
            ("ends", 10 * page + 17, [0]),
            ("middle", 300 * page, [0, 1, 100, 299]),
            ("only-small", 100, []),
            ("only-page", page, []),
            ("only-large", 64 << 20, []),
            ("odd", 40 * page + 1, [1, 3, 5, 7, 38]),
            ("many", 2000 * page, range(0, 2000, 2)),
            ("terabyte", 1 << 40, [0, 1 << 20, (1 << 28) - 1])):
        with open(f"{at}/{name}", "wb") as f:
            f.truncate(size)
            for piece in pieces:
                os.pwrite(f.fileno(), data.randbytes(page), piece * page)
    with open(at + "/zeros", "wb") as f:  # zeros that are no hole
        f.write(bytes(1 << 20))
    with open(at + "/mixed", "wb") as f:  # zeros, holes and data next to each other
        for piece in range(40):
            f.seek(piece * 3 * page)
            f.write((bytes(page), data.randbytes(page),
                     data.randbytes(100) + bytes(page))[piece % 3])


def links(at):
    """Hard links in several directories, of all kinds, and out of the tree."""
    for folder in ("", "/a", "/b", "/b/c"):
        os.mkdir(at + folder)
    specimen.write(at + "/b/first", b"shared" * 100)
    for name in ("/a/z", "/b/c/x", "/last"):
        os.link(at + "/b/first", at + name)
    specimen.write(at + "/b/empty", b"")
    os.link(at + "/b/empty", at + "/a/empty")
    specimen.write(os.path.dirname(at) + "-outside", b"outside")
    os.link(os.path.dirname(at) + "-outside", at + "/from-outside")
    os.mkfifo(at + "/fifo")
    os.link(at + "/fifo", at + "/a/fifo")
    os.symlink("nowhere", at + "/symlink")
    os.link(at + "/symlink", at + "/b/symlink", follow_symlinks=False)
    specimen.write(at + "/large1", random.Random(4).randbytes(3 << 20))
    os.link(at + "/large1", at + "/b/c/large2")
    for i in range(500):
        os.link(at + "/b/first", f"{at}/b/c/{i}")


def names(at):
    os.mkdir(at)
    at = os.fsencode(at)
    for name in (b"new\nline", b"back\\slash", b"-rf", b"--help", b" ", b"\t", b"\xff\xfe", b"\xc3",
                 b"\xed\xa0\x80", b"*", b"?[x]", b"...", b"quote'\"", b"\x01\x7f", b"x" * 255,
                 "ä".encode(), "a\u0308".encode(), b"CON", b"a.", b"a", b"A", b"a!", b"a-b", b"!x",
                 b"$HOME", b"\x1b[31m"):
        specimen.write(os.path.join(at, name), name)
        os.mkdir(os.path.join(at, name[:254] + b"d"))
        specimen.write(os.path.join(at, name[:254] + b"d", name), name)


def symlinks(at):
    os.mkdir(at)
    for name, target in (("dangling", b"no/such"), ("absolute", b"/etc/passwd"), ("self", b"self"),
                         ("up", b"../../../.."), ("loop1", b"loop2"), ("loop2", b"loop1"),
                         ("long", b"t" * 4095), ("odd", b"\xff\n\\ "), ("slash", b"/"),
                         ("dot", b".")):
        os.symlink(target, os.path.join(at, name).encode())


def times(at):
    os.mkdir(at)
    for ns in (0, 1, -1, -10**9, -999_999_999, -1_000_000_001, 2**31 * 10**9 + 7,
               2**32 * 10**9 + 999, 16_725_225_599 * 10**9 + 999_999_999,
               -62_135_596_800 * 10**9 + 5):
        specimen.write(f"{at}/{ns}", b"")
        os.mkdir(f"{at}/{ns}d")
        os.symlink("x", f"{at}/{ns}l")
        for kind in ("", "d", "l"):
            os.utime(f"{at}/{ns}{kind}", ns=(0, ns), follow_symlinks=False)


def attributes(at):
    os.mkdir(at)
    specimen.write(at + "/file", b"x" * 2000)
    specimen.write(at + "/read-only", b"x", 0o400)
    os.mkdir(at + "/folder")
    for name in ("file", "read-only", "folder"):
        os.setxattr(f"{at}/{name}", "user.empty", b"")
        os.setxattr(f"{at}/{name}", "user.large", random.Random(5).randbytes(60_000))
        os.setxattr(f"{at}/{name}", b"user.\xff\n", b"\0\xff")
        for i in range(100):
            os.setxattr(f"{at}/{name}", f"user.{i}", b"v" * i)
        harness.tool("setfacl", "-m", "u:7:rwx,g:8:-,m:rw", f"{at}/{name}")
    os.chmod(at + "/read-only", 0o400)
    harness.tool("setfacl", "-d", "-m", "u:7:rwx,g:8:-", at + "/folder")
    specimen.write(at + "/folder/inherits", b"")
    os.mkdir(at + "/folder/inherits-too")
    specimen.write(at + "/folder/does-not", b"")
    harness.tool("setfacl", "-b", at + "/folder/does-not")
    if not harness.is_root():
        return
    specimen.write(at + "/capable", b"")
    harness.tool("setcap", "cap_net_admin,cap_sys_ptrace+eip", at + "/capable")
    os.symlink("x", at + "/symlink")
    os.mkfifo(at + "/fifo")
    for name in ("file", "folder", "symlink", "fifo"):
        os.setxattr(f"{at}/{name}", "trusted.mine", b"", follow_symlinks=False)
    specimen.write(at + "/owned", b"", 0o4755)
    os.chown(at + "/owned", 5, 6)
    os.chmod(at + "/owned", 0o6755)
    specimen.write(at + "/immutable", b"never changed")
    harness.tool("chattr", "+i", at + "/immutable")


def contents(at):
    """A file of more than 100 MB, sizes around every limit, and many duplicates."""
    os.mkdir(at)
    data = random.Random(6)
    block = data.randbytes(1 << 20)
    with open(at + "/large", "wb") as f:
        for i in range(110):
            f.write((block, b"text %d\n" % i * 80_000, bytes(1 << 20),
                     data.randbytes(1 << 20))[i % 4])
    for size in (0, 1, 255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537, 131072, (1 << 20) - 1,
                 (1 << 20) + 1, 4 << 20):
        specimen.write(f"{at}/{size}", data.randbytes(size))
        specimen.write(f"{at}/{size}-zeros", bytes(size))
    for i in range(300):
        specimen.write(f"{at}/copy{i}", block[: 100_000])


PARTS = (long_paths, many_entries, kinds, holes, links, names, symlinks, times, attributes,
         contents)


def build(root, parts=PARTS):
    os.mkdir(root)
    for part in parts:
        part(os.path.join(root, part.__name__))

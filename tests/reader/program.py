"""The program under test, and what it leaves in a directory."""

import hashlib
import os
import shutil
import stat
import subprocess

TIMEOUT = 60
KINDS = {stat.S_IFREG: "regular", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
         stat.S_IFCHR: "character device", stat.S_IFBLK: "block device", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket"}


class Problem(Exception):
    """What a test fails with."""


def remove(path):
    """Removes a tree; a directory without modes is no hindrance to root."""
    shutil.rmtree(path, ignore_errors=True)


class Program:
    """Runs ociv2 with a home of its own, so that nothing is remembered between repositories."""

    def __init__(self, binary, work):
        self.binary, self.work = os.path.abspath(binary), work
        remove(work)
        os.makedirs(work)
        self.password = os.path.join(work, "password")
        with open(self.password, "wb") as f:
            f.write(b"golden\n")

    def run(self, root, *args, key=None, output=None, cache=False):
        """(exit code, standard output, standard error); dying or hanging is a Problem."""
        home = os.path.join(self.work, "home")
        if not cache:
            remove(home)
        how = ["--key-file", key] if key else ["--password-file", self.password]
        command = [self.binary, "-r", root, *how, "--jobs", "1", *args]
        if not cache:
            command.insert(1, "--no-cache")
        env = {"HOME": home, "PATH": "/usr/bin:/bin", "TZ": "UTC", "NO_COLOR": "1"}
        try:
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, timeout=TIMEOUT,
                                  stdout=output or subprocess.PIPE, stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired:
            raise Problem(f"{args[0]} did not end") from None
        message = os.fsdecode(done.stderr)
        if done.returncode < 0 or done.returncode >= 128:
            raise Problem(f"{args[0]} crashed with {done.returncode}: {message}")
        return done.returncode, done.stdout, message

    def must(self, root, *args, **more):
        code, output, message = self.run(root, *args, **more)
        if code:
            raise Problem(f"{args[0]} failed with {code}: {message}")
        return output

    def restore(self, root, image, *args, **more):
        """(exit code, folder, message)"""
        folder = os.path.join(self.work, "restored")
        remove(folder)
        code, _, message = self.run(root, "restore", *args, image, folder, **more)
        return code, folder, message


# ---- a directory as the reader lists it ------------------------------------------------------


def holes_of(f, size):
    found, at = [], 0
    while at < size:
        start = os.lseek(f.fileno(), at, os.SEEK_HOLE)
        if start >= size:
            break
        try:
            at = os.lseek(f.fileno(), start, os.SEEK_DATA)
        except OSError:
            at = size
        found.append([start, at - start])
    return found


def contents(path, size):
    """The digest and the holes."""
    digest = hashlib.blake2b(digest_size=32)
    with open(path, "rb") as f:
        holes = holes_of(f, size)
        f.seek(0)
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest(), holes


def describe(root, path, leaders):
    full = os.path.join(root, path) if path else root
    info = os.lstat(full)
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    line = {"path": path.hex(), "kind": kind, "uid": info.st_uid, "gid": info.st_gid,
            "mtime": [info.st_mtime_ns // 10**9, info.st_mtime_ns % 10**9]}
    if kind == "symlink":
        line["target"] = os.readlink(full).hex()
    else:
        line["mode"] = f"{stat.S_IMODE(info.st_mode):04o}"
    if kind.endswith("device"):
        line["device"] = [os.major(info.st_rdev), os.minor(info.st_rdev)]
    if kind == "regular":
        line["size"] = info.st_size
        line["blake2b"], holes = contents(full, info.st_size)
        if holes:
            line["holes"] = holes
    own, host = [], []
    for name in sorted(os.fsencode(n) for n in os.listxattr(full, follow_symlinks=False)):
        of_host = name in (b"security.selinux", b"security.ima", b"security.evm")
        of_host |= name.startswith(b"trusted.overlay.")
        value = os.getxattr(full, name, follow_symlinks=False)
        (host if of_host else own).append([name.hex(), value.hex()])
    line |= {"xattrs": own} if own else {}
    line |= {"host_xattrs": host} if host else {}
    if kind != "directory" and info.st_nlink > 1:
        leader = leaders.setdefault(info.st_ino, path)
        line |= {"leader": leader.hex()} if leader != path else {}
    return line


def listing(root):
    """{path in hex: line}, as in golden-v1.jsonl; the walk is in path order."""
    lines, leaders, root = {}, {}, os.fsencode(root)

    def walk(path):
        line = describe(root, path, leaders)
        lines[line["path"]] = line
        if line["kind"] == "directory":
            for name in sorted(os.listdir(os.path.join(root, path) if path else root)):
                walk(path + b"/" + name if path else name)
    walk(b"")
    return lines


def differences(expected, found, ignored=()):
    """What differs between two listings; `ignored` are (path in hex, member)."""
    out = []
    for path in sorted(expected.keys() | found.keys()):
        a, b = expected.get(path), found.get(path)
        if a is None or b is None:
            out.append(f"{bytes.fromhex(path)!r} is {'missing' if b is None else 'too much'}")
            continue
        out += [f"{bytes.fromhex(path)!r}: {k} is {b.get(k)!r} instead of {a.get(k)!r}"
                for k in sorted(a.keys() | b.keys())
                if k != "printable" and (path, k) not in ignored and a.get(k) != b.get(k)]
    return out

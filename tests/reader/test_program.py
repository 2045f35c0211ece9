#!/usr/bin/python3
"""The program on the vectors, and the independent reader on what the program writes.

test_program.py PROGRAM TWINS [WORK]: TWINS is a folder made by make_must_fail.py. Restored trees
are compared attribute for attribute, so root is needed.
"""

import errno
import json
import os
import random
import shutil
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(os.path.dirname(HERE), "vectors")
sys.path[:0] = [HERE, VECTORS]

try:
    from fmt.check import Repository, check
    from fmt.strict import Refused
except ImportError as problem:
    print(f"skipped: {problem}")
    sys.exit(77)

import program  # noqa: E402
from program import Problem, Program, differences, listing, remove  # noqa: E402

GOLDEN = os.path.join(VECTORS, "golden-v1")
SECRET = ("password", b"golden")
IMAGES = ("golden:1", "golden:2", "kept:1")
PAGE = 4096
HOSTS = "host_xattrs"


def hexed(text):
    return os.fsencode(text).hex()


# What no filesystem of Linux takes: device numbers, a made-up capability, two host labels of one
# inode. Restoring them is warned of, so that the exit code is 3.
IMPOSSIBLE = {hexed("kinds/block")}
IGNORED = {(hexed("xattrs/few"), "xattrs"), (hexed("order/a-b"), HOSTS), (hexed("order/a/x"), HOSTS)}
TIMES = {(hexed("times/far"), "mtime"), (hexed("times/long-ago"), "mtime")}


def golden_lines():
    """{image: {path: line}} of golden-v1.jsonl."""
    images = {}
    with open(os.path.join(VECTORS, "golden-v1.jsonl"), encoding="ascii") as f:
        for line in map(json.loads, f):
            if "snapshot" in line:
                images[line["name"]] = lines = {}
            else:
                lines[line["path"]] = line
    return images


def as_restored(lines):
    """What a restore makes of a listing: no unread paths, holes in whole pages."""
    out = {}
    for path, line in lines.items():
        if "error" in line:
            continue
        holes = []
        for start, length in line.get("holes", []):
            first, end = -(-start // PAGE) * PAGE, start + length
            if end != line["size"]:
                end = end // PAGE * PAGE
            if end - first >= PAGE:
                holes.append([first, end - first])
        out[path] = {k: v for k, v in line.items() if k != "holes"} | (
            {"holes": holes} if holes else {})
    return out


def takes_all_times(folder):
    path = os.path.join(folder, "time")
    with open(path, "wb"):
        pass
    try:
        os.utime(path, ns=(0, (1 << 33) * 10**9))
    except OverflowError:
        return False
    return os.stat(path).st_mtime_ns == (1 << 33) * 10**9


class Tests:
    def __init__(self, binary, twins, work):
        self.twins, self.work = twins, work
        self.binary = binary
        self.failed, self.passed = [], 0
        self.golden = golden_lines()
        self.ignored = IGNORED | TIMES
        self.programs = [Program(binary, os.path.join(work, f"run-{i}")) for i in range(2)]

    def test(self, name, run, *args):
        try:
            run(*args)
        except (Problem, Refused, OSError) as e:
            self.failed.append(name)
            print(f"FAILED {name}: {e}", flush=True)
        else:
            self.passed += 1

    # ---- restoring

    def compare(self, folder, lines):
        expected = as_restored(lines)
        for path in IMPOSSIBLE:
            expected.pop(path, None)
        found = differences(expected, listing(folder), self.ignored)
        if found:
            raise Problem("restored differently: " + "; ".join(found[:5]))

    def restore(self, run, root, image, lines, **more):
        code, folder, message = run.restore(root, image, "--selinux", **more)
        expected = 3 if image == "golden:1" else 0
        if code != expected:
            raise Problem(f"restore of {image} ended with {code}: {message}")
        self.compare(folder, lines)
        remove(folder)

    def all_images(self, root, key=None):
        run = self.programs[0]
        run.must(root, "images", key=key)
        message = run.run(root, "check", "--read-data", key=key)
        if message[0]:
            raise Problem(f"check failed: {message[2]}")
        for image in IMAGES:
            self.restore(run, root, image, self.golden[image], key=key)

    def dumps(self):
        """Each file as `dump` has it."""
        run = self.programs[0]
        for image in IMAGES:
            many = 0
            for path, line in self.golden[image].items():
                name = bytes.fromhex(path)
                many += name.startswith(b"many/")
                if line.get("kind") != "regular" or name.startswith(b"many/") and many % 20:
                    continue
                found = run.must(GOLDEN, "dump", image, name)
                digest = program.hashlib.blake2b(found, digest_size=32).hexdigest()
                if (len(found), digest) != (line["size"], line["blake2b"]):
                    raise Problem(f"dump of {image} {name!r} differs")

    # ---- twins

    def accepted(self, run, root, case):
        run.must(root, "images")
        code, _, message = run.run(root, "check", "--read-data")
        if (code == 0) != (case["stage"] == "check"):
            raise Problem(f"check ended with {code}: {message}")
        image = case["image"]
        if image == "bad:1":
            repo = Repository(root, SECRET)
            lines = {x["path"]: x for x in list(repo.listing(image))[1:]}
        else:
            lines = self.golden[image]
        self.restore(run, root, image, lines)

    def refused(self, run, root, case):
        """The stage's command fails and names the file; nothing wrong is restored."""
        opened = run.run(root, "images")
        checked = run.run(root, "check", "--read-data")
        if case["stage"] == "open" and opened[0] == 0:
            raise Problem("was opened")
        if checked[0] == 0:
            raise Problem("check found nothing")
        if case["file"] not in opened[2] + checked[2]:
            raise Problem(f"{case['file']} is not named: {opened[2] + checked[2]}")
        if opened[0]:
            return
        image = case["image"]
        code, folder, _ = run.restore(root, image, "--selinux")
        if code == 0 and case["stage"] == "read":
            raise Problem(f"{image} was restored")
        if code == 0 or image == "golden:1" and code == 3 and case["stage"] == "check":
            self.nothing_wrong(root, image, folder, case)
        remove(folder)

    def nothing_wrong(self, root, image, folder, case):
        if image in self.golden:
            self.compare(folder, self.golden[image])
            return
        try:
            lines = {x["path"]: x for x in list(Repository(root, SECRET).listing(image))[1:]}
        except Refused:
            # The reader does not take the image: what is known is the contents of one file, unless
            # they are what the case is about.
            if case["name"].startswith("must-fail-extents-"):
                return
            name = os.path.join(folder, "file")
            with open(os.path.join(self.work, "known.json"), encoding="ascii") as f:
                known = json.load(f)
            if os.path.isfile(name) and program.contents(name, 0)[0] not in known:
                raise Problem(f"{case['name']}: contents are wrong") from None
            return
        self.compare(folder, lines)

    def all_twins(self):
        for index, judge in (("accept.json", self.accepted), ("cases.json", self.refused)):
            with open(os.path.join(self.twins, index), encoding="ascii") as f:
                cases = json.load(f)

            def half(i, cases=cases, judge=judge):
                for case in cases[i::2]:
                    root = os.path.join(self.twins, case["name"])
                    self.test(case["name"], judge, self.programs[i], root, case)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(half, range(2)))

    # ---- what the program writes

    def written(self):
        """The reader on a repository with a history, against the trees it was made of."""
        run, root = self.programs[0], os.path.join(self.work, "written")
        tree, key = os.path.join(self.work, "tree"), os.path.join(self.work, "new.key")
        second = os.path.join(self.work, "second")
        remove(root)
        run.must(root, "init", cache=True)
        make_tree(tree)
        images = {}
        for step in range(1, 4):
            change_tree(tree, step)
            run.must(root, "snapshot", tree, f"made:{step}", "-l", f"step={step}", cache=True)
            images[f"made:{step}"] = listing(tree)
        run.must(root, "key", "generate", key, cache=True)
        run.must(root, "key", "add", "--new-key-file", key, "--label", "a key file", cache=True)
        with open(second, "wb") as f:
            f.write(b"second\n")
        run.must(root, "key", "passwd", "--new-password-file", second, cache=True)
        for i in range(140):
            run.must(root, "tag", f"made:{1 + i % 3}", f"tag:{i % 7}", key=key, cache=True)
        run.must(root, "untag", "tag:3", key=key, cache=True)
        run.must(root, "forget", "--all-tags", "made:1", key=key, cache=True)
        del images["made:1"]
        for secret in (("password", b"second"), ("key-file", key)):
            notes = []
            repo = check(root, secret, notes.append)
            if notes:
                raise Problem(f"the reader mentions {notes}")
        if not repo.log.checkpoints or repo.log.end < 140:
            raise Problem("there are no checkpoints")
        for image, lines in images.items():
            self.same_listing(repo, image, lines)

    @staticmethod
    def same_listing(repo, image, lines):
        found = {x["path"]: x for x in list(repo.listing(image))[1:]}
        # Host labels of an inode stand with the first of its names.
        ignored = {(path, HOSTS) for path, line in lines.items() if "leader" in line}
        problems = differences(lines, found, ignored)
        if problems:
            raise Problem(f"{image} is listed differently: " + "; ".join(problems[:5]))


def make_tree(root):
    """Everything that a filesystem can hold, small."""
    remove(root)
    os.makedirs(root)
    numbers = random.Random(1)

    def put(name, contents, mode=0o644):
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(contents)
        os.chmod(path, mode)
        return path
    for name in (b"new\nline", b"\xff\xfe", b"n" * 255, b" ", b"-", b"...", b"\x01", b"\\"):
        put(b"names/" + name, name)
    for size in (0, 1, 256, 257, 4096, 4097, 65536, 300_000):
        put(b"sizes/%d" % size, numbers.randbytes(size))
    put(b"sizes/zeros", b"head" + bytes(200_000) + b"tail")
    for i in range(700):
        put(b"many/%04d" % i, b"%d" % i if i % 3 else b"")
    holes = put(b"holes", b"")
    with open(holes, "r+b") as f:
        for i in range(600):
            f.seek(2 * PAGE * i + PAGE)
            f.write(b"x" * PAGE)
        f.truncate(2 * PAGE * 700)
    path = put(b"xattrs/file", b"", 0o4711)
    os.setxattr(path, b"user.empty", b"")
    os.setxattr(path, b"user.big", b"v" * 900)
    os.setxattr(path, b"trusted.overlay.opaque", b"y")
    os.setxattr(path, b"security.selinux", b"system_u:object_r:etc_t:s0\0")
    for i in range(40):
        os.setxattr(path, b"trusted.%02d" % i, b"%d" % i)
    os.makedirs(os.path.join(root, "links"))
    for i in range(70):
        os.link(path, os.path.join(os.fsencode(root), b"links/%02d" % i))
    os.symlink("../sizes/1", os.path.join(root, "links/symbolic"))
    os.mkfifo(os.path.join(root, "fifo"))
    os.mknod(os.path.join(root, "device"), 0o20620, os.makedev(5, 1))
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(root)
        s.bind("socket")
        os.chdir(here)
    deep = os.path.join(root, *["d"] * 60)
    os.makedirs(deep)
    os.chown(deep, 1000, 1001)
    os.utime(deep, ns=(0, -5))


def change_tree(root, step):
    with open(os.path.join(root, "sizes/300000"), "r+b") as f:
        f.seek(1000 * step)
        f.write(b"changed")
    with open(os.path.join(root, f"new-{step}"), "wb") as f:
        f.write(b"new" * step * 1000)
    os.unlink(os.path.join(root, f"many/{step:04d}"))


def known_contents(path):
    import faults  # noqa: PLC0415
    from fmt.crypto import H  # noqa: PLC0415
    texts = [b"", faults.CONTENTS]
    import faults_trees  # noqa: PLC0415
    texts.append(faults_trees.HOLED)
    with open(path, "w", encoding="ascii") as f:
        json.dump([H(b"", t).hex() for t in texts], f)


def run(binary, twins, work):
    tests = Tests(binary, twins, work)
    if takes_all_times(work):
        tests.ignored -= TIMES
    known_contents(os.path.join(work, "known.json"))
    key, recovery = (os.path.join(VECTORS, f"golden-v1.{n}") for n in ("key", "recovery"))
    tests.test("golden with the password", tests.all_images, GOLDEN)
    tests.test("golden with the key file", tests.all_images, GOLDEN, key)
    tests.test("golden with the recovery file", tests.all_images, GOLDEN, recovery)
    tests.test("golden dumped", tests.dumps)
    tests.test("what the program writes", tests.written)
    tests.all_twins()
    print(f"{tests.passed} passed, {len(tests.failed)} failed")
    return 1 if tests.failed else 0


def main(argv):
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    work = argv[3] if len(argv) > 3 else tempfile.mkdtemp(
        dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        return run(argv[1], argv[2], work)
    except OSError as e:
        if e.errno in (errno.EPERM, errno.EOPNOTSUPP):
            print(f"skipped: {e}")
            return 77
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

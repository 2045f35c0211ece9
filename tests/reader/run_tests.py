#!/usr/bin/python3
"""Runs the independent reader on the golden repositories and on all twins of them.

run_tests.py [OUT]: the twins are made in OUT (kept), or in a temporary folder (removed).
"""

import filecmp
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(os.path.dirname(HERE), "vectors")
sys.path[:0] = [HERE, VECTORS]

try:
    import nacl  # noqa: F401
    import zstandard  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import make_golden  # noqa: E402
import make_golden_images  # noqa: E402
import make_must_fail  # noqa: E402
from fmt import chunker  # noqa: E402
from fmt.check import Repository, check  # noqa: E402
from fmt.crypto import H  # noqa: E402
from fmt.strict import Refused  # noqa: E402

GOLDEN = os.path.join(VECTORS, "golden-v1")
IMAGES = make_golden_images.NAME
PASSWORD = ("password", b"golden")


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def test(self, name, run):
        """A test passes when run() returns nothing."""
        try:
            problem = run()
        except Refused as e:
            problem = f"refused: {e}"
        except Exception as e:  # a reader must not fail in any other way
            problem = f"{type(e).__name__}: {e}"
        if problem:
            self.failed += 1
            print(f"FAILED {name}: {problem}", flush=True)
        else:
            self.passed += 1


def read(path):
    with open(os.path.join(VECTORS, path), encoding="ascii") as f:
        return f.read()


def quiet(_):
    """Notes of a check are not wanted here."""


def accepts(secret):
    check(GOLDEN, secret, quiet)


def same_listing(secret):
    if make_golden.listing(GOLDEN, secret) != read("golden-v1.jsonl"):
        return "listing is not golden-v1.jsonl"
    return None


def same_contents():
    """cat gives what the listing says."""
    repo = Repository(GOLDEN, PASSWORD)
    for line in (json.loads(line) for line in read("golden-v1.jsonl").splitlines()):
        if "snapshot" in line:
            image = line["name"]
        elif line.get("size", 1 << 30) < 1 << 20 and not line["printable"].startswith("many/"):
            contents = b"".join(repo.cat(image, bytes.fromhex(line["path"])))
            if (len(contents), H(b"", contents).hex()) != (line["size"], line["blake2b"]):
                return f"contents of {line['printable']}"
    return None


def same_bytes(folder, maker, name, texts):
    """A golden repository can be made again, when the zstd library is the same."""
    def files(root):
        return sorted(os.path.relpath(os.path.join(d, f), root)
                      for d, _, fs in os.walk(root) for f in fs)
    maker.make(folder)
    if read(f"{name}.zstd") != open(os.path.join(folder, f"{name}.zstd")).read():
        print(f"{name} was made with another zstd: bytes not compared")
        return None
    names = files(os.path.join(folder, name))
    if names != files(os.path.join(VECTORS, name)):
        return "files differ"
    _, bad, missing = filecmp.cmpfiles(
        VECTORS, folder, [os.path.join(name, n) for n in names] + texts, shallow=False)
    return f"bytes differ: {bad + missing}" if bad or missing else None


def same_images():
    """What the golden images give, rebuilt archives among it."""
    root = os.path.join(VECTORS, IMAGES)
    check(root, PASSWORD, quiet)
    if make_golden_images.contents(root) != read(f"{IMAGES}.json"):
        return f"contents are not {IMAGES}.json"
    return None


def same_cuts():
    for stream in json.loads(read("chunking.json"))["streams"]:
        contents = make_golden.stream(stream["label"], stream["parts"])
        found = [["data", len(p)] if s == "data" else ["zero", p]
                 for s, p in chunker.extents(contents)]
        if H(b"", contents).hex() != stream["blake2b"] or found != stream["extents"]:
            return f"stream {stream['label']!r}"
    return None


def run_stage(root, stage, image):
    if stage == "check":
        check(root, PASSWORD, quiet)
        return
    repo = Repository(root, PASSWORD)
    if stage == "read":
        list(repo.listing(image))


def refused(root, case):
    for stage in dict.fromkeys((case["stage"], "check")):
        try:
            run_stage(root, stage, case["image"])
        except Refused as e:
            if stage == case["stage"] and not (case["file"] in str(e) and case["word"] in str(e)):
                return f"{stage} was refused for another reason: {e}"
        else:
            return f"{stage} did not refuse it ({case['word']})"
    return None


def accepted(root, case):
    run_stage(root, "read", case["image"])
    if case["stage"] == "check":
        run_stage(root, "check", case["image"])


def give(root, image):
    """Everything that an image keeps, the archives of its layers rebuilt."""
    Repository(root, PASSWORD).oci(image).members()


def image_refused(root, case):
    """The reader rebuilds all with check, so its check finds what needs the data as well."""
    stages = [lambda: check(root, PASSWORD, quiet)]
    if case["stage"] == "decode":
        stages.append(lambda: list(Repository(root, PASSWORD).listing(case["image"])))
    if case["export"] == "no":
        stages.append(lambda: give(root, case["image"]))
    for stage in stages:
        try:
            stage()
        except Refused as e:
            if case["word"] not in str(e):
                return f"was refused for another reason: {e}"
        else:
            return f"was not refused ({case['word']})"
    return None


def image_accepted(root, case):
    check(root, PASSWORD, quiet)
    give(root, case["image"])


def run(out):
    results, started = Results(), time.monotonic()
    key = ("key-file", os.path.join(VECTORS, "golden-v1.key"))
    recovery = ("recovery", os.path.join(VECTORS, "golden-v1.recovery"))
    for name, secret in (("password", PASSWORD), ("key file", key), ("recovery", recovery)):
        results.test(f"golden: check with {name}", lambda s=secret: accepts(s))
        results.test(f"golden: listing with {name}", lambda s=secret: same_listing(s))
    results.test("golden: contents", same_contents)
    again = os.path.join(out, "again")
    results.test("golden: made again", lambda: same_bytes(
        again, make_golden, "golden-v1",
        ["golden-v1.key", "golden-v1.recovery", "golden-v1.jsonl", "chunking.json"]))
    results.test("golden images", same_images)
    results.test("golden images: made again", lambda: same_bytes(
        again, make_golden_images, IMAGES, [f"{IMAGES}.json"]))
    results.test("chunking", same_cuts)
    make_must_fail.make(out)
    for index, judge in (("cases.json", refused), ("accept.json", accepted),
                         ("images.json", image_refused), ("accept-images.json", image_accepted)):
        with open(os.path.join(out, index), encoding="ascii") as f:
            for case in json.load(f):
                results.test(case["name"],
                             lambda c=case, j=judge: j(os.path.join(out, c["name"]), c))
    print(f"{time.monotonic() - started:.0f} s", flush=True)
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


def main(argv):
    if len(argv) > 1:
        os.makedirs(argv[1], exist_ok=True)
        return run(argv[1])
    with tempfile.TemporaryDirectory() as out:
        return run(out)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

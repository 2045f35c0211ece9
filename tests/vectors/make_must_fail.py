#!/usr/bin/python3
"""Makes twins of the golden repository that every reader has to refuse.

make_must_fail.py OUT: writes OUT/must-fail-NAME/ for each fault, OUT/accept-NAME/ for oddities
that every reader has to accept, and OUT/cases.json and OUT/accept.json:

    {"name", "stage", "image", "file", "word"}

Running the command of `stage` has to fail: "open" (listing the images), "read" (reading `image`
with all its contents), "check". What fails at an earlier stage fails at the later ones too. `file`
is in the message of every reader, `word` in that of the reader in tests/reader.

Twins of golden-images-v1 are must-fail-image-NAME and accept-image-NAME, in OUT/images.json and
OUT/accept-images.json; their stages stand in faults_images.py.
"""

import json
import os
import shutil
import sys

from writer import HERE, Random, Writer

import faults_files
import faults_images
import faults_packs
import faults_trees
from fmt.check import Repository

GOLDEN = os.path.join(HERE, "golden-v1")
GOLDEN_IMAGES = os.path.join(HERE, "golden-images-v1")
PASSWORD = ("password", b"golden")


def link(source, target):
    """Files of twins are replaced and never changed, so they can be shared."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


class Golden:
    """What the faults need to know of the golden repository, and a copy of it for all twins."""

    def __init__(self, base, source=GOLDEN):
        self.base = base
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(source, base)
        repo = Repository(source, PASSWORD, full=True)
        self.repo = repo
        self.keyring, self.state, self.log = repo.keyring, repo.state, repo.log
        self.slots = {}
        for name in sorted(os.listdir(os.path.join(source, "keys"))):
            with open(os.path.join(source, "keys", name), "rb") as f:
                self.slots[f.read()[66]] = f"keys/{name}"


class Twin:
    """A copy of the golden repository, and a writer that goes on where its log ends."""

    def __init__(self, golden, root, label):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(golden.base, root, copy_function=link)
        self.golden, self.root = golden, root
        self.w = Writer(root, golden.keyring, Random(label), golden.state.number,
                        golden.state.hash)

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    def remove(self, path):
        os.unlink(os.path.join(self.root, path))

    def clear(self):
        """Leaves nothing, for a repository of its own."""
        shutil.rmtree(self.root)
        os.makedirs(self.root)
        self.w.number, self.w.trailer = -1, None


FAULTS = (faults_files, faults_packs, faults_trees)


def make_cases(out, golden, prefix, index, cases):
    """The twins of some cases, and their index."""
    made = []
    if len({c["name"] for c in cases}) != len(cases):
        raise ValueError("two cases have the same name")
    for case in cases:
        name = f"{prefix}-{case['name']}"
        case["make"](Twin(golden, os.path.join(out, name), name))
        made.append({k: v for k, v in case.items() if k != "make"} | {"name": name})
    with open(os.path.join(out, index), "w", encoding="ascii") as f:
        json.dump(made, f, indent=1)


def make(out):
    os.makedirs(out, exist_ok=True)
    golden = Golden(os.path.join(out, "golden-v1"))
    make_cases(out, golden, "must-fail", "cases.json", [c for m in FAULTS for c in m.CASES])
    make_cases(out, golden, "accept", "accept.json", [c for m in FAULTS for c in m.ACCEPTED])
    golden = Golden(os.path.join(out, "golden-images-v1"), GOLDEN_IMAGES)
    make_cases(out, golden, "must-fail-image", "images.json", faults_images.CASES)
    make_cases(out, golden, "accept-image", "accept-images.json", faults_images.ACCEPTED)


if __name__ == "__main__":
    make(sys.argv[1])

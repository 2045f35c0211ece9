#!/usr/bin/python3
"""What prune leaves in the storage, as the independent reader sees it.

test_upkeep.py PROGRAM [WORK]: a secret is taken out of images, of a filesystem and of a layout with
layers, by `rewrite`. After `prune` no byte of it is in any frame of any pack, and the reader finds
the repository whole. Before, it is found: otherwise the search would be worth nothing.
"""

import hashlib
import io
import json
import os
import random
import shutil
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

try:
    from fmt.check import Repository, check
    from fmt.store import Pack
except ImportError as problem:
    print(f"skipped: {problem}")
    sys.exit(77)

from program import Problem, Program  # noqa: E402

PASSWORD = ("password", b"golden")
SMALL = b"a key so short that it lies in its node"
LARGE = random.Random(5).randbytes(300_000)
NEEDLES = [SMALL, LARGE[:64], LARGE[150_000:150_064], LARGE[-64:], b"id_secret"]


def write(root, name, data):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def make_tree(root):
    rng = random.Random(1)
    for i in range(40):
        write(root, f"usr/share/file{i}", rng.randbytes(20_000) + b"text\n" * 500)
    write(root, "root/.ssh/id_secret", LARGE)
    write(root, "root/.ssh/id_secret.small", SMALL)
    write(root, "root/.profile", b"# nothing\n")


def add_blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    write(layout, f"blobs/sha256/{digest}", data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def make_layout(layout, tree):
    """A layout of one image with one layer, not compressed."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(tree, arcname=".")
    blob = add_blob(layout, layer.getvalue())
    media = "application/vnd.oci.image."
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [blob["digest"]]}}
    config = add_blob(layout, json.dumps(config).encode())
    manifest = {"schemaVersion": 2, "config": config | {"mediaType": media + "config.v1+json"},
                "layers": [blob | {"mediaType": media + "layer.v1.tar"}]}
    manifest = add_blob(layout, json.dumps(manifest).encode())
    index = {"schemaVersion": 2, "manifests": [manifest | {
        "mediaType": media + "manifest.v1+json",
        "annotations": {"org.opencontainers.image.ref.name": "v1"}}]}
    write(layout, "index.json", json.dumps(index).encode())
    write(layout, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')


def found_in_packs(root):
    """Which needles are in the contents of frames of any pack file that there is."""
    keyring = Repository(root, PASSWORD).keyring
    found = set()
    for name in os.listdir(os.path.join(root, "packs")):
        pack = Pack(root, keyring, bytes.fromhex(name))
        for i in range(len(pack.frames)):
            contents = b"".join(pack.frame(i).stored)
            found |= {n for n in NEEDLES if n in contents}
    return found


def expect(condition, message):
    if not condition:
        raise Problem(message)


def run(binary, work):
    program = Program(binary, os.path.join(work, "program"))
    root, tree, layout = (os.path.join(work, n) for n in ("repo", "tree", "layout"))
    make_tree(tree)
    make_layout(layout, tree)
    program.must(root, "init")
    program.must(root, "snapshot", tree, "rootfs:1")
    write(tree, "etc/more", b"another version\n" * 100)
    program.must(root, "snapshot", tree, "rootfs:2")
    program.must(root, "import", "--keep-blobs", f"oci:{layout}:v1", "--name", "layers:1")
    before = found_in_packs(root)
    expect(before == set(NEEDLES), f"the search finds only {before}")

    program.must(root, "rewrite", "-e", "/root/.ssh/*", "--all", "--forget")
    program.must(root, "prune", "--max-unused", "0", "--keep-grace", "0")
    after = found_in_packs(root)
    expect(not after, f"still in the packs: {after}")
    notes = []
    check(root, PASSWORD, notes.append)
    expect(not notes, f"the reader says {notes}")
    program.must(root, "check", "--read-data")
    names = program.must(root, "ls", "layers:1", "/root")
    expect(b".ssh" in names and b".profile" in names, names)
    expect(not program.must(root, "ls", "layers:1", "/root/.ssh"), "something is left there")
    program.must(root, "export", "layers:1", f"oci:{os.path.join(work, 'out')}:v1")
    print("passed  nothing is left of a secret")
    return 0


def main(argv):
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = argv[2] if len(argv) > 2 else tempfile.mkdtemp(prefix="ociv2-upkeep-", dir=folder)
    try:
        return run(argv[1], work)
    except Problem as problem:
        print(f"FAILED  {problem}")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

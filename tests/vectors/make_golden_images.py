#!/usr/bin/python3
"""Makes the golden repository of OCI images and what it gives.

make_golden_images.py [FOLDER]: writes golden-images-v1/ and golden-images-v1.json there (by default
beside this file). Every byte follows from the label below and the zstd library, whose version is
kept in golden-images-v1.zstd. The password is that of golden-v1.
"""

import json
import os
import shutil
import sys

import zstandard

from images import (Archive, compact, config_of, layer, layer_names, members, splitting_chunk,
                    splitting_path, stream)
from make_golden import PASSWORD, prose, state_of
from writer import HERE, Builder, Random, Writer, make_keyring

from fmt.check import Repository, check

LABEL = "ociv2 golden repository of images 1"
NAME = "golden-images-v1"
MAX = 4096
TAGS = ("layers:1", "blobs:1", "parts:1", "flat:1", "config:1")


def replaced_file(random):
    """A file that a later layer replaced: chunks, a zero extent, and a last small chunk."""
    return prose(random, 9_000) + bytes(70_000) + random.bytes(5_000).replace(b"\0", b"\1")


def layers_image(w, random):
    """Two layers; the recipe of the lower one is a table of one object."""
    b = Builder()
    motd, text, small = b"welcome\n", prose(random, 20_000), b"i" * 256
    holed = b"head" + bytes(66_000) + b"tail" * 100
    old, new = replaced_file(random), prose(random, 3_000)
    lower = Archive(b)
    lower.entry(b"data/", kind=b"5", mode=0o755).entry(b"data/empty", b"")
    lower.entry(b"data/holed", holed).entry(b"data/inline", small)
    lower.entry(b"data/link", kind=b"2", mode=0o777, target=b"inline")
    lower.entry(b"data/replaced", old, kept=False).entry(b"data/removed", b"gone", kept=False)
    lower.entry(b"data/text", text).entry(b"etc/", kind=b"5", mode=0o755)
    lower.entry(b"etc/motd", motd).entry(b"etc/again", kind=b"1", target=b"etc/motd").end()
    upper = Archive(b)
    upper.entry(b"data/", kind=b"5", mode=0o755).entry(b"data/.wh.removed", b"")
    upper.entry(b"data/replaced", new).end()
    layers = [layer(b, lower), layer(b, upper, keep_blob=True)]
    node = b.directory(None, [
        b.directory(b"data", [
            b.file(b"empty", b""), b.file(b"holed", holed), b.file(b"inline", small),
            b.other(3, b"link", k9=b"inline"), b.file(b"replaced", new), b.file(b"text", text)]),
        b.directory(b"etc", [b.file(b"motd", motd), b.file(b"again", motd, link=True)])])
    # In path order etc/again comes before etc/motd, and so is the leader.
    commit(w, b, b.root(node, {b"etc/motd": b"etc/again"}), "layers:1", members(b, layers))


def blobs_image(w):
    """Every blob was kept, so the manifest can be given back as well; the recipe is inline."""
    b = Builder()
    archive = Archive(b).entry(b"file", b"the only file\n").end()
    layers = [layer(b, archive, keep_blob=True)]
    tree_id = b.root(b.directory(None, [b.file(b"file", b"the only file\n")]))
    commit(w, b, tree_id, "blobs:1", members(b, layers, platform=("linux", "arm", "")))


def parts_image(w, random):
    """Recipes as other writers may make them: tables of three levels, any division."""
    b = Builder()
    names = [b"f%03d" % i for i in range(30)]
    names += [splitting_path(lambda n, i=i: b"f%03d-%d" % (i, n), 1) for i in (2, 5, 8, 11, 14)]
    names += [splitting_path(lambda n: b"f020-%d" % n, 2)]
    names.sort()
    archive = Archive(b)
    for i, name in enumerate(names):
        archive.entry(name, b"contents of %d" % i)
    # Ended by a chunk, not by a path.
    chunk = splitting_chunk(lambda n: b"a chunk %d" % n, 1)
    archive.entry(b"gone", chunk, kept=False).end()
    # Literals of every size of header, neighbours that could be one, a file used twice.
    odd = Archive(b)
    for n in (1, 255, 256, MAX):
        odd.literal(random.bytes(n))
    odd.zeros(1).zeros(1).zeros(65_536).zeros(70_000).literal(b"\0").literal(b"\0" * 9)
    odd.file(names[0], b"contents of 0").file(names[0], b"contents of 0")
    odd.chunks(b"x").chunks(b"y").chunks(bytes(100)).chunks(random.bytes(65_536))
    one = Archive(b).literal(b"1")
    layers = [layer(b, archive), layer(b, odd, sha512=True), layer(b, one)]
    more = members(b, layers, index=False)
    more[24][2] = {k: v for k, v in layers[2].items() if k < 4}
    node = b.directory(None, [b.file(n, b"contents of %d" % i) for i, n in enumerate(names)])
    commit(w, b, b.root(node), "parts:1", more)


def flat_image(w):
    """Layers of which little is known and nothing kept."""
    b = Builder()
    archive = Archive(b).entry(b"file", b"flat").end()
    known = layer(b, archive, keep_archive=False)
    other = layer(b, Archive(b).literal(b"2"), sha512=True)
    layers = [known, {1: other[1]}, {1: known[1], 2: 2048}]
    tree_id = b.root(b.directory(None, [b.file(b"file", b"flat")]))
    more = {22: stream(b, config_of(layers, history=[{"created_by": "x" * 1000}])), 24: layers}
    commit(w, b, tree_id, "flat:1", more)


def config_image(w):
    """A config alone, small enough to lie in the snapshot object."""
    b = Builder()
    tree_id = b.root(b.directory(None, [b.file(b"file", b"config")]))
    config = compact({"architecture": "amd64", "os": "linux", "config": {"User": "1000"}})
    commit(w, b, tree_id, "config:1", {22: stream(b, config)})


def commit(w, b, tree_id, name, more):
    _, record = b.snapshot(tree_id, name, **{f"k{k}": v for k, v in more.items()})
    names = layer_names(more.get(24, []))
    record |= {13: names} if names else {}
    w.commit(w.store(b), record, name, command="import")


def make_repository(root):
    random = Random(LABEL)
    w = Writer(root, make_keyring(random), random)
    config = w.config()
    w.slot(1, PASSWORD)
    w.entry({8: config}, command="init")
    layers_image(w, random)
    blobs_image(w)
    parts_image(w, random)
    w.checkpoint(state_of(root))
    flat_image(w)
    config_image(w)
    w.head()


def contents(root, secret=("password", PASSWORD)):
    """What the repository gives, as JSON."""
    repo = Repository(root, secret)
    out = {}
    for tag in TAGS:
        image = repo.oci(tag)
        out[tag] = image.members()
        for label in ("manifest", "config", "index"):
            if label in out[tag]:
                out[tag][label]["text"] = getattr(image, label)().decode()
        out[tag]["record_layers"] = repo.find(tag).get(13, b"").hex()
        out[tag]["listing"] = list(repo.listing(tag))
    return json.dumps(out, indent=1) + "\n"


def make(folder):
    os.makedirs(folder, exist_ok=True)
    root = os.path.join(folder, NAME)
    shutil.rmtree(root, ignore_errors=True)
    make_repository(root)
    check(root, ("password", PASSWORD), print)
    texts = {f"{NAME}.json": contents(root),
             f"{NAME}.zstd": ".".join(str(n) for n in zstandard.ZSTD_VERSION) + "\n"}
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)


if __name__ == "__main__":
    make(sys.argv[1] if len(sys.argv) > 1 else HERE)

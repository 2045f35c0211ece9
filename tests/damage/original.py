"""A small repository with something of everything, and what there is to know about it.

Four images: a root filesystem, its update, another one, and an imported image of two layers. One
more was forgotten: its packs are condemned. Packs and segments that no entry names are orphans.
There are two key slots, two checkpoints, and older copies of the whole.
"""

import json
import os
import random
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
sys.path.insert(0, os.path.join(HERE, "..", "interop"))

import harness  # noqa: E402
import images  # noqa: E402

STAGES = ("a", "b", "c", "d")  # images, in the order in which they are made
DUMPED = ("a:1", "etc/services")


class Original:
    """The repository, whole, with the trees that its images are of."""

    def __init__(self, box, driver):
        self.box = box
        self.driver = driver
        self.repo = box.repo
        self.trees = {}  # image to directory
        self.digests = {}  # image to digest of the manifest that its export has
        self.make_trees()
        box.init()
        box.ok("key", "generate", "second", repo=False)
        box.ok("key", "add", "--new-key-file", "second")
        for stage, name in enumerate(STAGES):
            self.make_image(name)
            if stage + 1 < len(STAGES):
                shutil.copytree(box.repo, self.stage(stage))
        self.forget_one()
        self.add_orphans()
        self.foreign = self.make_foreign()
        self.drive("tags", "a:1", "150")
        self.states = dict(line.split()[2::-2] for line in self.drive("objects").splitlines())
        self.layout = box.path("exported")
        for name in self.trees:
            box.ok("export", name, f"oci:{self.layout}:{name[0]}")
        box.ok("check", "--read-data")
        for name in self.trees:
            self.learn_digest(name)

    def stage(self, number):
        return self.box.path(f"stage{number}")

    def drive(self, *words):
        env = dict(self.box.environ, OCIV2_REPOSITORY=self.repo)
        return subprocess.run([self.driver, *words], env=env, check=True,
                              stdout=subprocess.PIPE).stdout.decode()

    # ---- Making ----

    def make_trees(self):
        box, rng = self.box, random.Random(4)
        for i in range(3):
            box.file(f"tree-a/lib/module{i}", rng.randbytes(9000 * (i + 1)))
        box.file("tree-a/etc/services", "".join(f"service{i} {i}/tcp\n" for i in range(900)).encode())
        box.file("tree-a/etc/hostname", b"small\n")
        box.file("tree-a/bin/tool", b"\x7fELF\2\1\1" + rng.randbytes(60000))
        os.link(box.path("tree-a/bin/tool"), box.path("tree-a/bin/tool2"))
        os.symlink("tool", box.path("tree-a/bin/t"))
        os.makedirs(box.path("tree-a/var/empty"))
        shutil.copytree(box.path("tree-a"), box.path("tree-b"), symlinks=True)
        with open(box.path("tree-b/bin/tool"), "r+b") as file:
            file.seek(30000)
            file.write(b"patched")
        os.unlink(box.path("tree-b/lib/module1"))
        box.file("tree-b/lib/own", rng.randbytes(20000))
        box.file("tree-c/data", rng.randbytes(30000))
        box.file("tree-c/text", b"another text\n" * 800)
        box.file("tree-e/only", rng.randbytes(15000))

    def make_image(self, name):
        box = self.box
        if name != "d":
            box.ok("snapshot", f"tree-{name}", f"{name}:1")
            self.trees[f"{name}:1"] = box.path(f"tree-{name}")
            return
        rng = random.Random(5)
        layers = [images.archive([images.folder("opt"), images.entry("opt/one", rng.randbytes(9000)),
                                  images.entry("opt/two", b"two\n" * 3000)]),
                  images.archive([images.entry("opt/two", b"newer\n" * 2000)])]
        self.source = images.Layout(box, "layout").image(layers)
        box.ok("import", "--name", "d:1", self.source)
        box.ok("restore", "d:1", "tree-d")
        self.trees["d:1"] = box.path("tree-d")

    def forget_one(self):
        self.box.ok("snapshot", "tree-e", "e:1")
        self.box.ok("forget", "e:1")
        self.drive("condemn")

    def add_orphans(self):
        """What a writer left who was killed before its entry."""
        before = self.file_names()
        shutil.copytree(self.repo, self.box.path("aside"))
        self.box.ok("snapshot", "tree-e", "f:1")
        for name in set(self.file_names()) - set(before):
            if name.startswith(("packs/", "segments/")):
                shutil.copy(os.path.join(self.repo, name), self.box.path("aside", name))
        shutil.rmtree(self.repo)
        os.rename(self.box.path("aside"), self.repo)
        shutil.rmtree(self.box.path("cache"))
        shutil.rmtree(self.box.path("state"))

    def make_foreign(self):
        """Files of another repository with the same images and key file, by folder or name."""
        box, found = self.box, {}
        box.repo = box.path("foreign")
        box.init()
        for name in ("a", "b"):
            box.ok("snapshot", f"tree-{name}", f"{name}:1")
        for top, _, names in os.walk(box.repo):
            for name in names:
                kind = os.path.relpath(top, box.repo) if top != box.repo else name
                found.setdefault(kind, []).append(os.path.join(top, name))
        box.repo = self.repo
        return {kind: sorted(names) for kind, names in found.items()}

    def learn_digest(self, name):
        self.digests[name] = manifest_digest(self.layout, name[0])

    # ---- Knowing ----

    def file_names(self):
        return sorted(os.path.relpath(os.path.join(top, name), self.repo)
                      for top, _, names in os.walk(self.repo) for name in names)

    def kind_of(self, name):
        """By which damage is chosen: every kind is struck as often as the others."""
        folder, base = os.path.split(name)
        if folder not in ("packs", "segments"):
            return folder or base
        state = self.states.get(base, "unknown")
        if state != "live":
            return f"{folder} {state}"
        with open(os.path.join(self.repo, name), "rb") as file:
            return f"{folder} {file.read(11)[10]}"

    def kinds(self):
        found = {}
        for name in self.file_names():
            found.setdefault(self.kind_of(name), []).append(name)
        return found


def manifest_digest(layout, tag):
    """The digest of the image of this tag in a layout, or None."""
    try:
        with open(os.path.join(layout, "index.json"), "rb") as file:
            index = json.load(file)
    except FileNotFoundError:
        return None
    for manifest in index["manifests"]:
        if manifest["annotations"]["org.opencontainers.image.ref.name"] == tag:
            return manifest["digest"]
    return None

#!/usr/bin/python3
"""Runs ociv2 on the golden repository of images and its twins, and the reader on what it imports.

test_images.py PROGRAM TWINS [WORK]: TWINS is a folder made by make_must_fail.py.
"""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(os.path.dirname(HERE), "vectors")
sys.path[:0] = [HERE, VECTORS]

try:
    from fmt.check import Repository, check
    from fmt.members import BLOB, RECIPE
    from fmt.strict import Refused
except ImportError as problem:
    print(f"skipped: {problem}")
    sys.exit(77)

from program import Problem, Program, remove  # noqa: E402

GOLDEN = os.path.join(VECTORS, "golden-images-v1")
SECRET = ("password", b"golden")
# What the program does otherwise than the pages say, for the time being.
GAPS = {}
DOCUMENTS = (("manifest", "--raw"), ("config", "--config"))


def sha256(contents):
    return "sha256:" + hashlib.sha256(contents).hexdigest()


class Layout:
    """The only image of an OCI layout; every blob is what its name says."""

    def __init__(self, root):
        self.root = root
        manifests = json.loads(self.read("index.json"))["manifests"]
        if len(manifests) != 1:
            raise Problem(f"the layout has {len(manifests)} images")
        self.manifest = self.blob(manifests[0])
        described = json.loads(self.manifest)
        self.config = self.blob(described["config"])
        self.blobs = [self.blob(x) for x in described["layers"]]
        self.diff_ids = json.loads(self.config).get("rootfs", {}).get("diff_ids", [])
        if not self.blobs:
            raise Problem("the layout has no layers, though the tree has files")
        if len(self.diff_ids) != len(self.blobs):
            raise Problem("config and manifest of the layout differ in their layers")

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    def blob(self, described):
        contents = self.read("blobs/" + described["digest"].replace(":", "/"))
        if sha256(contents) != described["digest"] or len(contents) != described["size"]:
            raise Problem(f"{described['digest']} is not what it says")
        return contents

    def archives(self):
        archives = [gzip.decompress(b) for b in self.blobs]
        for archive, diff_id in zip(archives, self.diff_ids):
            if hashlib.new(diff_id[:6], archive).hexdigest() != diff_id[7:]:
                raise Problem(f"a layer is not that of {diff_id}")
        return archives


class Tests:
    def __init__(self, binary, twins, work):
        self.twins, self.work = twins, work
        self.failed, self.passed = [], 0
        self.programs = [Program(binary, os.path.join(work, f"run-{i}")) for i in range(2)]
        with open(f"{GOLDEN}.json", encoding="ascii") as f:
            self.golden = json.load(f)

    def test(self, name, run, *args):
        try:
            run(*args)
        except (Problem, Refused, OSError, ValueError, KeyError, TypeError) as e:
            if name in GAPS:
                print(f"known gap: {name}: {GAPS[name]}")
                return
            self.failed.append(name)
            print(f"FAILED {name}: {type(e).__name__}: {e}", flush=True)
        else:
            if name in GAPS:
                print(f"{name} is no gap any more")
            self.passed += 1

    def export(self, run, root, image):
        """(exit code, folder, message)"""
        folder = os.path.join(run.work, "layout")
        remove(folder)
        code, _, message = run.run(root, "export", image, f"oci:{folder}")
        return code, folder, message

    # ---- the golden images

    def check_golden(self):
        for how in ([], ["--read-data"]):
            self.programs[0].must(GOLDEN, "check", *how)

    def documents(self, image):
        run, said = self.programs[0], self.golden[image]
        for label, option in DOCUMENTS:
            if label not in said:
                code, _, _ = run.run(GOLDEN, "inspect", option, image)
                if code == 0:
                    raise Problem(f"inspect {option} shows a {label} that is none")
            elif run.must(GOLDEN, "inspect", option, image) != said[label]["text"].encode():
                raise Problem(f"inspect {option} differs")

    def inspect(self, image):
        said = self.golden[image]
        found = json.loads(self.programs[0].must(GOLDEN, "inspect", "--json", image))
        head = {"name": image, "snapshot_id": said["listing"][0]["snapshot"],
                "tree_id": said["listing"][0]["tree"]}
        for label in ("manifest", "config"):
            if label in said:
                head[f"{label}_digest"] = "sha256:" + said[label]["sha256"]
        if "manifest" in said:
            head["manifest_type"] = said["manifest"]["media_type"]
        for name, value in zip(("os", "architecture", "variant"), said.get("platform", [])):
            head |= {name: value} if value else {}
        layers = [{"is_kept": "recipe" in x, "is_blob_kept": "blob" in x} | {
            k: x[k] for k in ("diff_id", "size", "digest", "media_type", "blob_size") if k in x}
                  for x in said.get("layers", [])]
        for want, have in [(head, found)] + list(zip(layers, found.get("layers", []))):
            for k, v in want.items():
                if have.get(k) != v:
                    raise Problem(f"{k} is {have.get(k)!r} instead of {v!r}")
        if len(layers) != len(found.get("layers", [])):
            raise Problem("number of layers differs")

    def exported(self, image):
        """An export has the config and the archives of the layers; with kept blobs all else."""
        code, folder, message = self.export(self.programs[0], GOLDEN, image)
        if code:
            raise Problem(f"export failed: {message}")
        layout, oci = Layout(folder), Repository(GOLDEN, SECRET).oci(image)
        archives = layout.archives()
        layers = oci.layers
        if not layers or not all(RECIPE in x for x in layers):
            return
        if layout.config != oci.config():
            raise Problem("config differs")
        for i, archive in enumerate(archives):
            if archive != b"".join(oci.archive(i)):
                raise Problem(f"archive of layer {i} differs")
        if all(BLOB in x for x in layers) and layout.manifest != oci.manifest():
            raise Problem("manifest differs")

    def golden_images(self):
        self.test("golden images: check", self.check_golden)
        for image in self.golden:
            for judge in (self.documents, self.inspect, self.exported):
                self.test(f"{image}: {judge.__name__}", judge, image)

    # ---- twins

    def refused(self, run, root, case):
        stage, image = case["stage"], case["image"]
        checks = ["check", "--read-data"] if stage == "read-data" else ["check"]
        for args, wanted in (
                (checks, True), (["inspect", image], stage == "decode"),
                (["inspect", "--raw", image],
                 "image-stream-" in case["name"] and case["export"] == "no")):
            code, _, message = run.run(root, *args)
            if wanted and code == 0:
                raise Problem(f"{' '.join(args)} took it")
            if code and not message.strip():
                raise Problem(f"{' '.join(args)} does not say why it fails")
        code, folder, message = self.export(run, root, image)
        if code == 0 and case["export"] == "no":
            raise Problem("export took it")
        if code == 0 and case["export"] == "yes":
            Layout(folder).archives()

    def accepted(self, run, root, case):
        run.must(root, "check", "--read-data")
        run.must(root, "inspect", case["image"])
        code, folder, message = self.export(run, root, case["image"])
        if code:
            raise Problem(f"export failed: {message}")
        Layout(folder).archives()

    def all_twins(self):
        for index, judge in (("images.json", self.refused), ("accept-images.json", self.accepted)):
            with open(os.path.join(self.twins, index), encoding="ascii") as f:
                cases = json.load(f)

            def half(i, cases=cases, judge=judge):
                for case in cases[i::2]:
                    root = os.path.join(self.twins, case["name"])
                    self.test(case["name"], judge, self.programs[i], root, case)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(half, range(2)))

    # ---- what the program imports

    def imported(self):
        """The reader rebuilds what umoci made, to the byte."""
        layout = os.path.join(self.work, "umoci")
        make_image(layout, os.path.join(self.work, "bundle"))
        source = Layout(layout)
        archives = source.archives()
        run, root = self.programs[0], os.path.join(self.work, "written")
        run.must(root, "init")
        run.must(root, "import", f"oci:{layout}", "--name", "made:1")
        run.must(root, "import", f"oci:{layout}", "--name", "made:2", "--keep-blobs")
        index = put_below_index(layout, source)
        run.must(root, "import", f"oci:{layout}", "--name", "made:3", "--keep-blobs")
        notes = []
        repo = check(root, SECRET, notes.append)
        if notes:
            raise Problem(f"the reader mentions {notes}")
        if repo.oci("made:3").index() != index:
            raise Problem("index differs")
        for name in ("made:1", "made:2", "made:3"):
            oci = repo.oci(name)
            if (oci.manifest(), oci.config()) != (source.manifest, source.config):
                raise Problem(f"{name}: manifest or config differs")
            if [b"".join(oci.archive(i)) for i in range(len(oci.layers))] != archives:
                raise Problem(f"{name}: archives differ")
        if [b"".join(oci.blob(i)) for i in range(len(oci.layers))] != source.blobs:
            raise Problem("blobs differ")
        sorts = [s for x in oci.members()["layers"] for s, n in x["recipe"].items() if n]
        if not {"literals", "zeros", "chunks", "files"} <= set(sorts):
            raise Problem(f"recipes have only {sorted(set(sorts))}")


def put_below_index(layout, source):
    """Makes the layout's image one of an index, whose bytes are returned."""
    config = json.loads(source.config)
    described = json.loads(source.read("index.json"))["manifests"][0]
    described["platform"] = {k: config[k] for k in ("os", "architecture")}
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [described]}, indent=3)
    index = index.encode()
    above = {"mediaType": kind, "digest": sha256(index), "size": len(index),
             "annotations": {"org.opencontainers.image.ref.name": "made"}}
    for path, contents in ((f"blobs/{above['digest'].replace(':', '/')}", index), (
            "index.json", json.dumps({"schemaVersion": 2, "manifests": [above]}).encode())):
        with open(os.path.join(layout, path), "wb") as f:
            f.write(contents)
    return index


def make_image(layout, bundle):
    """Three layers: files of all sizes, some of them replaced and removed later."""
    def umoci(*args):
        done = subprocess.run(["umoci", *args], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Problem(f"umoci {args[0]}: {done.stderr}")

    def put(name, contents):
        path = os.path.join(bundle, "rootfs", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(contents)
    text = b"".join(b"line %d\n" % i for i in range(20_000))
    for folder in (layout, bundle):
        remove(folder)
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:made")
    for step in range(3):
        umoci("unpack", "--image", f"{layout}:made", bundle)
        put("etc/motd", b"step %d\n" % step)
        put(f"data/text-{step}", text[step * 1000:])
        put("data/replaced", bytes(70_000) + text[:50_000 + step])
        if step == 0:
            for i in range(120):
                put(f"many/{i}", b"%d" % i * (i % 7))
            put("n" * 120 + "/long", b"x" * 513)
            os.link(os.path.join(bundle, "rootfs/etc/motd"),
                    os.path.join(bundle, "rootfs/etc/linked"))
            os.symlink("motd", os.path.join(bundle, "rootfs/etc/symbolic"))
        else:
            os.unlink(os.path.join(bundle, f"rootfs/many/{step}"))
        umoci("repack", "--image", f"{layout}:made", bundle)
        remove(bundle)


def run(binary, twins, work):
    tests = Tests(binary, twins, work)
    tests.golden_images()
    tests.all_twins()
    if shutil.which("umoci") and os.geteuid() == 0:
        tests.test("what the program imports", tests.imported)
    else:
        print("no umoci, or not root: nothing was imported")
    print(f"{tests.passed} passed, {len(tests.failed)} failed")
    return 1 if tests.failed else 0


def main(argv):
    work = argv[3] if len(argv) > 3 else tempfile.mkdtemp(
        dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        return run(argv[1], argv[2], work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))

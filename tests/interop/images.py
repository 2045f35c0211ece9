"""What the tests of images share: trees that change from layer to layer, and the tools that make
images of them, take them apart, and move them about.

A tree is a list of states: functions that change a root filesystem in place, each becoming a layer.
"""

import contextlib
import gzip
import hashlib
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import compare_trees  # noqa: E402,F401  (for the tests)
import harness  # noqa: E402,F401
from harness import Failure, check, need_tools, tool  # noqa: E402

BASE_TIME = 1_600_000_000
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


# ---- Trees ----

def write(path, contents=b"", mode=0o644, ns=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(contents)
    os.chmod(path, mode)
    if ns is not None:
        os.utime(path, ns=(ns, ns))


def odd_names(at):
    os.makedirs(at)
    at = os.fsencode(at)
    for name in (b"new\nline", b"\xff\xfe", b"a b", b" ", b"back\\slash", b"-rf", b"tab\t",
                 b"\xc3\xa4", b"a\xcc\x88", b"x" * 255, b"...", b"100%", b"a=b", b"%25"):
        write(os.path.join(at, name), name)
    write(os.path.join(at, b"folder\n\xff", b"in\xe9side"), b"odd")


def long_paths(at):
    """A path of more than 600 bytes, with names that ustar could and could not divide."""
    folder = os.path.join(at, *(c * 60 for c in "abcdefghij"))
    write(os.path.join(folder, "file"), b"deep")
    write(os.path.join(at, "p" * 90, "f" * 90), b"prefix")
    write(os.path.join(at, "n" * 200), b"name")
    os.symlink("t" * 300, os.path.join(folder, "link"))
    os.link(os.path.join(folder, "file"), os.path.join(folder, "other"))


def devices(at):
    os.makedirs(at)
    for name, kind, major, minor in (("null", stat.S_IFCHR, 1, 3), ("zero", stat.S_IFCHR, 0, 0),
                                     ("disk", stat.S_IFBLK, 259, 70_000)):
        os.mknod(f"{at}/{name}", kind | 0o660, os.makedev(major, minor))
        os.chown(f"{at}/{name}", 0, 6)
    os.mkfifo(at + "/fifo", 0o622)


def sparse(at):
    """Holes and zeros. Tools of Go store holes as zeros, and the tree then has zeros."""
    os.makedirs(at)
    with open(at + "/holes", "wb") as f:
        f.write(b"begin" * 1000)
        f.truncate(3 << 20)
        f.seek(2 << 20)
        f.write(b"middle" * 2000)
    with open(at + "/empty", "wb") as f:
        f.truncate(1 << 20)
    write(at + "/zeros", bytes(1 << 20))


def attributes(at):
    os.makedirs(at + "/folder")
    write(at + "/file", b"x" * 3000)
    for name in ("file", "folder"):
        os.setxattr(f"{at}/{name}", "user.text", b"value")
        os.setxattr(f"{at}/{name}", "user.binary", b"\0\xff\n= %3D")
        os.setxattr(f"{at}/{name}", "user.large", random.Random(1).randbytes(5000))
    write(at + "/capable", b"may more", 0o755)
    tool("setcap", "cap_net_raw,cap_net_admin+eip", at + "/capable")
    for mode in (0o4755, 0o2711, 0o1777, 0o6755, 0o7777, 0o000):
        write(f"{at}/mode{mode:o}", b"mode", mode)
        os.mkdir(f"{at}/folder{mode:o}")
        os.chmod(f"{at}/folder{mode:o}", mode)
    for uid, gid in ((1000, 2000), (2_097_152, 2_097_151), (65534, 1 << 31)):
        write(f"{at}/owner{uid}", b"mine")
        os.chown(f"{at}/owner{uid}", uid, gid)
        os.chmod(f"{at}/owner{uid}", 0o4750)


def times(at):
    for ns in (0, 1, -1, -10**9 - 1, 123_456_789, BASE_TIME * 10**9 + 999_999_999,
               2**33 * 10**9 + 1, -2**33 * 10**9):
        write(f"{at}/{ns}", b"", ns=ns)
        os.mkdir(f"{at}/{ns}d")
        os.utime(f"{at}/{ns}d", ns=(ns, ns))
        os.symlink("x", f"{at}/{ns}l")
        os.utime(f"{at}/{ns}l", ns=(ns, ns), follow_symlinks=False)


def first_state(at):
    odd_names(at + "/odd names")
    long_paths(at + "/long")
    devices(at + "/dev")
    sparse(at + "/sparse")
    attributes(at + "/attributes")
    times(at + "/times")
    data = random.Random(2)
    write(at + "/etc/conf", b"setting = 1\n" * 200)
    write(at + "/etc/empty")
    write(at + "/etc/motd", b"hello\n")
    write(at + "/big", data.randbytes(2 << 20) + b"text of it\n" * 100_000)
    write(at + "/links/a/first", b"one file, many names\n" * 40)
    os.mkdir(at + "/links/b")
    os.link(at + "/links/a/first", at + "/links/b/second")
    os.symlink("a", at + "/links/folder")
    os.symlink("a/first", at + "/links/file")
    os.link(at + "/links/file", at + "/links/b/file", follow_symlinks=False)
    os.symlink("/etc/passwd", at + "/links/absolute")
    os.symlink("../../../..", at + "/links/up")
    for name in ("opaque/a", "opaque/sub/b", "gone/a", "gone/sub/b", "to-file/a", "to-link/a",
                 "back/a", "back/b"):
        write(f"{at}/changes/{name}", name.encode())
    write(at + "/changes/to-folder", b"a file")
    os.symlink("opaque", at + "/changes/link-to-folder")


def second_state(at):
    write(at + "/etc/conf", b"setting = 2\n" * 200)
    os.unlink(at + "/etc/empty")
    os.unlink(at + "/etc/motd")
    os.link(at + "/links/a/first", at + "/links/b/third")
    shutil.rmtree(at + "/changes/gone")
    shutil.rmtree(at + "/changes/back")
    for name in ("to-folder", "link-to-folder"):
        os.unlink(f"{at}/changes/{name}")
        write(f"{at}/changes/{name}/inside", b"now a folder")
    os.removexattr(at + "/attributes/file", "user.text")
    os.chmod(at + "/attributes/folder", 0o700)
    os.unlink(at + "/dev/null")
    write(at + "/odd names/more\n\xff", b"another")
    with open(at + "/big", "r+b") as f:
        f.seek(1 << 20)
        f.write(b"changed")


def third_state(at):
    write(at + "/etc/motd", b"again\n")
    write(at + "/changes/back/c", b"other things")
    os.unlink(at + "/links/a/first")
    os.unlink(at + "/links/folder")
    os.mkdir(at + "/links/folder")
    write(at + "/links/folder/new", b"a real one")
    os.mknod(at + "/etc/null", 0o600 | stat.S_IFCHR, os.makedev(0, 0))
    os.utime(at + "/etc", ns=(-1_500_000_000, -1_500_000_000))


def replacing_state(at):
    """Folders become something else. umoci then writes whiteouts of what was in them, which podman
    refuses and umoci itself follows through the link (see docs/images.md)."""
    for name in ("to-file", "to-link"):
        shutil.rmtree(f"{at}/changes/{name}")
    write(at + "/changes/to-file", b"now a file")
    os.symlink("opaque", at + "/changes/to-link")


STATES = (first_state, second_state, third_state)


# ---- Making images ----

def umoci_image(box, states, name="img:v1"):
    """An image that umoci made; its `oci:` name."""
    need_tools("umoci")
    layout, tag = name.split(":")
    image = f"{box.path(layout)}:{tag}"
    bundle = box.path(layout + "-bundle")
    if not os.path.exists(box.path(layout)):
        tool("umoci", "init", "--layout", box.path(layout))
    tool("umoci", "new", "--image", image)
    tool("umoci", "unpack", "--image", image, bundle)
    for state in states:
        state(bundle + "/rootfs")
        tool("umoci", "repack", "--refresh-bundle", "--image", image, bundle)
    shutil.rmtree(bundle)
    return "oci:" + image


def storage(box):
    """Options that keep buildah and podman in the sandbox."""
    return ("--root", box.path("containers"), "--runroot", box.path("containers-run"),
            "--storage-driver", "vfs")


def buildah(box, *words):
    need_tools("buildah")
    return tool("buildah", *storage(box), *words, env=box.environ).strip()


def buildah_image(box, states, name="built"):
    """One that buildah made: the first layer by add and copy, the others by changes; its name."""
    source = box.path("built-source")
    os.mkdir(source)
    states[0](source)
    container = buildah(box, "from", "scratch")
    buildah(box, "copy", "--quiet", container, source, "/")
    write(box.path("added"), b"added by buildah")
    buildah(box, "add", "--quiet", "--chmod", "640", container, box.path("added"), "/etc/added")
    buildah(box, "config", "--entrypoint", '["/bin/sh"]', "--env", "A=b", container)
    tag = f"localhost/{name}:0"
    buildah(box, "commit", "--quiet", container, tag)
    for number, state in enumerate(states[1:], 1):
        container = buildah(box, "from", "--pull-never", tag)
        state(buildah(box, "mount", container))
        tag = f"localhost/{name}:{number}"
        buildah(box, "commit", "--quiet", container, tag)
    layout = f"oci:{box.path(name)}:v1"
    buildah(box, "push", "--quiet", tag, layout)
    shutil.rmtree(source)
    return layout


def unpacked(box, image, where):
    """What umoci unpacks of an `oci:` name: the root filesystem."""
    tool("umoci", "unpack", "--image", image[len("oci:"):], box.path(where))
    return box.path(where, "rootfs")


def registry(box):
    """A registry of our own on 127.0.0.1; its address."""
    need_tools("docker-registry")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % s.getsockname()[1]
    config = box.file("registry.yml", f"""version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {box.path('registry')}}}}}
http: {{addr: {address}, secret: test}}
""".encode())
    process = subprocess.Popen(["docker-registry", "serve", config], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(box.environ, OTEL_TRACES_EXPORTER="none"))
    box.processes.append(process)
    host, port = address.split(":")
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return address
        time.sleep(0.1)
    raise Failure("the registry does not answer")


def skopeo(*words):
    need_tools("skopeo")
    policy = ("--insecure-policy",)
    return tool("skopeo", *policy, *words)


def config_digest(image):
    """The image id, as skopeo reads it."""
    need_tools("skopeo")
    done = subprocess.run(["skopeo", "inspect", "--config", "--raw", image], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == 0, f"skopeo inspect {image}: {done.stderr.decode()}")
    return "sha256:" + hashlib.sha256(done.stdout).hexdigest()


def manifest_of(image):
    """(digest, parsed)."""
    done = subprocess.run(["skopeo", "inspect", "--raw", image], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == 0, f"skopeo inspect {image}: {done.stderr.decode()}")
    return "sha256:" + hashlib.sha256(done.stdout).hexdigest(), json.loads(done.stdout)


# ---- Repositories ----

def read_independently(box):
    """The reader of tests/reader checks the repository: (its module for packs, the repository)."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reader"))
    try:
        from fmt import check as checker, store  # pylint: disable=import-outside-toplevel
    except ImportError as e:
        raise harness.Skipped(f"the independent reader cannot run: {e}") from None
    secret = ("key-file", box.path("key"))
    return store, checker.check(box.repo, secret, lambda note: None)


# ---- Images made by hand ----

def entry(path, data=b"", kind=tarfile.REGTYPE, target="", mode=0o644, mtime=BASE_TIME, pax=None,
          device=(0, 0), owner=(0, 0)):
    """(member of an archive, its contents)"""
    member = tarfile.TarInfo(path)
    member.type, member.linkname, member.mode, member.mtime = kind, target, mode, mtime
    member.size = len(data)
    member.devmajor, member.devminor = device
    member.uid, member.gid = owner
    member.pax_headers = dict(pax or {})
    return member, data


def folder(path, mode=0o755, **keywords):
    return entry(path, kind=tarfile.DIRTYPE, mode=mode, **keywords)


def symlink(path, target):
    return entry(path, kind=tarfile.SYMTYPE, target=target, mode=0o777)


def link(path, target):
    return entry(path, kind=tarfile.LNKTYPE, target=target)


def whiteout(path):
    at, _, name = path.rpartition("/")
    return entry(f"{at}/.wh.{name}" if at else f".wh.{name}")


def opaque(path):
    return entry(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq")


def archive(entries):
    """A tar of members and of raw bytes between them."""
    out = bytearray()
    for item in entries:
        if isinstance(item, bytes):
            out += item
            continue
        member, data = item
        out += member.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")
        out += data + bytes(-len(data) % 512)
    return bytes(out) + bytes(1024)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def as_json(document):
    return document if isinstance(document, bytes) else json.dumps(document).encode()


class Layout:
    """An OCI layout made byte by byte."""

    def __init__(self, box, name):
        self.path = box.folder(name)
        os.makedirs(os.path.join(self.path, "blobs", "sha256"))
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def write(self, name, contents):
        with open(os.path.join(self.path, name), "wb") as f:
            f.write(contents)

    def blob_path(self, digest):
        return os.path.join(self.path, "blobs", *digest.split(":"))

    def blob(self, data, media_type, **members):
        """Stores it; its descriptor."""
        data = as_json(data)
        with open(self.blob_path(sha256(data)), "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **members}

    def config(self, diff_ids, **members):
        return {"architecture": "amd64", "os": "linux", "config": {},
                "rootfs": {"type": "layers", "diff_ids": diff_ids}, **members}

    def manifest(self, config, layers, **members):
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
                **members}

    def index(self, *manifests, **members):
        """The layout's own."""
        self.write("index.json", as_json({"schemaVersion": 2, "manifests": manifests, **members}))

    def image(self, archives, tag="v1", pack=gzip.compress, suffix="+gzip", **members):
        """A whole image of these uncompressed layers; its `oci:` name."""
        layers = [self.blob(pack(a), LAYER + suffix) for a in archives]
        config = self.blob(self.config([sha256(a) for a in archives], **members), CONFIG)
        manifest = self.blob(self.manifest(config, layers), MANIFEST)
        manifest["annotations"] = {"org.opencontainers.image.ref.name": tag}
        self.index(manifest)
        return f"oci:{self.path}:{tag}"

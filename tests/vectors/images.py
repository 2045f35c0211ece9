"""What the writer needs for OCI images: archives, blobs, streams, layers and their recipes."""

import hashlib
import json
import re
import zlib

from writer import EPOCH_START

from fmt import tree
from fmt.crypto import DATA, H, object_id
from fmt.members import MAX_LITERAL, RECIPE, raw_digest

OCI = "application/vnd.oci.image."


def sha256(contents):
    return "sha256:" + hashlib.sha256(contents).hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


# ---- archives and blobs ----------------------------------------------------------------------


def header(path, size=0, kind=b"0", mode=0o644, target=b""):
    """A ustar header as docs/canonical-tar.md has it."""
    def octal(value, width):
        return b"%0*o\0" % (width - 1, value)
    block = (path.ljust(100, b"\0") + octal(mode, 8) + octal(0, 8) * 2 + octal(size, 12)
             + octal(EPOCH_START, 12) + b" " * 8 + kind + target.ljust(100, b"\0") + b"ustar\00000"
             + bytes(64) + octal(0, 8) * 2).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size):
    return -size % 512


def gzip(contents):
    """Stored blocks, so that the bytes follow from the contents alone."""
    blocks = [contents[i:i + 65535] for i in range(0, len(contents), 65535)] or [b""]
    out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    for i, block in enumerate(blocks):
        n = len(block)
        out += bytes([i == len(blocks) - 1]) + n.to_bytes(2, "little")
        out += (n ^ 0xFFFF).to_bytes(2, "little") + block
    return out + zlib.crc32(contents).to_bytes(4, "little") + len(contents).to_bytes(4, "little")


class Archive:
    """A layer's archive, put together of the parts of its recipe."""

    def __init__(self, builder):
        self.b = builder
        self.items, self.plain = [], []

    def literal(self, contents):
        self.items += [contents[i:i + MAX_LITERAL] for i in range(0, len(contents), MAX_LITERAL)]
        self.plain.append(contents)
        return self

    def sparse(self, contents):
        """Literals with runs of zeros between them."""
        for part in re.findall(rb"\0{16,}|(?:(?!\0{16}).)+", contents, re.DOTALL):
            if part.strip(b"\0"):
                self.literal(part)
            else:
                self.zeros(len(part))
        return self

    def zeros(self, n):
        if n:
            self.items.append(n)
            self.plain.append(bytes(n))
        return self

    def file(self, path, contents):
        """Contents that the tree has."""
        self.items.append([path, len(contents)])
        self.plain.append(contents)
        return self

    def chunks(self, contents):
        """Contents that the tree does not have, cut like a file; zero extents become zeros."""
        for item in self.b.extents(contents):
            self.items.append(item)
        self.plain.append(contents)
        return self

    def entry(self, path, contents=None, kept=True, kind=b"0", mode=0o644, target=b""):
        """One member with its header and padding."""
        self.literal(header(path, len(contents or b""), kind, mode, target))
        if contents:
            if kept:
                self.file(path, contents)
            else:
                self.chunks(contents)
            self.zeros(padding(len(contents)))
        return self

    def end(self):
        return self.zeros(1024)

    def bytes(self):
        return b"".join(self.plain)


def stream(b, contents):
    out = {1: len(contents)}
    if len(contents) <= 256:
        out[2] = contents
    else:
        out[3] = b.sequence(tree.EXTENTS, b.extents(contents))
    return out


def layer(b, archive, keep_archive=True, keep_blob=False, sha512=False):
    """The layer of an archive, whose blob is a gzip of it."""
    contents = archive.bytes()
    zipped = gzip(contents)
    digest = "sha512:" + hashlib.sha512(contents).hexdigest() if sha512 else sha256(contents)
    out = {1: digest, 2: len(contents)}
    if keep_archive:
        out[3] = b.sequence(tree.RECIPES, archive.items)
    out |= {4: sha256(zipped), 5: len(zipped), 6: OCI + "layer.v1.tar+gzip"}
    if keep_blob:
        out[7] = stream(b, zipped)
    return out


# ---- documents -------------------------------------------------------------------------------


def config_of(layers, **more):
    return compact({"architecture": "arm", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                    "rootfs": {"type": "layers", "diff_ids": [x[1] for x in layers]}} | more)


def manifest_of(config, layers):
    def described(x):
        return {"mediaType": x[6], "digest": x[4], "size": x[5]}
    return compact({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": {"mediaType": OCI + "config.v1+json", "digest": sha256(config),
                   "size": len(config)},
        "layers": [described(x) for x in layers]})


def index_of(manifest):
    return compact({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [
        {"mediaType": OCI + "manifest.v1+json", "digest": sha256(manifest),
         "size": len(manifest), "platform": {"os": "linux", "architecture": "arm",
                                             "variant": "v7"}}]})


def members(b, layers, index=True, platform=("linux", "arm", "v7")):
    """Members 20 to 26 of a snapshot."""
    config = config_of(layers)
    manifest = manifest_of(config, layers)
    out = {20: stream(b, manifest), 21: OCI + "manifest.v1+json", 22: stream(b, config),
           23: list(platform), 24: layers}
    if index:
        out |= {25: stream(b, index_of(manifest)), 26: OCI + "index.v1+json"}
    return out


def layer_names(layers):
    """Member 13 of the record in the log."""
    return b"".join(raw_digest(x[1])[:16] for x in layers if RECIPE in x)


# ---- recipes in tables -----------------------------------------------------------------------


def wanted(make, q_of, levels):
    """The first of make(0), make(1), … whose q ends the objects of so many levels."""
    n = 0
    while int.from_bytes(q_of(make(n))[:4], "little") & (1 << 6 * levels) - 1:
        n += 1
    return make(n)


def splitting_path(make, levels):
    return wanted(make, lambda path: H(b"ociv2 split", path), levels)


def splitting_chunk(make, levels):
    return wanted(make, lambda plain: object_id(DATA, plain), levels)

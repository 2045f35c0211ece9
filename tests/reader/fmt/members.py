"""The forms of what snapshots keep of OCI images (image.md): what can be said without reading more
than the snapshot object."""

import re

from .strict import Refused, anything, blob, listof, mapof, text, tupleof, uint

MAX_LAYERS = 1024
MAX_IMAGE_DOCUMENT = 4 << 20
MAX_LITERAL = 4096
MAX_CHUNK = 65536
MAX_SIZE = (1 << 63) - 1
MAX_INLINE = 256

MANIFEST, MANIFEST_TYPE, CONFIG, PLATFORM, LAYERS, INDEX, INDEX_TYPE = range(20, 27)
DIFF_ID, SIZE, RECIPE, DIGEST, BLOB_SIZE, BLOB_TYPE, BLOB = range(1, 8)

DIGEST_FORM = re.compile("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def check_digest(v, where):
    text()(v, where)
    if not DIGEST_FORM.fullmatch(v):
        raise Refused(where, f"{v!r} is not a digest")


def raw_digest(digest):
    return bytes.fromhex(digest.partition(":")[2])


STREAM = mapof({1: ("size", uint(MAX_SIZE, 1), True), 2: ("contents", blob(), False),
                3: ("extents", anything, False)})


def check_stream(most):
    """A stream of at most so many bytes."""
    def check(v, where):
        STREAM(v, where)
        size = v[1]
        if size > most:
            raise Refused(where, f"stream of {size} bytes is over the limit of {most}")
        if (2 in v) != (size <= MAX_INLINE) or (3 in v) != (size > MAX_INLINE):
            raise Refused(where, "stream has contents up to 256 bytes, and extents beyond")
        if 2 in v and len(v[2]) != size:
            raise Refused(where, "size of the stream is not the length of its contents")
    return check


def check_platform(v, where):
    tupleof(text(least=1), text(least=1), text())(v, where)


LAYER = mapof({
    DIFF_ID: ("diff_id", check_digest, True), SIZE: ("size", uint(MAX_SIZE), False),
    RECIPE: ("recipe", anything, False), DIGEST: ("digest", check_digest, False),
    BLOB_SIZE: ("blob's size", uint(MAX_SIZE), False), BLOB_TYPE: ("media type", text(), False),
    BLOB: ("blob", check_stream(MAX_SIZE), False),
})


def check_layer(v, where):
    LAYER(v, where)
    if RECIPE in v and SIZE not in v:
        raise Refused(where, "recipe of a layer without a size")


DOCUMENT = check_stream(MAX_IMAGE_DOCUMENT)
IMAGE_MEMBERS = {
    MANIFEST: ("manifest", DOCUMENT, False), MANIFEST_TYPE: ("manifest's type", text(), False),
    CONFIG: ("config", DOCUMENT, False), PLATFORM: ("platform", check_platform, False),
    LAYERS: ("layers", listof(check_layer, MAX_LAYERS), False),
    INDEX: ("index", DOCUMENT, False), INDEX_TYPE: ("index's type", text(), False),
}


def check_members(snapshot, where):
    """Which members come with which."""
    for document, kind in ((MANIFEST, MANIFEST_TYPE), (INDEX, INDEX_TYPE)):
        if (document in snapshot) != (kind in snapshot):
            label = IMAGE_MEMBERS[document][0]
            raise Refused(where, f"{label} without its media type, or the type without it")
    if LAYERS in snapshot and CONFIG not in snapshot:
        raise Refused(where, "layers without a config")


# ---- items of recipes ------------------------------------------------------------------------


def recipe_item(check_path):
    """The check of one item; paths have the form that trees give them."""
    chunk = tupleof(uint(MAX_CHUNK, 1), blob(32))
    file = tupleof(check_path, uint(MAX_SIZE, 1))

    def check(v, where):
        if isinstance(v, bytes):
            if not 1 <= len(v) <= MAX_LITERAL:
                raise Refused(where, f"literal of {len(v)} bytes, outside of the limits")
        elif type(v) is int:
            uint(MAX_SIZE, 1)(v, f"{where}: zeros")
        elif isinstance(v, list) and v and isinstance(v[0], bytes):
            file(v, f"{where}: part from a file")
            if not v[0]:
                raise Refused(where, "part from the root, which is no file")
        else:
            chunk(v, f"{where}: part from a chunk")
    return check


def part_length(item):
    """How many bytes of the archive an item stands for."""
    if isinstance(item, list):
        return item[1] if isinstance(item[0], bytes) else item[0]
    return len(item) if isinstance(item, bytes) else item

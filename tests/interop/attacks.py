"""Images made to do harm. Each attack is a function of (box, layout) that makes one and returns the
source to import, and says how that has to end: with words that the message must have, or SAFE: it
may be imported, but restoring it stays in its place.
"""

import gzip
import json
import os
import struct
import tarfile

try:
    import zstandard
except ImportError:
    zstandard = None

import images  # noqa: E402  (finds harness)
import harness  # noqa: E402
from images import LAYER, entry, folder, link, opaque, symlink, whiteout  # noqa: E402

LAYERS, DOCUMENTS = {}, {}
SAFE = None


def attack(table, *words, code=1):
    """words: of the message; none: it may succeed."""
    def register(function):
        table[function.__name__] = (function, words or SAFE, code)
        return function
    return register


def layers(*words):
    """The attack is in layers: the function returns their entries, or bytes."""
    def register(function):
        def make(box, layout):
            found = function(box)
            found = found if isinstance(found, tuple) else (found,)
            return layout.image([a if isinstance(a, bytes) else images.archive(a) for a in found])
        LAYERS[function.__name__] = (make, words or SAFE, 1)
        return function
    return register


# ---- Archives byte by byte ----

def header(name=b"evil", size=0, kind=b"0", magic=b"ustar\x0000", **fields):
    """fields: raw bytes of mode, uid, gid, size, mtime, link, major, minor."""
    block = bytearray(512)
    values = {"mode": b"0000644\0", "uid": b"0000000\0", "gid": b"0000000\0",
              "size": size if isinstance(size, bytes) else b"%011o\0" % size,
              "mtime": b"00000000000\0"}
    values.update(fields)
    places = {"mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "link": 157,
              "major": 329, "minor": 337}
    block[:len(name)] = name
    for field, value in values.items():
        block[places[field]:places[field] + len(value)] = value
    block[156:157] = kind
    block[257:265] = magic
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def large_size(size):
    """A size in base 256, as GNU tar writes those beyond 8 GiB."""
    return b"\x80" + bytes(3) + struct.pack(">Q", size)


def padded(data):
    return data + bytes(-len(data) % 512)


def pax(records, kind=b"x"):
    """An extended header with (key, value) records."""
    data = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(b"%d" % length) + len(rest) != length:
            length += 1
        data += b"%d" % length + rest
    return header(b"pax", len(data), kind) + padded(data)


def with_pax(*records, name=b"evil", contents=b"x", **fields):
    return [pax(records), header(name, len(contents), **fields), padded(contents)]


def need_zstandard():
    if not zstandard:
        raise harness.Skipped("needs the Python module zstandard")


# ---- Out of the target ----

@layers("root is no directory")
def link_over_the_root(box):
    return [symlink("/.", box.path("outside")), entry("evil", b"evil")]


@layers("root is no directory")
def link_over_the_root_in_a_later_layer(box):
    return [entry("f")], [symlink("./", box.path("outside")), entry("evil", b"evil")]


@layers("root is no directory")
def file_over_the_root(box):
    return [entry("..", b"evil")]


@layers()
def link_as_parent(box):
    return [symlink("x", box.path("outside")), entry("x/evil", b"evil"),
            symlink("up", "../../../../../.." + box.path("outside")), entry("up/evil", b"evil"),
            symlink("a", "b"), symlink("b", box.path("outside")), entry("a/evil", b"evil")]


@layers()
def link_as_parent_in_a_later_layer(box):
    return ([symlink("x", box.path("outside")), symlink("y", "x")],
            [entry("x/evil", b"evil"), folder("y"), entry("y/evil", b"evil")],
            [whiteout("x/victim"), opaque("y")])


@layers()
def attributes_through_a_link(box):
    return [symlink("x", box.path("outside", "victim")), folder("x", mode=0o777),
            symlink("y", box.path("outside")), folder("y", mode=0o777, mtime=7),
            symlink("z", box.path("outside", "victim")), entry("z", b"evil", mode=0o4777)]


@layers()
def whiteouts_through_a_link(box):
    return ([symlink("x", box.path("outside"))], [whiteout("x/victim"), opaque("x"),
                                                  whiteout("../../outside/victim")])


@layers()
def paths_upwards(box):
    return [entry("../../../../evil", b"evil"), entry("/etc/evil", b"evil"),
            entry("a/../../../evil2", b"evil"), folder(".."), entry("//evil3", b"evil"),
            symlink("../l", box.path("outside"))]


@layers("h is a hard link to", "victim", "does not exist")
def hard_link_through_a_link(box):
    return [symlink("x", box.path("outside")), link("h", "x/victim")]


@layers("h is a hard link to", "victim", "does not exist")
def hard_link_through_a_link_of_a_lower_layer(box):
    return [symlink("x", box.path("outside"))], [link("h", "x/victim")]


@layers("h is a hard link to", "etc/passwd", "does not exist")
def hard_link_outside(box):
    return [link("h", "/etc/passwd")]


@layers("h is a hard link to", "etc/passwd", "does not exist")
def hard_link_upwards(box):
    return [link("h", "../../../../../../etc/passwd")]


@layers("h is a hard link to gone, which does not exist")
def hard_link_to_what_was_removed(box):
    return [entry("gone")], [whiteout("gone")], [link("h", "gone")]


@layers("a is a hard link to b, which does not exist")
def hard_links_in_a_circle(box):
    return [link("a", "b"), link("b", "a")]


@layers("is a directory")
def hard_link_to_a_folder(box):
    return [folder("d"), link("h", "d")]


@layers()
def hard_link_to_a_link_outside(box):
    return [symlink("l", box.path("outside", "victim")), link("h", "l"), entry("h", b"evil")], \
        [folder("l", mode=0o777)]


# ---- Marks of whiteouts ----

@layers("whiteout of nothing")
def bare_whiteout(box):
    return [entry("f")], [entry(".wh.")]


@layers("whiteout of nothing")
def whiteout_of_the_folder(box):
    return [entry("d/f")], [entry("d/.wh..")]


@layers("whiteout of nothing")
def whiteout_of_the_parent(box):
    return [entry("d/f")], [entry("d/.wh...")]


@layers()
def whiteouts_that_are_something_else(box):
    return ([folder("d"), entry("d/f")], [folder("d/.wh.f"), symlink(".wh.d", box.path("outside")),
                                          entry("x/.wh..wh..opq", b"contents", mode=0o4777)])


@layers()
def opaque_root_and_everything_in_it(box):
    return [entry("f")], [opaque(""), whiteout("f"), entry("f"), opaque("f"), whiteout("f/f")]


# ---- Numbers that lie ----

@layers("extended header that is too large")
def pax_header_of_gigabytes(box):
    return header(b"evil", kind=b"x", size=0o77777777777) + bytes(1024)


@layers("extended header that is too large")
def path_of_a_million_levels(box):
    return images.archive(with_pax((b"path", b"a/" * 1_000_000 + b"f")))


@layers("path of")
def path_of_200_000_levels(box):
    return images.archive(with_pax((b"path", b"a/" * 200_000 + b"f")))


@layers("path of")
def long_name_of_200_000_levels(box):
    name = b"a/" * 200_000
    return images.archive([header(b"././@LongLink", len(name), b"L", b"ustar  \0"), padded(name),
                           header(b"evil", magic=b"ustar  \0")])


@layers()
def path_of_2_000_levels(box):
    return images.archive(with_pax((b"path", b"a/" * 2000 + b"f")))


@layers("a name of 256 bytes")
def name_that_is_too_long(box):
    return images.archive(with_pax((b"path", b"n" * 256)))


@layers()
def path_of_dots(box):
    return images.archive(with_pax((b"path", b"../" * 300_000 + b"f")))


@layers("NUL")
def path_with_nul(box):
    return images.archive(with_pax((b"path", b"good\0/../../evil")))


@layers("xattr")
def value_that_is_too_large(box):
    return images.archive(with_pax((b"SCHILY.xattr.user.x", bytes(70_000))))


@layers()
def many_xattrs(box):
    """As many as a pax header holds."""
    records = [(b"SCHILY.xattr.user.%d" % i, b"v" * 20) for i in range(20_000)]
    return images.archive(with_pax(*records))


@layers("pax")
def record_longer_than_its_header(box):
    data = b"4000000000 SCHILY.xattr.user.x=v\n"
    return images.archive([header(b"pax", len(data), b"x"), padded(data), header(b"evil")])


@layers("two extended headers")
def headers_before_headers(box):
    data = b"x" * 500_000
    long_name = header(b"././@LongLink", len(data), b"L", b"ustar  \0") + padded(data)
    return images.archive([long_name] * 40 + [header(b"evil")])


@layers("layer 1", "bad number")
def uid_too_large(box):
    return images.archive(with_pax((b"uid", b"4294967296")))


@layers("layer 1", "bad number")
def uid_negative(box):
    return images.archive(with_pax((b"uid", b"-1")))


@layers("layer 1", "bad number")
def uid_that_is_no_owner(box):
    return images.archive(with_pax((b"uid", b"4294967295")))


@layers("layer 1", "bad number")
def uid_of_64_bits(box):
    return images.archive(with_pax((b"gid", b"18446744073709551616")))


@layers("layer 1", "bad owner")
def uid_in_base_256(box):
    return images.archive([header(b"evil", uid=b"\x80\x00\x00\x01\x00\x00\x00\x00")])


@layers("layer 1", "bad size")
def size_negative(box):
    return images.archive([header(b"evil", size=b"\xff" * 12), b"x" * 512])


@layers("cut off")
def size_of_exabytes(box):
    return images.archive([header(b"evil", size=large_size(1 << 60)), b"x" * 512])


@layers("layer 1", "bad size")
def size_of_64_bits(box):
    return images.archive([header(b"evil", size=b"\x80" + bytes(3) + b"\xff" * 8), b"x" * 512])


@layers("cut off")
def size_of_a_pax_header_in_exabytes(box):
    return images.archive(with_pax((b"size", b"%d" % (1 << 60))))


@layers()
def times_beyond_all(box):
    return images.archive(with_pax((b"mtime", b"253402300800.5")) +
                          with_pax((b"mtime", b"-62135596801.999999999999"), name=b"old"))


@layers("layer 1", "bad time")
def time_that_is_no_number(box):
    return images.archive(with_pax((b"mtime", b"1e300")))


@layers()
def devices_with_large_numbers(box):
    return images.archive([header(b"evil", kind=b"3", major=b"7777777\0", minor=b"7777777\0")])


# ---- Sparse maps ----

@layers("sparse")
def map_of_endless_entries(box):
    data = b"1000000000000\n0\n1\n"
    return images.archive([pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                (b"GNU.sparse.name", b"evil"), (b"GNU.sparse.realsize", b"1")]),
                           header(b"evil", 1024), padded(data), bytes(512)])


@layers("sparse")
def map_that_goes_on(box):
    data = b"9999999\n" + b"0\n0\n" * 1_000_000
    return images.archive([pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                (b"GNU.sparse.name", b"evil"), (b"GNU.sparse.realsize", b"1")]),
                           header(b"evil", len(padded(data))), padded(data)])


@layers("sparse")
def map_that_overlaps(box):
    data = b"2\n0\n512\n256\n512\n"
    return images.archive([pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                (b"GNU.sparse.name", b"evil"), (b"GNU.sparse.realsize", b"4096")]),
                           header(b"evil", 512 + 1024), padded(data), bytes(1024)])


@layers("sparse")
def map_beyond_the_file(box):
    data = b"1\n9223372036854775000\n512\n"
    return images.archive([pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                (b"GNU.sparse.name", b"evil"), (b"GNU.sparse.realsize", b"4096")]),
                           header(b"evil", 1024), padded(data), bytes(512)])


@layers("sparse")
def map_in_the_header_of_endless_entries(box):
    return images.archive([pax([(b"GNU.sparse.size", b"100"), (b"GNU.sparse.numblocks",
                                                               b"9999999999"),
                                (b"GNU.sparse.map", b"0,1," * 200_000 + b"0,1")]),
                           header(b"evil", 512), bytes(512)])


# ---- No archives ----

@layers("type that is not known")
def unknown_type(box):
    return images.archive([header(b"evil", kind=b"Q")])


@layers("type that is not known")
def part_of_a_volume(box):
    return images.archive([header(b"evil", 512, kind=b"M"), bytes(512)])


@layers("layer 1")
def checksum_that_is_wrong(box):
    block = bytearray(header(b"evil"))
    block[0:4] = b"good"
    return images.archive([bytes(block)])


@layers("layer 1")
def text_for_an_archive(box):
    return b"this is no archive\n" * 100


@layers("cut off")
def archive_that_is_cut_off(box):
    return images.archive([entry("f", b"x" * 5000)])[:2000]


@layers("more than 64 times")
def the_same_again_and_again(box):
    return [entry("f")] * 1000


@layers("without a target")
def link_to_nothing(box):
    return [symlink("l", "")]


@layers("target of")
def link_to_far_away(box):
    return images.archive([pax([(b"linkpath", b"t" * 500_000)]), header(b"evil", kind=b"2")])


@layers()
def size_of_pax_and_header_differ(box):
    """CVE-2025-62518: who takes the size of the header sees another file in the contents."""
    hidden = header(b"hidden", 3) + padded(b"hid")
    return images.archive([pax([(b"size", b"%d" % len(hidden))]), header(b"evil", 0), hidden,
                           header(b"after", 3), padded(b"aft")])


@layers("layer 1")
def global_header_with_a_name(box):
    return images.archive([pax([(b"path", b"../../evil")], b"g"), header(b"evil")])


# ---- Documents ----

def small(layout, **members):
    """Parts of a good image: (archive, config's descriptor, layer's descriptor, manifest)"""
    tar = images.archive([entry("f", b"good")])
    config = layout.blob(layout.config([images.sha256(tar)], **members), images.CONFIG)
    layer = layout.blob(gzip.compress(tar), LAYER + "+gzip")
    return tar, config, layer, layout.manifest(config, [layer])


def finish(layout, manifest, media_type=images.MANIFEST):
    layout.index(layout.blob(manifest, media_type))
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "both")
def manifest_and_index_in_one(box, layout):
    *_, manifest = small(layout)
    return finish(layout, {**manifest, "manifests": [layout.blob(manifest, images.MANIFEST)]})


@attack(DOCUMENTS, "it says that it is")
def manifest_that_says_index(box, layout):
    *_, manifest = small(layout)
    return finish(layout, {**manifest, "mediaType": images.INDEX})


@attack(DOCUMENTS, "digest")
def layer_digest_that_is_a_path(box, layout):
    _, config, layer, _ = small(layout)
    return finish(layout, layout.manifest(config, [{**layer,
                                                    "digest": "sha256:../../../../etc/passwd"}]))


@attack(DOCUMENTS, "digest")
def config_digest_that_is_a_path(box, layout):
    _, config, layer, _ = small(layout)
    return finish(layout, layout.manifest({**config, "digest": "../../../etc/passwd:x"}, [layer]))


@attack(DOCUMENTS, "index.json", "digest")
def manifest_digest_that_is_a_path(box, layout):
    small(layout)
    layout.index({"mediaType": images.MANIFEST, "digest": "sha256:../../../../etc/passwd",
                  "size": os.path.getsize("/etc/passwd")})
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "index.json", "digest")
def algorithm_that_is_a_path(box, layout):
    layout.index({"mediaType": images.MANIFEST, "digest": "../../../etc:" + "a" * 64, "size": 5})
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "digest")
def digest_in_upper_case(box, layout):
    _, config, layer, _ = small(layout)
    return finish(layout, layout.manifest(config, [{**layer, "digest": layer["digest"][:7] +
                                                    layer["digest"][7:].upper()}]))


def large(document):
    return {**document, "annotations": {"large": "x" * (5 << 20)}}


@attack(DOCUMENTS, "bytes")
def manifest_of_5_mib(box, layout):
    *_, manifest = small(layout)
    return finish(layout, large(manifest))


@attack(DOCUMENTS, "bytes")
def config_of_5_mib(box, layout):
    *_, manifest = small(layout, large="x" * (5 << 20))
    return finish(layout, manifest)


@attack(DOCUMENTS, "index.json")
def index_of_5_mib(box, layout):
    *_, manifest = small(layout)
    layout.index(layout.blob(manifest, images.MANIFEST), annotations={"large": "x" * (5 << 20)})
    return f"oci:{layout.path}"


def with_diff_ids(layout, change):
    tar, _, layer, _ = small(layout)
    config = layout.blob(layout.config(change(images.sha256(tar))), images.CONFIG)
    return finish(layout, layout.manifest(config, [layer]))


@attack(DOCUMENTS, "layer 1", "as the config says")
def diff_id_of_something_else(box, layout):
    return with_diff_ids(layout, lambda d: [images.sha256(b"other")])


@attack(DOCUMENTS, "diff_ids")
def too_few_diff_ids(box, layout):
    return with_diff_ids(layout, lambda d: [])


@attack(DOCUMENTS, "diff_ids")
def too_many_diff_ids(box, layout):
    return with_diff_ids(layout, lambda d: [d, d])


@attack(DOCUMENTS, "digest")
def diff_id_that_is_a_path(box, layout):
    return with_diff_ids(layout, lambda d: ["../../etc/passwd"])


def damaged(which, change):
    """A blob on disk that is not what its descriptor says."""
    def make(box, layout):
        _, config, layer, manifest = small(layout)
        top = layout.blob(manifest, images.MANIFEST)
        layout.index(top)
        descriptors = {"config": config, "layer": layer, "manifest": top}
        path = layout.blob_path(descriptors[which]["digest"])
        with open(path, "rb") as f:
            data = f.read()
        os.unlink(path)
        change(path, data, box)
        return f"oci:{layout.path}"
    word = "layer 1" if which == "layer" else "sha256"
    DOCUMENTS[f"{which}: {change.__name__}"] = (make, (word,), 1)


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def other_bytes(path, data, box):
    put(path, data[:-1] + bytes([data[-1] ^ 1]))


def shorter(path, data, box):
    put(path, data[:-1])


def longer(path, data, box):
    put(path, data + b"\n")


def missing(path, data, box):
    pass


def fifo(path, data, box):
    os.mkfifo(path)


def a_folder(path, data, box):
    os.mkdir(path)


def linked_from_elsewhere(path, data, box):
    put(box.path("outside", "blob"), data)
    os.symlink(box.path("outside", "blob"), path)


def linked_from_its_side(path, data, box):
    put(path + "x", data)
    os.symlink(os.path.basename(path) + "x", path)


def linked_to_zeros(path, data, box):
    os.symlink("/dev/zero", path)


def linked_to_itself(path, data, box):
    os.symlink(os.path.basename(path), path)


for _which in ("manifest", "config", "layer"):
    for _change in (other_bytes, shorter, longer, missing, fifo, a_folder, linked_from_elsewhere,
                    linked_from_its_side, linked_to_zeros, linked_to_itself):
        damaged(_which, _change)


LARGE = "4503599627370496"


def with_size(which, size):
    def make(box, layout):
        _, config, layer, _ = small(layout)
        parts = {"config": config, "layer": layer}
        text = json.dumps(layout.manifest(config, [layer]))
        text = text.replace(f'"size": {parts[which]["size"]}', f'"size": {size}')
        return finish(layout, text.encode())
    words = {"0": "bytes instead of 0", LARGE: "bytes instead of " + LARGE}
    if size.isdigit() and int(size) >> 63:
        words[size] = "too big integer"
    DOCUMENTS[f"{which}: size {size}"] = (make, (words.get(size, "size"),), 1)


for _which in ("config", "layer"):
    for _size in ("-1", "-9223372036854775808", "9223372036854775807", "18446744073709551615",
                  "99999999999999999999999", "1e3", "1.5", '"12"', "null", "true", "[]", "0",
                  LARGE):
        with_size(_which, _size)


@attack(DOCUMENTS, "duplicate")
def duplicate_keys(box, layout):
    _, config, layer, manifest = small(layout)
    text = json.dumps(manifest)
    return finish(layout, (text[:-1] + ', "layers": []}').encode())


@attack(DOCUMENTS, "Layers")
def keys_that_differ_in_case(box, layout):
    *_, manifest = small(layout)
    return finish(layout, {**manifest, "Layers": []})


@attack(DOCUMENTS, "sha256")
def deep_json(box, layout):
    *_, manifest = small(layout)
    text = json.dumps(manifest)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    return finish(layout, text.encode())


@attack(DOCUMENTS, "sha256")
def json_and_more(box, layout):
    *_, manifest = small(layout)
    return finish(layout, json.dumps(manifest).encode() + b"{}")


@attack(DOCUMENTS, "sha256")
def json_that_is_not_utf8(box, layout):
    *_, manifest = small(layout)
    return finish(layout, json.dumps(manifest)[:-1].encode() + b', "x": "\xff"}')


@attack(DOCUMENTS, "schema")
def docker_schema_1(box, layout):
    return finish(layout, {"schemaVersion": 1, "name": "a", "tag": "b", "architecture": "amd64",
                           "fsLayers": [{"blobSum": images.sha256(b"")}], "history": []},
                  "application/vnd.docker.distribution.manifest.v1+json")


@attack(DOCUMENTS, "more than 4 deep")
def indexes_in_indexes(box, layout):
    *_, manifest = small(layout)
    at = layout.blob(manifest, images.MANIFEST)
    for _ in range(20):
        at = layout.blob({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [at]},
                         images.INDEX)
    layout.index(at)
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "too many documents")
def indexes_that_explode(box, layout):
    """1,000 times 1,000 times 1,000 manifests: no platform fits, so all are looked at."""
    *_, manifest = small(layout)
    at = {**layout.blob(manifest, images.MANIFEST),
          "platform": {"os": "plan9", "architecture": "mips"}}
    for _ in range(3):
        at = layout.blob({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [at] * 1000},
                         images.INDEX)
    layout.index(at)
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "elsewhere")
def foreign_layers(box, layout):
    _, config, layer, _ = small(layout)
    layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layer["urls"] = ["http://127.0.0.1:1/secret"]
    return finish(layout, layout.manifest(config, [layer]))


@attack(DOCUMENTS, "data")
def embedded_data_of_something_else(box, layout):
    _, config, layer, _ = small(layout)
    return finish(layout, layout.manifest({**config, "data": "e30="}, [layer]))


@attack(DOCUMENTS, "artifact")
def artifact(box, layout):
    _, _, layer, _ = small(layout)
    empty = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
    return finish(layout, layout.manifest(empty, [layer], artifactType="application/x.evil"))


@attack(DOCUMENTS, "layers")
def too_many_layers(box, layout):
    tar, _, layer, _ = small(layout)
    config = layout.blob(layout.config([images.sha256(tar)] * 5000), images.CONFIG)
    return finish(layout, layout.manifest(config, [layer] * 5000))


@attack(DOCUMENTS, "index.json")
def index_that_is_a_fifo(box, layout):
    os.mkfifo(os.path.join(layout.path, "index.json"))
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "index.json")
def index_that_is_a_link(box, layout):
    *_, manifest = small(layout)
    finish(layout, manifest)
    os.rename(layout.path + "/index.json", layout.path + "/other.json")
    os.symlink("other.json", layout.path + "/index.json")
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "blobs")
def blobs_elsewhere(box, layout):
    *_, manifest = small(layout)
    finish(layout, manifest)
    os.rename(layout.path + "/blobs", box.path("outside", "blobs"))
    os.symlink(box.path("outside", "blobs"), layout.path + "/blobs")
    return f"oci:{layout.path}"


@attack(DOCUMENTS, "window")
def window_of_zstd_of_a_gigabyte(box, layout):
    need_zstandard()
    tar = images.archive([entry("f", b"good" * 100_000)])
    options = zstandard.ZstdCompressionParameters(window_log=30)
    packer = zstandard.ZstdCompressor(compression_params=options).compressobj()
    return layout.image([tar], pack=lambda a: packer.compress(a) + packer.flush(), suffix="+zstd")


@attack(DOCUMENTS, "layer 1")
def gzip_that_is_cut_off(box, layout):
    tar = images.archive([entry("f", os.urandom(5000))])
    return layout.image([tar], pack=lambda a: gzip.compress(a)[:-100])


@attack(DOCUMENTS, "layer 1")
def gzip_with_a_wrong_checksum(box, layout):
    tar = images.archive([entry("f", os.urandom(5000))])
    return layout.image([tar], pack=lambda a: gzip.compress(a)[:-8] + bytes(8))


# ---- Archives of images ----

def docker_archive(box, layout, config_name, layer_name, links=(), layer=None):
    tar = images.archive([entry("f", b"good")])
    config = json.dumps(layout.config([images.sha256(tar)])).encode()
    path = layout.path + ".tar"
    listed = [{"Config": config_name, "RepoTags": ["a:b"], "Layers": [layer_name]}]
    members = [entry("manifest.json", json.dumps(listed).encode()), entry("config.json", config)]
    members += links
    if layer is not None or layer_name == "layer.tar":
        members.append(entry("layer.tar", tar if layer is None else layer))
    put(path, images.archive(members))
    return f"docker-archive:{path}"


@attack(DOCUMENTS, "passwd")
def layer_path_upwards(box, layout):
    return docker_archive(box, layout, "config.json", "../../../../../etc/passwd")


@attack(DOCUMENTS, "passwd")
def config_path_from_the_root(box, layout):
    return docker_archive(box, layout, "/etc/passwd", "layer.tar")


@attack(DOCUMENTS, "l.tar")
def member_that_is_a_link_outside(box, layout):
    return docker_archive(box, layout, "config.json", "l.tar",
                          [symlink("l.tar", "../../../../../etc/passwd")])


@attack(DOCUMENTS, "l.tar")
def members_linked_in_a_circle(box, layout):
    return docker_archive(box, layout, "config.json", "l.tar",
                          [symlink("l.tar", "m.tar"), symlink("m.tar", "l.tar")])


@attack(DOCUMENTS, "layer 1")
def layer_of_something_else(box, layout):
    return docker_archive(box, layout, "config.json", "layer.tar",
                          layer=images.archive([entry("g", b"evil")]))


@attack(DOCUMENTS)
def archive_with_blobs_of_other_kinds(box, layout):
    """Members of an oci-archive that are links, devices and upwards."""
    _, config, layer, manifest = small(layout)
    finish(layout, manifest)
    members = [folder("../evil"), entry("../../outside/victim", b"evil"),
               entry("blobs/null", kind=tarfile.CHRTYPE, device=(1, 3))]
    for at, _, files in os.walk(layout.path):
        for name in files:
            path = os.path.join(at, name)
            with open(path, "rb") as f:
                members.append(entry(os.path.relpath(path, layout.path), f.read()))
    put(layout.path + ".tar", images.archive(members))
    return f"oci-archive:{layout.path}.tar"

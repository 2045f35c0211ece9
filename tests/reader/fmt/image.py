"""Giving back what a snapshot keeps of an OCI image, and the check of it (image.md)."""

import hashlib
import json

from .crypto import DATA
from .members import (BLOB, BLOB_SIZE, CONFIG, DIFF_ID, DIGEST, INDEX, INDEX_TYPE, LAYERS,
                      MANIFEST, MANIFEST_TYPE, PLATFORM, RECIPE, SIZE, part_length, raw_digest,
                      recipe_item)
from .strict import Refused
from .tree import MAX_ZEROS, RECIPES, REGULAR, check_path, printable

check_item = recipe_item(check_path)


def zeros(n):
    while n:
        piece = min(n, MAX_ZEROS)
        yield bytes(piece)
        n -= piece


def plain(pieces):
    """Byte strings of pieces as Reader.pieces() gives them."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from zeros(piece)


def as_node(stream):
    """A stream as the node of a regular file."""
    members = {10: stream[1], 11: stream.get(2), 12: stream.get(3)}
    return {k: v for k, v in members.items() if v is not None}


def verified(pieces, digest, size, where):
    """The bytes, and at their end that they are those of the digest."""
    h, n = hashlib.new(digest.partition(":")[0]), 0
    for piece in pieces:
        h.update(piece)
        n += len(piece)
        yield piece
    if size is not None and n != size:
        raise Refused(where, f"gives {n} bytes, not {size}")
    if h.digest() != raw_digest(digest):
        raise Refused(where, f"does not give the bytes of {digest}")


class Image:
    """What one snapshot keeps; `nodes` are those of its tree, by path."""

    def __init__(self, reader, snapshot, nodes, where):
        self.reader, self.snapshot, self.nodes, self.where = reader, snapshot, nodes, where
        self.layers = snapshot.get(LAYERS, [])

    def document(self, key, label):
        if key not in self.snapshot:
            raise Refused(self.where, f"has no {label}")
        return b"".join(self.stream(self.snapshot[key], f"{self.where}: {label}"))

    def manifest(self):
        return self.document(MANIFEST, "manifest")

    def config(self):
        return self.document(CONFIG, "config")

    def index(self):
        return self.document(INDEX, "index")

    def stream(self, stream, where):
        return plain(self.reader.pieces(as_node(stream), where))

    def layer(self, number):
        if number >= len(self.layers):
            raise Refused(self.where, f"has no layer {number}")
        return self.layers[number], f"{self.where}: layer {number}"

    def blob(self, number):
        """The blob of a layer as it came, verified as far as something is known of it."""
        layer, where = self.layer(number)
        if BLOB not in layer:
            raise Refused(where, "the blob was not kept")
        where = f"{where}: blob"
        if layer.get(BLOB_SIZE, layer[BLOB][1]) != layer[BLOB][1]:
            raise Refused(where, "the blob's size is not that of its stream")
        pieces = self.stream(layer[BLOB], where)
        return verified(pieces, layer[DIGEST], None, where) if DIGEST in layer else pieces

    # ---- recipes

    def recipe(self, number):
        """The items of a layer's recipe, which add up."""
        layer, where = self.layer(number)
        if RECIPE not in layer:
            raise Refused(where, "cannot be given back")
        items = self.reader.sequence(RECIPES, layer[RECIPE], check_item, where)
        for item in items:
            if isinstance(item, list) and isinstance(item[0], bytes):
                self.check_part(item, where)
        if sum(map(part_length, items)) != layer[SIZE]:
            raise Refused(where, "parts of the recipe do not add up to the layer's size")
        return items

    def check_part(self, item, where):
        path, size = item
        node = self.nodes.get(path)
        if node is None or node[1] != REGULAR:
            raise Refused(where, f"{printable(path)!r} is no regular file of the tree")
        if node.get(10, 0) != size:
            raise Refused(where, f"{printable(path)!r} has another size than the recipe says")

    def archive(self, number):
        """The uncompressed archive of a layer, verified."""
        layer, where = self.layer(number)
        pieces = self.parts(self.recipe(number), where)
        return verified(pieces, layer[DIFF_ID], layer[SIZE], where)

    def parts(self, items, where):
        for item in items:
            if isinstance(item, bytes):
                yield item
            elif type(item) is int:
                yield from zeros(item)
            elif isinstance(item[0], bytes):
                yield from plain(self.reader.pieces(self.nodes[item[0]], where))
            else:
                data = self.reader.get(item[1], DATA, where)
                if len(data) != item[0]:
                    raise Refused(where, "length of a chunk is not the one in the recipe")
                yield data

    # ---- check and listing

    def check(self, record):
        """Everything of an image, with the record of the log that repeats it."""
        streams = {k: self.snapshot[k] for k in (MANIFEST, CONFIG, INDEX) if k in self.snapshot}
        for key, stream in streams.items():
            self.reader.file(as_node(stream), f"{self.where}: member {key}")
        given = b"".join(raw_digest(x[DIFF_ID])[:16] for x in self.layers if RECIPE in x)
        if record.get(13, b"") != given:
            raise Refused(self.where, "layers in the record are not those of the snapshot")
        if self.layers:
            self.check_config()
        for i, layer in enumerate(self.layers):
            if RECIPE in layer:
                for _ in self.archive(i):
                    pass
            if BLOB in layer:
                for _ in self.blob(i):
                    pass
                self.reader.file(as_node(layer[BLOB]), f"{self.where}: layer {i}: blob")

    def check_config(self):
        where = f"{self.where}: config"
        try:
            diff_ids = json.loads(self.config())["rootfs"]["diff_ids"]
        except (ValueError, KeyError, TypeError, RecursionError):
            diff_ids = None
        if not isinstance(diff_ids, list):
            raise Refused(where, "has no diff_ids though there are layers")
        if len(diff_ids) != len(self.layers):
            raise Refused(where, f"has {len(diff_ids)} diff_ids for {len(self.layers)} layers")
        if diff_ids != [x[DIFF_ID] for x in self.layers]:
            raise Refused(where, "diff_ids are not those of the layers")

    def members(self):
        """The members as JSON, with the digests of what they give."""
        out = {}
        for key, label, kind in ((MANIFEST, "manifest", MANIFEST_TYPE), (CONFIG, "config", None),
                                 (INDEX, "index", INDEX_TYPE)):
            if key in self.snapshot:
                contents = self.document(key, label)
                out[label] = {"size": len(contents),
                              "sha256": hashlib.sha256(contents).hexdigest()}
                out[label] |= {"media_type": self.snapshot[kind]} if kind else {}
        if PLATFORM in self.snapshot:
            out["platform"] = self.snapshot[PLATFORM]
        if self.layers:
            out["layers"] = [self.layer_members(i) for i in range(len(self.layers))]
        return out

    def layer_members(self, number):
        names = {1: "diff_id", 2: "size", 4: "digest", 5: "blob_size", 6: "media_type"}
        layer, _ = self.layer(number)
        out = {label: layer[key] for key, label in names.items() if key in layer}
        if RECIPE in layer:
            items = self.recipe(number)
            sorts = {"literals": lambda i: isinstance(i, bytes), "zeros": lambda i: type(i) is int,
                     "chunks": lambda i: isinstance(i, list) and type(i[0]) is int,
                     "files": lambda i: isinstance(i, list) and isinstance(i[0], bytes)}
            out["recipe"] = {k: sum(map(is_it, items)) for k, is_it in sorts.items()}
            digest = hashlib.sha256()
            for piece in self.archive(number):
                digest.update(piece)
            out["recipe"]["sha256"] = digest.hexdigest()
        if BLOB in layer:
            contents = b"".join(self.blob(number))
            out["blob"] = {"size": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
        return out

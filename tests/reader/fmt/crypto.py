"""Hashes, sealing, keys, and the files of a repository (conventions.md, files.md, keys.md)."""

import hashlib
import os
import re

import nacl.bindings as sodium
import nacl.exceptions

from .strict import (Refused, ascending, blob, decode, le32, le64, listof, mapof, seconds, text,
                     tupleof, uint)

MAGIC = b"\x89OCIV2\r\n"
HEADER = 64
TRAILER = 32
TAG = 16
SMALL = 64 << 10
LOG_FILE = 64 << 20
PACK_FILE = 4 << 30
ARGON_KIB = 1 << 20
ARGON_PASSES = 32
MAX_SLOTS = 1000
MAX_EPOCHS = 1024

DATA, TREE, LIST, SIDE, SNAPSHOT = 1, 2, 3, 4, 5
KINDS = {DATA: b"data", TREE: b"tree", LIST: b"list", SIDE: b"side", SNAPSHOT: b"snap"}


def H(person, data):
    return hashlib.blake2b(data, digest_size=32, person=person).digest()


def MAC(key, person, data):
    return hashlib.blake2b(data, digest_size=32, key=key, person=person).digest()


def MAC64(key, person, data):
    return hashlib.blake2b(data, digest_size=64, key=key, person=person).digest()


def object_id(kind, plain):
    return H(b"ociv2 id " + KINDS[kind], plain)


def aead_open(key, nonce, ad, sealed):
    """The plain text, or None when it was not sealed so."""
    try:
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, ad, nonce, key)
    except nacl.exceptions.CryptoError:
        return None


def aead_seal(key, nonce, ad, plain):
    return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, ad, nonce, key)


# ---- files -----------------------------------------------------------------------------------

SEALED = {"F": 0, "K": 0, "R": 0, "L": 1, "M": 1, "P": 1, "S": 1, "C": 1, "H": 1}


class File:
    """A file of a repository after the checks of its header and trailer (files.md)."""

    def __init__(self, root, path, types, number=0, most=None):
        self.where = path
        full = os.path.join(root, path)
        try:
            size = os.stat(full).st_size
            if most is not None and size > most:
                raise Refused(path, f"file has {size} bytes, over the limit of {most}")
            with open(full, "rb") as f:
                data = f.read()
        except OSError as e:
            raise Refused(path, e.strerror) from None
        self.data = data
        if len(data) < HEADER + TRAILER:
            raise Refused(path, "file is too short for a header and a trailer")
        if data[:8] != MAGIC:
            raise Refused(path, "magic is wrong: not a file of a repository")
        self.trailer = data[-TRAILER:]
        if H(b"", data[:-TRAILER]) != self.trailer:
            raise Refused(path, "trailer does not fit: the file is damaged")
        self.header = data[:HEADER]
        self.type = chr(data[8])
        if self.type not in types:
            raise Refused(path, f"type of the file is {self.type!r}, expected {' or '.join(types)}")
        if data[9] != 1:
            raise Refused(path, f"unknown version {data[9]} of the file's type")
        self.kind = data[10]
        if self.kind not in ((1, 2) if self.type == "P" else (0,)):
            raise Refused(path, f"kind {self.kind} in the header is wrong")
        if data[11] != SEALED[self.type]:
            raise Refused(path, f"envelope {data[11]} in the header is wrong")
        self.epoch = int.from_bytes(data[12:16], "little")
        if (self.epoch == 0) != (SEALED[self.type] == 0):
            raise Refused(path, f"key epoch {self.epoch} in the header is wrong")
        self.number = int.from_bytes(data[16:24], "little")
        if self.number != number:
            raise Refused(path, f"number {self.number} in the header is wrong")
        if data[24:32] != bytes(8):
            raise Refused(path, "reserved bytes of the header are not zero")
        self.salt = data[32:64]
        if not SEALED[self.type] and self.salt != bytes(32):
            raise Refused(path, "salt in the header of a clear file is not zero")
        if self.type in "PS" and self.salt.hex() != os.path.basename(path):
            raise Refused(path, "salt in the header is not the name of the file")

    @property
    def body(self):
        return self.data[HEADER:-TRAILER]


class Seal:
    """The keys of one file for one purpose (files.md, sealed bodies)."""

    def __init__(self, purpose_key, repo_id, header):
        keys = MAC64(purpose_key, b"ociv2 file keys", repo_id + header)
        self.key, self.mask_key = keys[:32], keys[32:]
        self.header = header

    def mask(self, i, length):
        m = MAC(self.mask_key, b"ociv2 mask", le64(i))[:4]
        return bytes(a ^ b for a, b in zip(le32(length), m))

    def unmask(self, i, four):
        return int.from_bytes(self.mask(i, int.from_bytes(four, "little")), "little")

    def open(self, i, sealed, where):
        plain = aead_open(self.key, le64(i) + bytes(16), self.header, sealed)
        if plain is None:
            raise Refused(where, f"section {i} does not open: damaged, or not of this repository")
        return plain

    def seal(self, i, plain):
        return aead_seal(self.key, le64(i) + bytes(16), self.header, plain)

    def section(self, i, plain):
        """Masked length and ciphertext."""
        sealed = self.seal(i, plain)
        return self.mask(i, len(sealed)) + sealed


def read_section(file, seal, i, pos, end):
    """The plain text of the section at pos, and where it ends."""
    if pos + 4 > end:
        raise Refused(file.where, f"section {i} is missing or truncated")
    length = seal.unmask(i, file.data[pos:pos + 4])
    if length < TAG or pos + 4 + length > end:
        raise Refused(file.where, f"section {i} is truncated, or its length is wrong")
    return seal.open(i, file.data[pos + 4:pos + 4 + length], file.where), pos + 4 + length


def read_sections(file, seals):
    """The plain texts of all sections; `seals` gives the keys of section i (the last one stays)."""
    pos, end, plains = HEADER, len(file.data) - TRAILER, []
    while pos < end or len(plains) < len(seals):
        seal = seals[min(len(plains), len(seals) - 1)]
        plain, pos = read_section(file, seal, len(plains), pos, end)
        plains.append(plain)
    return plains


# ---- keyring ---------------------------------------------------------------------------------

KEYRING = mapof({
    1: ("repository id", blob(32), True),
    2: ("tag key", blob(32), True),
    3: ("epochs", listof(tupleof(uint((1 << 32) - 1, 1), blob(32)), MAX_EPOCHS), True),
})


class Keyring:
    def __init__(self, plain, where):
        value = decode(plain, where)
        KEYRING(value, f"{where}: keyring")
        self.plain = plain
        self.repo_id = value[1]
        self.tag_key = value[2]
        if [e for e, _ in value[3]] != list(range(1, len(value[3]) + 1)) or not value[3]:
            raise Refused(where, "epochs of the keyring do not ascend from 1")
        self.masters = dict(value[3])

    def purpose(self, purpose, epoch, where):
        if epoch not in self.masters:
            raise Refused(where, f"key epoch {epoch} is not in the keyring")
        return MAC(self.masters[epoch], b"ociv2 key", purpose)

    def seal(self, file, purpose):
        key = self.purpose(purpose, file.epoch, file.where)
        return Seal(key, self.repo_id, file.header)

    def tag(self, chunk_id):
        return H(b"ociv2 tag", self.tag_key + chunk_id)[:16]


# ---- slots -----------------------------------------------------------------------------------

SLOT_TYPE = uint(least=1)
SLOT = {
    1: ("type", SLOT_TYPE, True),
    2: ("salt", blob(16), True),
    5: ("wrapped keyring", blob(least=24 + TAG), True),
    6: ("epoch", uint((1 << 32) - 1, 1), True),
    7: ("description", blob(least=24 + TAG), True),
}
PASSWORD_SLOT = mapof(SLOT | {3: ("passes", uint(ARGON_PASSES, 1), True),
                              4: ("memory", uint(ARGON_KIB, 8), True)})
KEYFILE_SLOT = mapof(SLOT | {8: ("hint", blob(8), True)})
DESCRIPTION = mapof({
    1: ("user", text(), False), 2: ("host", text(), False),
    3: ("created", seconds, True), 4: ("label", text(), False),
})


def read_slot(root, name):
    """A slot's map; None when its type is not known."""
    file = File(root, f"keys/{name}", "K", most=SMALL)
    slot = decode(file.body, file.where)
    if not isinstance(slot, dict) or 1 not in slot:
        raise Refused(file.where, "slot is not a map with a type")
    SLOT_TYPE(slot[1], f"{file.where}: type")
    if slot[1] not in (1, 2):
        return None
    (PASSWORD_SLOT if slot[1] == 1 else KEYFILE_SLOT)(slot, file.where)
    return slot


def unwrap_slot(slot, secret, where):
    """The keyring of a slot; None when the secret is not the slot's."""
    if slot[1] == 1:
        key = sodium.crypto_pwhash_alg(32, secret, slot[2], slot[3], slot[4] * 1024,
                                       sodium.crypto_pwhash_ALG_ARGON2ID13)
    else:
        if slot[8] != MAC(secret, b"ociv2 key hint", b"")[:8]:
            return None
        key = MAC(secret, b"ociv2 slot", slot[2])
    wrapped = slot[5]
    plain = aead_open(key, wrapped[:24], b"ociv2 keyring" + slot[2], wrapped[24:])
    return None if plain is None else Keyring(plain, where)


def check_description(slot, keyring, where):
    key = keyring.purpose(b"slot", slot[6], where)
    plain = aead_open(key, slot[7][:24], b"ociv2 slot" + slot[2], slot[7][24:])
    if plain is None:
        raise Refused(where, "description does not open")
    DESCRIPTION(decode(plain, where), f"{where}: description")


def slot_names(root):
    try:
        names = sorted(os.listdir(os.path.join(root, "keys")))
    except OSError as e:
        raise Refused("keys", e.strerror) from None
    names = [n for n in names if re.fullmatch("[0-9a-f]{32}", n)]
    if len(names) > MAX_SLOTS:
        raise Refused("keys", f"{len(names)} slots, over the limit of {MAX_SLOTS}")
    return names


def unlock(root, slot_type, secret, notes):
    """The keyring of the first slot that the secret opens."""
    bad = None
    for name in slot_names(root):
        where = f"keys/{name}"
        try:
            slot = read_slot(root, name)
            if slot is None or slot[1] != slot_type:
                continue
            keyring = unwrap_slot(slot, secret, where)
        except Refused as e:
            bad = bad or e
            notes.append(f"slot skipped: {e}")
            continue
        if keyring is not None:
            return keyring
    raise bad or Refused("keys", "no slot opens with this password or key file")


def check_code(key):
    return H(b"ociv2 key file", key)[:4].hex()


def parse_key_file(raw, where):
    raw = raw.lstrip()
    m = re.fullmatch(rb"OCIV2-KEY-1-([0-9a-f]{64})-([0-9a-f]{8})",
                     raw[:12] + b"".join(raw[12:].split()))
    if not m:
        raise Refused(where, "is not a key file")
    key = bytes.fromhex(m[1].decode())
    if check_code(key) != m[2].decode():
        raise Refused(where, "check of the key file does not fit")
    return key


def parse_recovery(raw, where):
    raw = raw.lstrip()
    m = re.fullmatch(rb"(OCIV2-RECOVERY-1)-((?:[0-9a-f]{2})+)-([0-9a-f]{8})",
                     raw[:16] + b"".join(raw[16:].split()))
    if not m:
        raise Refused(where, "is not a recovery text")
    plain = bytes.fromhex(m[2].decode())
    if check_code(plain) != m[3].decode():
        raise Refused(where, "check of the recovery text does not fit")
    return Keyring(plain, where)


# ---- config ----------------------------------------------------------------------------------

CONFIG = mapof({
    1: ("format", text(), True), 2: ("repository id", blob(32), True),
    3: ("version", uint(), True), 4: ("features", listof(text()), False),
    5: ("created", seconds, True),
})


class Config:
    def __init__(self, root):
        file = File(root, "config", "F", most=SMALL)
        value = decode(file.body, file.where)
        if isinstance(value, dict) and value.get(1) == "ociv2" and value.get(3) != 1:
            raise Refused(file.where, f"unknown format version {value.get(3)!r}")
        CONFIG(value, file.where)
        if value[1] != "ociv2":
            raise Refused(file.where, "is not the config of an ociv2 repository")
        features = value.get(4, [])
        ascending([f.encode() for f in features], f"{file.where}: features")
        if features:
            raise Refused(file.where, f"unknown feature {features[0]!r}")
        self.repo_id = value[2]
        self.trailer = file.trailer

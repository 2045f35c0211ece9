#!/usr/bin/python3
"""Reads and checks repositories; made from the pages in docs/format alone."""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fmt.check import Repository, check  # noqa: E402
from fmt.strict import Refused  # noqa: E402


DOCUMENTS = ("members", "manifest", "config", "index")


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--password")
    secret.add_argument("--key-file")
    secret.add_argument("--recovery")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list").add_argument("image")
    cat = commands.add_parser("cat")
    cat.add_argument("image")
    cat.add_argument("path")
    for name in DOCUMENTS:
        commands.add_parser(name).add_argument("image")
    for name in ("layer", "blob"):
        part = commands.add_parser(name)
        part.add_argument("image")
        part.add_argument("number", type=int)
    for name in ("images", "log", "check"):
        commands.add_parser(name)
    args = parser.parse_args(argv)
    if args.password is not None:
        args.secret = ("password", os.fsencode(args.password))
    elif args.key_file:
        args.secret = ("key-file", args.key_file)
    else:
        args.secret = ("recovery", args.recovery)
    return args


def hexed(value):
    """A value for JSON: bytes as hex, keys as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [hexed(v) for v in value]
    if isinstance(value, dict):
        return {str(k): hexed(v) for k, v in value.items()}
    return value


def show(value):
    print(json.dumps(value, ensure_ascii=True))


def run(args):
    if args.command == "check":
        repo = check(args.repo, args.secret, lambda note: print(f"note: {note}"))
        state = repo.state
        print(f"ok: {state.number + 1} entries, {len(state.snapshots)} snapshots, "
              f"{len(repo.store.packs)} live packs, {len(repo.store.index)} chunks")
        return
    repo = Repository(args.repo, args.secret)
    for note in repo.notes:
        print(f"note: {note}", file=sys.stderr)
    if args.command == "list":
        for line in list(repo.listing(args.image)):
            show(line)
    elif args.command == "cat":
        path = os.fsencode(args.path).strip(b"/")
        for piece in repo.cat(args.image, path):
            sys.stdout.buffer.write(piece)
    elif args.command == "members":
        show(repo.oci(args.image).members())
    elif args.command in DOCUMENTS:
        sys.stdout.buffer.write(getattr(repo.oci(args.image), args.command)())
    elif args.command in ("layer", "blob"):
        image = repo.oci(args.image)
        pieces = image.archive if args.command == "layer" else image.blob
        for piece in pieces(args.number):
            sys.stdout.buffer.write(piece)
    elif args.command == "images":
        tags = {}
        for name, snap in repo.state.tags.items():
            tags.setdefault(snap, []).append(name)
        for snap, record in sorted(repo.state.snapshots.items()):
            show({"snapshot": snap.hex(), "tags": sorted(tags.get(snap, [])),
                  "record": hexed(record)})
    elif args.command == "log":
        for number in range(repo.log.end + 1):
            entry = repo.log.entry(number)
            show({"number": number, "trailer": entry.trailer.hex(), "marker": entry.marker}
                 | ({} if entry.marker else
                    {"outer": hexed(entry.outer), "inner": hexed(entry.inner)}))


def main(argv):
    args = arguments(argv)
    try:
        run(args)
    except Refused as e:
        print(f"ociv2_reader: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the layers of an image mean, case by case, and which tools see it otherwise.

Each case has layers, the tree that they are (path: contents, "/" for a folder, "-> target"), and
for each tool that disagrees what it makes of them: another tree, or None where it fails. Tools:
ociv2, umoci, podman; `attributes` are what else differs in umoci's tree, as (path, kind).
docs/images.md says why.
"""

from images import entry, folder, link, opaque, symlink, whiteout

BASE = [folder("d"), entry("d/a", b"a"), folder("d/sub"), entry("d/sub/b", b"b"), entry("f", b"f")]
ALL = {"d": "/", "d/a": "a", "d/sub": "/", "d/sub/b": "b", "f": "f"}


def without(*names, **more):
    left = {p: v for p, v in ALL.items()
            if not any(p == n or p.startswith(n + "/") for n in names)}
    return {**left, **more}


CASES = {
    "whiteout": ([BASE, [whiteout("d/a"), whiteout("f")]], without("d/a", "f"), {}),
    "whiteout of a folder": ([BASE, [whiteout("d")]], without("d"), {}),
    "whiteout of nothing": ([BASE, [whiteout("x")]], ALL, {}),
    "whiteout in its own layer, after": (
        [BASE, [entry("f", b"new"), whiteout("f")]], without("f", f="new"),
        {"podman": without("f")}),
    "whiteout in its own layer, before": (
        [BASE, [whiteout("f"), entry("f", b"new")]], without("f", f="new"), {}),
    "whiteout of a folder made again": (
        [BASE, [whiteout("d"), folder("d"), entry("d/c", b"c")]],
        {"f": "f", "d": "/", "d/c": "c"}, {}),
    "whiteout of a folder made again, after": (
        [BASE, [folder("d"), entry("d/c", b"c"), whiteout("d")]],
        {"f": "f", "d": "/", "d/c": "c"}, {"podman": None, "attributes": {("d", "mtime")}}),
    "opaque": ([BASE, [folder("d"), opaque("d"), entry("d/c", b"c")]],
               {"f": "f", "d": "/", "d/c": "c"}, {}),
    "opaque, last": ([BASE, [folder("d"), entry("d/c", b"c"), opaque("d")]],
                     {"f": "f", "d": "/", "d/c": "c"}, {}),
    "opaque without entry": ([BASE, [opaque("d")]], {"f": "f", "d": "/"}, {}),
    "opaque root": ([BASE, [opaque(""), entry("g", b"g")]], {"g": "g"}, {}),
    "opaque of a folder that was none": (
        [BASE, [folder("n"), opaque("n"), entry("n/c", b"c")]], {**ALL, "n": "/", "n/c": "c"}, {}),
    "whiteout in an opaque folder": (
        [BASE, [folder("d"), opaque("d"), whiteout("d/a"), entry("d/c", b"c")]],
        {"f": "f", "d": "/", "d/c": "c"}, {}),
    "opaque keeps its own layer's": (
        [BASE, [entry("d/a", b"new"), opaque("d")]], {"f": "f", "d": "/", "d/a": "new"}, {}),
    "file over folder": ([BASE, [entry("d", b"file")]], {"f": "f", "d": "file"}, {}),
    "folder over file": ([BASE, [folder("f"), entry("f/x", b"x")]],
                         without("f", **{"f": "/", "f/x": "x"}), {}),
    "folder over folder": ([BASE, [folder("d", mode=0o700)]], ALL, {}),
    "link over folder": ([BASE, [symlink("d", "f")]], {"f": "f", "d": "-> f"}, {}),
    "folder over link": ([BASE + [symlink("l", "d")], [folder("l"), entry("l/x", b"x")]],
                         {**ALL, "l": "/", "l/x": "x"}, {}),
    "parent that is a file": ([BASE, [entry("f/x", b"x")]],
                              without("f", **{"f": "/", "f/x": "x"}),
                              {"umoci": None, "podman": None}),
    "parent that is a link": ([BASE + [symlink("l", "d")], [entry("l/x", b"x")]],
                              {**ALL, "l": "-> d", "d/x": "x"},
                              {"ociv2": {**ALL, "l": "/", "l/x": "x"}}),
    "parents that are not there": ([[entry("x/y/z", b"z")]],
                                   {"x": "/", "x/y": "/", "x/y/z": "z"},
                                   {"attributes": {(".", "mtime"), ("x", "mtime"),
                                                   ("x/y", "mtime")}}),
    "hard link to a lower layer": ([BASE, [link("h", "d/a")]], {**ALL, "h": "a"}, {}),
    "hard link to a link": ([BASE + [symlink("l", "f")], [link("h", "l")]],
                            {**ALL, "l": "-> f", "h": "-> f"}, {}),
    "hard link to what goes": ([BASE, [link("h", "d/a"), whiteout("d/a")]],
                               without("d/a", h="a"), {}),
    "hard link to what is replaced": (
        [BASE, [link("h", "f"), entry("f", b"new")]], without("f", f="new", h="f"), {}),
    "replaced twice": ([[entry("f", b"1"), entry("f", b"2"), entry("f", b"3")]], {"f": "3"},
                       {"podman": None}),
    "names that need cleaning": (
        [[folder("./"), folder("./d/"), entry("/d//x", b"x"), entry("d/../y", b"y")]],
        {"d": "/", "d/x": "x", "y": "y"}, {}),
    "whiteout below what became a link": (
        [BASE + [folder("e"), entry("e/a", b"other")], [symlink("d", "e"), whiteout("d/a")]],
        {"f": "f", "d": "-> e", "e": "/", "e/a": "other"},
        dict.fromkeys(("umoci", "podman"), {"f": "f", "d": "-> e", "e": "/"})),
    "whiteout below what became a file": (
        [BASE, [entry("d", b"file"), whiteout("d/a")]], {"f": "f", "d": "file"},
        {"podman": None}),
    "marks of AUFS": ([BASE, [folder(".wh..wh.plnk"), entry(".wh..wh.aufs")]], ALL, {}),
    "the same again, and an empty layer": ([BASE, [], BASE], ALL, {}),
}

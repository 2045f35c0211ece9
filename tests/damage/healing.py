"""What repairs must do for a damaged repository: lose nothing that was whole, and be done with it.

After each case: `repair log`, `repair index` and `repair packs`, in this order. Whatever image could
be restored before can be restored now. Then in one of two ways:
- `repair --from` a whole copy of the repository: every image can be restored.
- the same trees and the same image are stored again, which succeeds and heals what they have, and
  `repair snapshots` gives up the rest.
And a prune runs. In the end check finds nothing.
"""

import shutil

from harness import check

REPAIRS = [("repair", "log"), ("repair", "index"), ("repair", "packs")]
# What nothing heals: who may open the repository, and which it is.
BEYOND = ("config", "keys")


def can_heal(damage):
    return not damage.is_rollback and \
        not any(name.split("/")[0] in BEYOND for name in damage.touched)


class Healing:
    def __init__(self, bench, whole):
        self.bench = bench
        self.original = bench.original
        self.whole = whole  # images that could be restored

    def run(self, *words, codes=(0,)):
        """As a client that remembers nothing: some repairs write another history."""
        shutil.rmtree(self.bench.box.path("blank"), ignore_errors=True)
        result = self.bench.box.run(*words, env=self.bench.forgetful)
        check(result.code in codes, f"HEALING: {result}")
        return result

    def heal(self, has_copy):
        """Returns how it ended, for the statistics."""
        for words in REPAIRS:
            self.run(*words, codes=(0, 3))
        self.are_whole(self.whole)
        images = self.heal_from_copy() if has_copy else self.heal_by_storing()
        self.run("prune", "--keep-grace", "0")
        self.are_whole(images)
        self.run("check", "--read-data")
        if has_copy:
            return "healed from a copy"
        is_all = len(self.whole) == len(self.original.trees)
        return "healed by storing again" if is_all else "gave up an image"

    def are_whole(self, images):
        for image in images:
            self.run("--no-cache", "restore", image, "out")
            self.bench.compare(image.replace(":2", ":1"), True, f"restored {image} after repairs")
            shutil.rmtree(self.bench.box.path("out"))

    def heal_from_copy(self):
        self.run("repair", "--from", self.original.repo, "--from-key-file",
                 self.original.box.path("key"))
        return list(self.original.trees)

    def heal_by_storing(self):
        for name in ("a", "b", "c"):
            self.run("snapshot", self.original.trees[f"{name}:1"], f"{name}:2")
        self.run("import", "--name", "d:2", self.original.source)
        self.run("repair", "snapshots", "--forget", codes=(0, 3))
        return [*self.whole, *(f"{name}:2" for name in "abcd")]

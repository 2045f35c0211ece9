"""What repairs must do for a damaged repository: lose nothing that was whole, and be done with it.

After each case: `repair log`, `repair index` and `repair packs`, in this order. Whatever image could
be restored before can be restored now. Then the same trees and the same image are stored again, which
succeeds and heals what they have, and a prune runs. What `check` still finds is about snapshots of which the damage
took a part that nobody else has.
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
    def __init__(self, bench, damage, whole):
        self.bench = bench
        self.damage = damage
        self.whole = whole  # images that could be restored

    def run(self, *words, codes=(0,)):
        """As a client that remembers nothing: some repairs write another history."""
        shutil.rmtree(self.bench.box.path("blank"), ignore_errors=True)
        result = self.bench.box.run(*words, env=self.bench.forgetful)
        check(result.code in codes, f"HEALING: {result}")
        return result

    def heal(self):
        for words in REPAIRS:
            self.run(*words, codes=(0, 3))
        self.are_whole(self.whole)
        again = self.store_again()
        lost = set(self.bench.original.trees) - set(self.whole)
        self.run("prune", "--keep-grace", "0", codes=(0, 1) if lost else (0,))
        self.are_whole([*self.whole, *again])
        return self.look(lost)

    def are_whole(self, images):
        for image in images:
            self.run("--no-cache", "restore", image, "out")
            self.bench.compare(image.replace(":2", ":1"), True, f"restored {image} after repairs")
            shutil.rmtree(self.bench.box.path("out"))

    def store_again(self):
        original = self.bench.original
        for name in ("a", "b", "c"):
            self.run("snapshot", original.trees[f"{name}:1"], f"{name}:2")
        self.run("import", "--name", "d:2", original.source)
        return [f"{name}:2" for name in "abcd"]

    def look(self, lost):
        """Whether all is well again. If not, something was lost for good, and is named."""
        result = self.run("check", "--read-data", codes=(0, 1))
        check(result.code == 0 or lost, f"HEALING: nothing was lost: {result}")
        return result.code == 0


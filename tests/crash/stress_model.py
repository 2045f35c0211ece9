"""What the stress test knows of the repository: which images must be there, may be, must not be."""

import enum
import threading
from dataclasses import dataclass


class Fate(enum.Enum):
    MADE = 1  # the program said so, and nobody took it away
    UNCLEAR = 2  # who made it, or was forgetting it, was killed
    GONE = 3  # the program said so


@dataclass
class Image:
    name: str
    tree: str  # name of the source tree
    fate: Fate
    pins: int = 0  # by those who rely on its being there
    is_leaving: bool = False  # somebody forgets it at the moment


class Model:
    """Thread-safe. Every image has a name of its own."""

    def __init__(self):
        self.lock = threading.Lock()
        self.images = {}

    def begin(self, name, tree):
        """Somebody starts to make it: until told otherwise it may be there."""
        with self.lock:
            self.images[name] = Image(name, tree, Fate.UNCLEAR)

    def made(self, name):
        with self.lock:
            self.images[name].fate = Fate.MADE

    def doubt(self):
        """Any image may be there or not."""
        with self.lock:
            for image in self.images.values():
                image.fate = Fate.UNCLEAR

    def count(self):
        with self.lock:
            return sum(image.fate == Fate.MADE for image in self.images.values())

    def pin(self, rng):
        """An image that is there and stays until it is unpinned, or None."""
        with self.lock:
            image = self._choose(rng, lambda image: not image.is_leaving)
            if image:
                image.pins += 1
            return image

    def unpin(self, image):
        with self.lock:
            image.pins -= 1

    def leave(self, rng):
        """An image for somebody to forget, or None."""
        with self.lock:
            image = self._choose(rng, lambda image: not image.pins and not image.is_leaving)
            if image:
                image.is_leaving = True
                image.fate = Fate.UNCLEAR
            return image

    def left(self, image, fate):
        with self.lock:
            image.is_leaving = False
            image.fate = fate

    def _choose(self, rng, condition):
        images = [image for image in self.images.values()
                  if image.fate == Fate.MADE and condition(image)]
        return rng.choice(images) if images else None

    def compare(self, found, tree_ids):
        """found: pairs of name and tree id. Returns what contradicts the model, or None."""
        there = dict(found)
        if len(there) != len(found):
            return "an image is there twice"
        for image in self.images.values():
            tree = there.pop(image.name, None)
            if tree is None and image.fate == Fate.MADE:
                return f"LOST: {image.name} was made and is not there"
            if tree is not None and image.fate == Fate.GONE:
                return f"{image.name} was forgotten and is there"
            if tree is not None and tree != tree_ids[image.tree]:
                return f"{image.name} has tree {tree} and not that of {image.tree}"
        return f"nobody made {', '.join(there)}" if there else None

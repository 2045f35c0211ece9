"""How contents are cut: fastcdc-16k-1 (chunking.md)."""

from .crypto import H

MIN, NORMAL, MAX = 4096, 16384, 65536
ZERO_RUN = 65536
MASK64 = (1 << 64) - 1
STRICT, LOOSE = 0xFFFF << 48, 0xFFF << 52
GEAR = [int.from_bytes(H(b"ociv2 gear", bytes([i]))[:8], "little") for i in range(256)]


def next_cut(run, p):
    """Length of the chunk that begins at p of a data run."""
    n = len(run) - p
    if n <= MIN:
        return n
    end = min(n, MAX)
    gear, h = GEAR, 0
    split = min(end, NORMAL)
    for k, byte in enumerate(run[p + MIN:p + split], MIN):
        h = (h << 1) + gear[byte] & MASK64
        if not h & STRICT:
            return k + 1
    for k, byte in enumerate(run[p + split:p + end], split):
        h = (h << 1) + gear[byte] & MASK64
        if not h & LOOSE:
            return k + 1
    return end


def cuts(run):
    """The lengths of the chunks of a data run."""
    lengths, p = [], 0
    while p < len(run):
        lengths.append(next_cut(run, p))
        p += lengths[-1]
    return lengths


def extents(contents):
    """The extents of whole contents: ('zero', length) and ('data', bytes)."""
    result, pos, zeros = [], 0, bytes(ZERO_RUN)
    while pos < len(contents):
        start = contents.find(zeros, pos)
        run_end = len(contents) if start < 0 else start
        run = contents[pos:run_end]
        at = 0
        for length in cuts(run):
            result.append(("data", run[at:at + length]))
            at += length
        pos = run_end
        if start >= 0:
            while contents[pos:pos + ZERO_RUN] == zeros:
                pos += ZERO_RUN
            while pos < len(contents) and contents[pos] == 0:
                pos += 1
            result.append(("zero", pos - start))
    return result

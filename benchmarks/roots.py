"""Root filesystems that the benchmarks use, made by mmdebstrap once and kept.

Two single ones (make_root), and a series: eight Debian 12 images from the release suite alone and
the same eight with updates and security fixes (make_series).
"""

import os
import shutil
import subprocess
import sys
import time

DIRECTORY = "/var/tmp/ociv2-roots"
ROOTS = {
    "build": "build-essential,git,cmake",
    "node": "nodejs,npm",
}

SERIES = {
    "base": "",
    "python": "python3,python3-pip,python3-venv",
    "node": "nodejs,npm",
    "gcc": "gcc,g++,make",
    "jre": "default-jre-headless",
    "nginx": "nginx",
    "postgres": "postgresql",
    "redis": "redis-server",
}
RELEASE = ["deb http://deb.debian.org/debian bookworm main"]
UPDATES = ["deb http://deb.debian.org/debian bookworm-updates main",
           "deb http://deb.debian.org/debian-security bookworm-security main"]
# What is made while installing is as old as this, so that making it again gives the same.
BUILDS = {"released": (RELEASE, 1783900800), "updated": (RELEASE + UPDATES, 1795651200)}
# Places in the root ($1) that differ from one run or machine to the next.
HOOKS = [
    ("essential", 'mkdir -p "$1/etc/postgresql-common" "$1/usr/share/man/man1"; '
                  'echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'),
    ("customize", 'rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1"/var/log/*.log '
                  '"$1"/var/log/apt/* "$1/var/cache/ldconfig/aux-cache"'),
]


def run(command, env=None, check=True, cwd=None):
    """Runs a command; returns its wall time in seconds and what it printed."""
    start = time.monotonic()
    done = subprocess.run(command, env=env, cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    seconds = time.monotonic() - start
    if check and done.returncode:
        sys.exit("%s failed (%d):\n%s" % (" ".join(command), done.returncode,
                                          done.stderr.decode(errors="replace")))
    return seconds, done.stdout.decode(errors="replace")


def size_of(path):
    """Sum of the sizes of all files below a path."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.lstat(os.path.join(top, name)).st_size
               for top, _, names in os.walk(path) for name in names)


def make_root(directory, name):
    path = os.path.join(directory, name)
    if not os.path.isdir(path):
        os.makedirs(directory, exist_ok=True)
        run(["mmdebstrap", "--variant=minbase", "--include=" + ROOTS[name], "bookworm",
             path + ".new"])
        os.rename(path + ".new", path)
    return path


def make_series(directory, report=lambda text: None):
    """Makes what is missing of the series. Returns {"base-released": path, …} of all 16."""
    directory = os.path.join(directory, "series")
    os.makedirs(directory, exist_ok=True)
    paths = {}
    for build, (sources, epoch) in BUILDS.items():
        for name, packages in SERIES.items():
            path = os.path.join(directory, "%s-%s" % (name, build))
            paths[os.path.basename(path)] = path
            if not os.path.isdir(path):
                report("making " + path)
                make_member(path, packages, sources, epoch)
    return paths


def make_member(path, packages, sources, epoch):
    """By way of an archive, in which mmdebstrap caps all times at `epoch`."""
    archive, new = path + ".tar", path + ".new"
    shutil.rmtree(new, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"]
    command += ["--include=" + packages] * bool(packages)
    command += ["--%s-hook=%s" % hook for hook in HOOKS]
    run(command + ["bookworm", archive] + sources,
        env=dict(os.environ, SOURCE_DATE_EPOCH=str(epoch), TMPDIR="/var/tmp"))
    os.mkdir(new)
    run(["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", archive, "-C", new])
    os.unlink(archive)
    os.rename(new, path)

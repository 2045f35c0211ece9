"""What the crash tests share: the trees, the steps, the model of what must be there afterwards."""

import argparse
import hashlib
import multiprocessing
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field

# How the steps are run. Another program gets another table; {program} is the one named with
# --program. What is there afterwards is always read by the driver, whose `verify` reads everything
# and prints it; the commands under "check" must succeed as well. A step that fails with one of the
# codes under "unknown" may have happened; after other failures it must not have.
COMMANDS = {
    "driver": {
        "init": ["{program}", "init"],
        "snapshot": ["{program}", "snapshot", "{tree}", "{name}"],
        "tag": ["{program}", "tag", "{name}", "{new}"],
        "forget": ["{program}", "forget", "{name}"],
        "key add": ["{program}", "key-add", "{file}"],
        "key remove": ["{program}", "key-remove", "{file}"],
        "undo": ["{program}", "undo"],
        "rewrite": ["{program}", "rewrite", "{name}", "{pattern}"],
        "recover": ["{program}", "recover"],
        "prune": ["{program}", "prune"],
        "copy": ["{program}", "copy", "{source}", "{name}"],
        "repair index": ["{program}", "repair-index"],
        "repair log": ["{program}", "repair-log"],
        "repair packs": ["{program}", "repair-packs"],
        "repair from": ["{program}", "repair-from", "{source}"],
        "read": ["{program}", "verify"],
        # Not in the programs for people:
        "set tags": ["{driver}", "tags", "{name}", "{count}"],
        "condemn": ["{driver}", "condemn"],
        "drop": ["{driver}", "drop"],
        "check": [],
        "unknown": [4],
    },
    "ociv2": {
        "init": ["{program}", "init"],
        "snapshot": ["{program}", "--jobs", "1", "snapshot", "{tree}", "{name}"],
        "import": ["{program}", "--jobs", "1", "import", "--name", "{name}", "{image}"],
        "export": ["{program}", "export", "{name}", "{image}"],
        "restore": ["{program}", "--jobs", "2", "restore", "{name}", "{out}"],
        "forget all": ["{program}", "forget", "--all-tags", "{name}"],
        "undo": ["{program}", "undo"],
        "rewrite": ["{program}", "--jobs", "1", "rewrite", "--forget", "-e", "{pattern}", "{name}"],
        "recover": ["{program}", "--jobs", "1", "recover"],
        "prune gently": ["{program}", "prune"],
        "tag": ["{program}", "tag", "{name}", "{new}"],
        "forget": ["{driver}", "forget", "{name}"],
        "key add": ["{program}", "key", "add", "--new-key-file", "{file}"],
        "key remove": ["{driver}", "key-remove", "{file}"],
        "prune": ["{program}", "--jobs", "1", "prune", "--max-unused", "0", "--keep-grace", "0"],
        "copy": ["{program}", "--jobs", "1", "copy", "--from-repo", "{source}", "--from-key-file",
                 "{key}", "{name}"],
        "repair index": ["{program}", "--jobs", "1", "repair", "index"],
        "repair log": ["{program}", "--jobs", "1", "repair", "log"],
        "repair packs": ["{program}", "--jobs", "1", "repair", "packs"],
        "repair from": ["{program}", "--jobs", "1", "repair", "--from", "{source}"],
        "read": ["{program}", "check"],
        "set tags": ["{driver}", "tags", "{name}", "{count}"],
        "condemn": ["{driver}", "condemn"],
        "condemn blindly": ["{driver}", "condemn-blindly", "1500"],
        "drop": ["{driver}", "drop"],
        "verify": ["{driver}", "verify"],
        "read data": ["{program}", "check", "--read-data"],
        "check": ["read data"],
        "unknown": [1, 4],
    },
}

NO_REPOSITORY = 10
TIMEOUT = 120  # seconds: a step that takes so long hangs


@dataclass(frozen=True)
class State:
    """What a repository holds. An absent repository is None."""

    snapshots: tuple = ()  # of (name, tree id), sorted
    tags: tuple = ()  # of (name, tree id), sorted
    keys: int = 1

    @staticmethod
    def parse(text):
        snapshots, tags, keys = [], [], 0
        for line in text.splitlines():
            word, *rest = line.split(" ")
            if word == "snapshot":
                snapshots.append(tuple(rest))
            elif word == "tag":
                tags.append(tuple(rest))
            elif word == "keys":
                keys = int(rest[0])
        return State(tuple(sorted(snapshots)), tuple(sorted(tags)), keys)

    def __str__(self):
        def short(pairs):
            return ", ".join(f"{name} {tree[:8]}" for name, tree in pairs)

        return f"[snapshots {short(self.snapshots)}; tags {short(self.tags)}; {self.keys} keys]"

    def with_tag(self, name, tree):
        tags = dict(self.tags)
        tags[name] = tree
        return State(self.snapshots, tuple(sorted(tags.items())), self.keys)

    def with_snapshot(self, name, tree):
        return self.with_untagged(name, tree).with_tag(name, tree)

    def with_untagged(self, name, tree):
        return State(tuple(sorted([*self.snapshots, (name, tree)])), self.tags, self.keys)

    def without(self, name):
        """Forgets the one snapshot that was made under this name."""
        snapshots = Counter(self.snapshots)
        tree = dict(self.tags)[name]
        snapshots[(name, tree)] -= 1
        tags = tuple(t for t in self.tags if t[0] != name)
        return State(tuple(sorted(snapshots.elements())), tags, self.keys)

    def with_keys(self, keys):
        return State(self.snapshots, self.tags, keys)


@dataclass
class Step:
    command: str
    effect: object = None  # function of a state; None: it stays
    arguments: dict = field(default_factory=dict)
    key: str = "key1"  # opens the repository before and after the step
    in_log: bool = True  # its effect is an entry of the log
    is_quiet: bool = False  # only leads up to the next one: nothing goes wrong here
    environment: dict = field(default_factory=dict)
    how: dict = field(default_factory=dict)  # what the shim is to do in every run of it

    def __str__(self):
        return " ".join([self.command, *(os.path.basename(v) for v in self.arguments.values())])


class Place:
    """A directory with all that a program writes to: repository, cache, memory, temporary files."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.repository = self.path / "repo"

    def make(self):
        self.path.mkdir()
        return self

    def copy_from(self, other):
        subprocess.run(["cp", "-a", other.path, self.path], check=True)
        return self

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Campaign:
    def __init__(self, options):
        self.options = options
        self.commands = COMMANDS[options.commands]
        base = options.directory or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.work = pathlib.Path(os.path.realpath(tempfile.mkdtemp(prefix="ociv2-crash-", dir=base)))
        self.numbers = iter(range(1, 1 << 40))
        self.files = {}
        self.trees = {}  # name to tree id
        self.failures = []
        for key in ("key1", "key2"):
            self.files[key] = str(self.work / key)
            subprocess.run([options.driver, "key-file", self.files[key]], check=True)
        make_trees(self.work)

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)

    def new_path(self):
        return self.work / f"{os.getpid()}-{next(self.numbers)}"

    def learn_trees(self):
        """The tree ids of the sources, from a repository that nothing happened to."""
        place = Place(self.new_path()).make()
        self.must_run(place, Step("init"))
        for tree in ("tree1", "tree2", "tree3"):
            self.must_run(place, snapshot(self, tree, f"{tree}:1"))
        state, problem = self.examine(place, "key1")
        assert not problem, problem
        self.trees = {name.split(":")[0]: tree for name, tree in state.snapshots}
        place.remove()

    # ---- Running ----

    def environment(self, place, key, more):
        env = dict(os.environ)
        env.update(
            OCIV2_REPOSITORY=str(place.repository),
            OCIV2_KEY_FILE=self.files[key],
            XDG_CACHE_HOME=str(place.path / "cache"),
            XDG_STATE_HOME=str(place.path / "state"),
            TMPDIR=str(place.path),
            HOME=str(place.path),
        )
        for name in [name for name in env if name.startswith("CRASH_")]:
            del env[name]
        env.update({name: str(value) for name, value in more.items()})
        return env

    def command(self, step):
        values = {"program": self.options.program, "driver": self.options.driver, **step.arguments}
        return [part.format(**values) for part in self.commands[step.command]]

    def shim(self, place, **how):
        """Environment that preloads the shim: shim(place, at=3, how="kill")."""
        env = {"LD_PRELOAD": self.options.shim, "CRASH_ROOT": place.path}
        # Sanitized programs want to be first.
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        env.update({"CRASH_" + name.upper(): value for name, value in how.items()})
        return env

    def start(self, place, step, env=None, options=()):
        """options: for programs for people, before the command."""
        program, *rest = self.command(step)
        return subprocess.Popen(
            [program, *(options if program == self.options.program else ()), *rest],
            env=self.environment(place, step.key, {**step.environment, **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process):
        """Returns exit code, output and messages; -1000 when it hung."""
        try:
            out, messages = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, messages = process.communicate()
            return -1000, out, messages + "it hangs"
        return process.returncode, out, messages

    def run(self, place, step, env=None):
        return self.finish(self.start(place, step, env))

    def must_run(self, place, step, env=None):
        code, _, messages = self.run(place, step, env)
        if code != 0:
            raise RuntimeError(f"{step}: exit code {code}: {messages}")

    # ---- Judging ----

    def examine(self, place, key):
        """Opens and reads everything. Returns the state and None, or anything and a problem."""
        code, out, messages = self.finish(
            subprocess.Popen(
                [self.options.driver, "verify"],
                env=self.environment(place, key, {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        if code == NO_REPOSITORY and not (place.repository / "config").exists():
            return None, None
        if code != 0:
            return None, f"verify: exit code {code}: {messages.strip()}"
        problem = check_files(place.repository)
        for command in self.commands["check"]:
            code, out_check, messages = self.run(place, Step(command, key=key))
            if code != 0:
                problem = f"{command}: exit code {code}: {messages.strip()} {out_check.strip()}"
        return State.parse(out), problem

    def go_on(self, place, step, before, found):
        """The next run must succeed, whatever had happened. Returns a problem or None."""
        if found is None:
            shutil.rmtree(place.repository, ignore_errors=True)
            step, expected = Step("init"), State()
        elif step.effect and found == before:
            expected = step.effect(before)
        else:
            expected = found.with_snapshot("next:1", self.trees["tree1"])
            step = snapshot(self, "tree1", "next:1", key=step.key)
        code, _, messages = self.run(place, step)
        if code != 0:
            return f"the next run ({step}) failed with exit code {code}: {messages.strip()}"
        state, problem = self.examine(place, step.key)
        if problem:
            return f"after the next run ({step}): {problem}"
        if state != expected:
            return f"after the next run ({step}): {state} instead of {expected}"
        return None

    def run_points(self, points, judge, stop_early=False):
        """Judges all points, several at once. Returns the number of failures."""
        failed = 0
        Work.points, Work.judge = points, judge
        with multiprocessing.get_context("fork").Pool(self.options.jobs) as pool:
            for point, problem in zip(points, pool.imap(judge_one, range(len(points)))):
                if not problem:
                    continue
                failed += 1
                if stop_early:
                    break
                if failed <= 10:
                    print(f"FAILED {point}: {problem}", flush=True)
        return failed

    def report(self, name, points, failed, seconds):
        if points == 0:
            print(f"FAILED {name}: no points: nothing was tested")
            failed = 1
        print(f"{name}: {points} points, {seconds:.1f} s", flush=True)
        return points - min(failed, points), failed

    def expect_failure(self, name, points, judge):
        """A negative control: some point must be found to fail. Returns passed and failed."""
        failed = self.run_points(points, judge, stop_early=True)
        print(f"control, {name}: {'noticed' if failed else 'NOT NOTICED'}", flush=True)
        return (1, 0) if failed else (0, 1)


class Work:
    """What the processes of a pool find when they begin."""

    points = []
    judge = None


def judge_one(number):
    try:
        return Work.judge(Work.points[number])
    except Exception as error:  # a broken test is a failure, too
        return f"{type(error).__name__}: {error}"


# ---- Steps ----


def snapshot(campaign, tree, name, **more):
    return Step(
        "snapshot",
        lambda state: state.with_snapshot(name, campaign.trees[tree]),
        {"tree": str(campaign.work / tree), "name": name},
        **more,
    )


def tag(name, new, **more):
    def effect(state):
        return state.with_tag(new, dict(state.tags)[name])

    return Step("tag", effect, {"name": name, "new": new}, **more)


def forget(name, **more):
    return Step("forget", lambda state: state.without(name), {"name": name}, **more)


def scenario(campaign):
    """The life of a small repository."""
    files = campaign.files
    source = Place(campaign.new_path()).make()
    for step in (Step("init"), snapshot(campaign, "tree2", "img:2")):
        campaign.must_run(source, step)
    copied = {"source": str(source.repository), "name": "img:2", "key": files["key1"]}
    return [
        Step("init", lambda state: State()),
        snapshot(campaign, "tree1", "img:1"),
        snapshot(campaign, "tree2", "img:2", environment={"CRASH_ADOPT": 3}),
        tag("img:1", "img:stable"),
        forget("img:2"),
        Step("undo", lambda s: s.with_snapshot("img:2", campaign.trees["tree2"])),
        forget("img:2", is_quiet=True),
        Step("prune"),
        Step("copy", lambda s: s.with_snapshot("img:2", campaign.trees["tree2"]), copied,
             environment={"CRASH_ADOPT": 3}),
        Step("key add", lambda s: s.with_keys(2), {"file": files["key2"]}, in_log=False),
        Step("key remove", lambda s: s.with_keys(1), {"file": files["key1"]}, "key2", False),
        # So that the next entry brings a checkpoint and takes the oldest one away.
        Step("set tags", None, {"name": "img:1", "count": "fill"}, "key2", is_quiet=True),
        snapshot(campaign, "tree2", "img:3", key="key2"),
        # Without one file it is the third tree.
        Step("rewrite",
             lambda s: s.without("img:3").with_snapshot("img:3", campaign.trees["tree3"]),
             {"name": "img:3", "pattern": "/etc/new"}, "key2"),
        Step("prune", key="key2", is_quiet=True),
        forget("img:3", key="key2", is_quiet=True),
        Step("recover", lambda s: s.with_untagged("img:3", campaign.trees["tree3"]), key="key2"),
    ]


def fill_in_count(campaign, place, step):
    """How many entries are missing to 191: checkpoints are written at 64, 128 and 192."""
    if step.arguments.get("count") != "fill":
        return
    env = campaign.environment(place, step.key, {})
    del env["XDG_CACHE_HOME"], env["XDG_STATE_HOME"]  # leave no traces
    out = subprocess.run([campaign.options.driver, "verify"], env=env, check=True,
                         capture_output=True, text=True).stdout
    entries = int([line.split()[1] for line in out.splitlines() if line.startswith("entries")][0])
    step.arguments["count"] = str(191 - entries)


# ---- Files ----


def check_files(repository):
    """Every file of a repository carries its own hash, so anyone can see whether it is whole."""
    for directory, _, names in os.walk(repository):
        for name in names if os.path.basename(directory) not in ("tmp", "damaged") else []:
            with open(os.path.join(directory, name), "rb") as file:
                data = file.read()
            hash = hashlib.blake2b(data[:-32], digest_size=32).digest()
            if len(data) < 96 or hash != data[-32:]:
                return f"{os.path.join(directory, name)} is damaged"
    return None


def make_trees(work):
    """Root filesystems: the second an update of the first, the third without one of its files."""
    rng = random.Random(1)
    tree = work / "tree1"
    for directory in ("etc", "bin", "lib/modules", "var/empty"):
        (tree / directory).mkdir(parents=True)
    (tree / "etc/hostname").write_text("small\n")
    (tree / "etc/empty").write_bytes(b"")
    (tree / "etc/services").write_text("".join(f"service{i} {i}/tcp\n" for i in range(1500)))
    (tree / "bin/tool").write_bytes(b"\x7fELF\2\1\1" + rng.randbytes(90000))
    (tree / "bin/tool").chmod(0o4755)
    os.link(tree / "bin/tool", tree / "bin/tool2")
    os.symlink("tool", tree / "bin/t")
    for i in range(4):
        (tree / f"lib/modules/m{i}").write_bytes(rng.randbytes(3000 * (i + 1)))
    with open(tree / "var/sparse", "wb") as file:
        file.write(rng.randbytes(5000))
        file.seek(400000)
        file.write(b"end")
    try:
        os.setxattr(tree / "etc/hostname", "user.note", b"kept")
    except OSError:
        pass  # not on every filesystem
    shutil.copytree(tree, work / "tree2", symlinks=True)
    tree2 = work / "tree2"
    (tree2 / "etc/hostname").write_text("another\n")
    (tree2 / "etc/new").write_bytes(rng.randbytes(20000))
    data = bytearray((tree2 / "bin/tool").read_bytes())
    data[1000:1010] = b"0123456789"
    (tree2 / "bin/tool").write_bytes(bytes(data))
    (tree2 / "lib/modules/m1").unlink()
    shutil.copytree(tree2, work / "tree3", symlinks=True)
    (work / "tree3" / "etc/new").unlink()
    for root in (tree, tree2, work / "tree3"):
        for path in [root, *root.rglob("*")]:
            os.utime(path, (1600000000, 1600000000), follow_symlinks=False)
    time.sleep(2.1)  # files that changed within two seconds are not taken from the file table


# ---- The command line ----


def make_parser(description):
    """What the scripts have in common."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", required=True, help="the program crash_driver")
    parser.add_argument("--shim", required=True, help="the library crash_shim.so")
    parser.add_argument("--program", help="what runs the steps (default: the driver)")
    parser.add_argument("--commands", default="driver", choices=sorted(COMMANDS),
                        help="the table of its commands")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--directory", help="where to work (default: /dev/shm)")
    return parser


def read_options(parser):
    options = parser.parse_args()
    for name in ("driver", "shim"):
        setattr(options, name, os.path.realpath(getattr(options, name)))
    options.program = os.path.realpath(options.program) if options.program else options.driver
    return options


def parse_options(description, campaigns):
    parser = make_parser(description)
    parser.add_argument("--all", action="store_true",
                        help="look at every state that a loss of power can leave: takes minutes")
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN",
                        help=f"of {', '.join(campaigns)} (default: all)")
    options = read_options(parser)
    for name in options.campaigns:
        if name not in campaigns:
            parser.error(f"there is no campaign {name}")
    return options


def run_campaigns(options, campaigns):
    """Runs the named campaigns, prints the closing line, returns the exit code."""
    passed = failed = 0
    campaign = Campaign(options)
    try:
        campaign.learn_trees()
        for name, function in campaigns.items():
            if options.campaigns and name not in options.campaigns:
                continue
            for more_passed, more_failed in function(campaign):
                passed += more_passed
                failed += more_failed
    finally:
        campaign.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main(description, campaigns):
    sys.exit(run_campaigns(parse_options(description, campaigns), campaigns))

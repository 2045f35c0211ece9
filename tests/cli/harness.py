"""What the tests of the command line share: a sandbox, running ociv2, counting results.

A test is a function that takes a Sandbox and fails by an exception. Scripts end with
`sys.exit(harness.main(globals()))` and are run as `test_x PROGRAM [NAME...]`: all functions whose
names begin with test_, or those named.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import termios
import time
import traceback

SKIPPED = 77
NOBODY = 65534


class Failure(Exception):
    """What was found is not what should be."""


class Skipped(Exception):
    """The machine lacks what the test needs."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def same(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: found {found!r}, wanted {wanted!r}")


def is_root():
    return os.geteuid() == 0


def need_root():
    if not is_root():
        raise Skipped("needs root")


def need_tools(*names):
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [n for n in names if not shutil.which(n, path=path)]
    if missing:
        raise Skipped("needs " + ", ".join(missing))


def tool(*words, **keywords):
    """Runs another program that must succeed; returns what it prints."""
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                            **keywords)
    if result.returncode:
        raise Failure(f"{words[0]}: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode()


class Result:
    """How a run of ociv2 ended."""

    def __init__(self, words, code, out, err, seconds):
        self.words, self.code, self.out, self.err = words, code, out, err
        self.seconds = seconds

    def __str__(self):
        return f"{' '.join(self.words)}: exit {self.code}\n{self.out[-2000:]}{self.err[-2000:]}"

    def objects(self):
        """The JSON objects on standard output, one to a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def summary(self):
        found = [o for o in self.objects() if o.get("message_type") == "summary"]
        check(len(found) == 1, f"not one summary: {self}")
        return found[0]


class Terminal:
    """A run of ociv2 with a person at a terminal, who sees prompts and messages."""

    def __init__(self, box, args):
        environ = {k: v for k, v in box.environ.items() if k != "OCIV2_KEY_FILE"}
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(box.words(args), stdin=slave, stdout=subprocess.PIPE,
                                        stderr=slave, env=environ, cwd=box.root)
        os.close(slave)
        box.processes.append(self.process)
        self.seen = ""  # everything
        self.rest = ""  # what comes after what was waited for

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def read(self, seconds):
        """Whether there was more to read."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self.master, 4096).decode(errors="replace")
        except OSError:  # nobody is at the other end any more
            more = ""
        self.seen += more
        self.rest += more
        return more != ""

    def wait_for(self, text):
        while text not in self.rest:
            check(self.read(20), f"no {text!r} in {self.seen!r}")
        self.rest = self.rest.partition(text)[2]

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """The exit code; what is printed last stands in `rest`."""
        while self.read(20):
            pass
        code = self.process.wait(20)
        os.close(self.master)
        return code


class Sandbox:
    """A folder of its own with a repository, a key file, and nothing of the user's."""

    def __init__(self, program):
        self.program = program
        self.root = tempfile.mkdtemp(prefix="ociv2-cli-", dir=roomy_folder())
        self.repo = self.path("repo")
        self.mounts = []
        self.processes = []
        os.chmod(self.root, 0o755)
        for name in ("home", "cache", "state"):
            os.mkdir(self.path(name))
        names = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                 "TSAN_OPTIONS")
        self.environ = {n: os.environ[n] for n in names if n in os.environ}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            self.environ.setdefault(name, "exitcode=99")  # no code of the program
        self.environ["PATH"] = self.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        self.environ.update(HOME=self.path("home"), XDG_CACHE_HOME=self.path("cache"),
                            XDG_STATE_HOME=self.path("state"), OCIV2_KEY_FILE=self.path("key"),
                            TZ="UTC")

    def path(self, *names):
        return os.path.join(self.root, *names)

    # ---- Running ----

    def words(self, args, repo=None, user=None):
        words = [self.program]
        if repo is not False:
            words += ["-r", repo or self.repo]
        words += [str(a) for a in args]
        if user is not None:
            words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] + words
        return words

    def run(self, *args, repo=None, env=None, user=None, timeout=60, stdin=b"", cwd=None):
        """repo: another repository, or False for none. user: number of the user to run as."""
        words = self.words(args, repo, user)
        environ = dict(self.environ, **(env or {}))
        environ = {k: v for k, v in environ.items() if v is not None}
        started = time.monotonic()
        try:
            done = subprocess.run(words, input=stdin, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=environ, cwd=cwd or self.root,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise Failure(f"hangs: {' '.join(words)}") from None
        out, err = (b.decode("utf-8", "surrogateescape") for b in (done.stdout, done.stderr))
        return Result(words, done.returncode, out, err, time.monotonic() - started)

    def expect(self, code, *args, **keywords):
        result = self.run(*args, **keywords)
        if result.code != code:
            raise Failure(f"wanted exit {code}: {result}")
        return result

    def ok(self, *args, **keywords):
        return self.expect(0, *args, **keywords)

    def summary(self, *args, code=0, **keywords):
        return self.expect(code, "--json", *args, **keywords).summary()

    def start(self, *args, repo=None):
        """A process in the background; ended with the sandbox if need be."""
        process = subprocess.Popen(self.words(args, repo), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environ, cwd=self.root)
        self.processes.append(process)
        return process

    def terminal(self, *args):
        """The same at a terminal, without a key file: a password will be asked for."""
        return Terminal(self, args)

    def init(self, repo=None):
        if not os.path.exists(self.path("key")):
            self.ok("key", "generate", "key", repo=False)
        self.ok("init", repo=repo)

    def tree_id(self, path, *args, **keywords):
        """The tree id a directory would have; nothing is stored."""
        keywords.setdefault("timeout", 120)
        return self.summary("snapshot", "--dry-run", *args, path, "t", **keywords)["tree_id"]

    # ---- Making ----

    def folder(self, *names):
        path = self.path(*names)
        os.makedirs(path, exist_ok=True)
        return path

    def file(self, path, contents=b""):
        path = self.path(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(contents)
        return path

    def mount(self, *words):
        """mount WORDS...; the last is the folder."""
        need_root()
        folder = words[-1]
        os.makedirs(folder, exist_ok=True)
        result = subprocess.run(("mount",) + words, stderr=subprocess.PIPE, check=False)
        if result.returncode:
            raise Skipped("cannot mount: " + result.stderr.decode(errors="replace").strip())
        self.mounts.append(folder)
        return folder

    def loop_filesystem(self, kind, size="1G"):
        """A new filesystem of this kind; its folder."""
        need_root()
        need_tools(f"mkfs.{kind}")
        image = self.path(f"{kind}.image")
        tool("truncate", "-s", size, image)
        tool("mkfs." + kind, "-q", image, env=self.environ)
        return self.mount("-o", "loop", image, self.path(f"{kind}.mount"))

    # ---- Cleaning up ----

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for folder in reversed(self.mounts):
            subprocess.run(["umount", "-l", folder], stderr=subprocess.DEVNULL, check=False)
        remove = ["rm", "-rf", self.root]
        if subprocess.run(remove, stderr=subprocess.DEVNULL, check=False).returncode:
            subprocess.run(["chattr", "-R", "-f", "-i", "-a", self.root], check=False,
                           stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            subprocess.run(["chmod", "-R", "-f", "u+rwx", self.root], check=False)
            subprocess.run(remove, check=False)


def roomy_folder():
    """Memory when there is much of it, else the usual place."""
    given = os.environ.get("OCIV2_TEST_FOLDER")
    if given:
        return given
    try:
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize > 3 << 30 and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    except OSError:
        pass
    return tempfile.gettempdir()


def describe(error):
    if isinstance(error, Failure):
        return str(error)
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def run_one(program, name, function):
    """None, or the way in which it did not pass."""
    started = time.monotonic()
    box = Sandbox(program)
    try:
        function(box)
        outcome = None
        print(f"passed  {name} ({time.monotonic() - started:.1f} s)", flush=True)
    except Skipped as e:
        outcome = e
        print(f"skipped {name}: {e}", flush=True)
    except Exception as e:  # pylint: disable=broad-except
        outcome = e
        print(f"FAILED  {name}: {describe(e)}", flush=True)
    finally:
        box.close()
    return outcome


def main(functions):
    if len(sys.argv) < 2:
        print(f"usage: {sys.argv[0]} PROGRAM [NAME...]", file=sys.stderr)
        return 2
    program, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    os.umask(0o022)
    tests = {n: f for n, f in functions.items() if n.startswith("test_") and callable(f)}
    unknown = [n for n in wanted if n not in tests]
    if unknown:
        print("no such test: " + ", ".join(unknown), file=sys.stderr)
        return 2
    outcomes = [run_one(program, n, tests[n]) for n in wanted or tests]
    skipped = sum(isinstance(o, Skipped) for o in outcomes)
    failed = sum(o is not None for o in outcomes) - skipped
    print(f"{len(outcomes) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    if failed:
        return 1
    return SKIPPED if skipped == len(outcomes) else 0

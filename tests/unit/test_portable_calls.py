"""The package calls nothing that Windows lacks, except where it first asks whether it is there, and names the
encoding of every text: that of Windows is not UTF-8."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = (Path(__file__).parents[2] / "src" / "sonimate", Path(__file__).parents[2] / "comfy")
POSIX_MODULES = {
    "crypt",
    "fcntl",
    "grp",
    "nis",
    "posix",
    "pty",
    "pwd",
    "resource",
    "spwd",
    "syslog",
    "termios",
    "tty",
}
NAMES_OF_MODULES = """
os: O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE
    WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG WTERMSIG chown chroot confstr copy_file_range ctermid
    eventfd fchdir fchmod fchown fdatasync fork forkpty fstatvfs getegid geteuid getgid getgroups
    getloadavg getpgid getpgrp getpriority getresuid getuid getxattr killpg lchown lockf major makedev
    memfd_create minor mkfifo mknod nice openpty pathconf pipe2 posix_fadvise posix_fallocate posix_spawn
    pread preadv pwrite pwritev readv sched_getaffinity sched_setaffinity sched_yield sendfile setegid
    seteuid setgid setpgid setpriority setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp uname
    unshare wait wait3 wait4 waitid writev
signal: ITIMER_REAL SIGALRM SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP
    SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH SIG_BLOCK SIG_SETMASK SIG_UNBLOCK alarm getitimer pause
    pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
socket: AF_UNIX SO_REUSEPORT recv_fds send_fds socketpair
time: clock_settime pthread_getcpuclockid tzset
"""
POSIX_NAMES = {
    module: set(names.split()) for module, names in re.findall(r"(?m)^(\w+):((?:.|\n )*)", NAMES_OF_MODULES)
}
POSIX_ARGUMENTS = {"preexec_fn", "pass_fds", "extra_groups"}
"""Keywords of subprocess that Windows refuses; it ignores others, such as start_new_session."""
POSIX_METHODS = {"add_signal_handler", "remove_signal_handler"}
"""Of event loops: asyncio's on Windows raises NotImplementedError."""
POSIX_PATHS = ("/dev/", "/proc/", "/tmp", "/var/", "/etc/")
GUARDING_ERRORS = {"ImportError", "ModuleNotFoundError", "AttributeError", "NotImplementedError", "OSError"}


TEXT_METHODS = {"read_text": 0, "write_text": 1}
"""Of paths, and how many arguments each has without the encoding."""


def is_guarded(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether the node stands in a `try` that expects its absence, or under a question for the platform."""
    while node in parents:
        child, node = node, parents[node]
        if isinstance(node, ast.Try) and child in node.body:
            caught = {
                name.id
                for handler in node.handlers
                for name in ast.walk(handler.type or ast.Pass())
                if isinstance(name, ast.Name)
            }
            if caught & GUARDING_ERRORS:
                return True
        if isinstance(node, ast.With):
            for item in node.items:
                words = {name.id for name in ast.walk(item.context_expr) if isinstance(name, ast.Name)}
                if "suppress" in words and words & GUARDING_ERRORS:
                    return True
        if isinstance(node, ast.If | ast.IfExp):
            asked = ast.unparse(node.test)
            if any(word in asked for word in ("hasattr", "sys.platform", "os.name")):
                return True
        if isinstance(node, ast.comprehension | ast.GeneratorExp | ast.ListComp) and "hasattr" in ast.unparse(
            node
        ):
            return True
    return False


def posix_only(source: str) -> Iterator[str]:
    """What a module uses without a guard, with the line."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    documentation = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name in POSIX_MODULES]
        elif isinstance(node, ast.ImportFrom):
            if node.module in POSIX_MODULES:
                found = [node.module]
            found += [
                alias.name for alias in node.names if alias.name in POSIX_NAMES.get(node.module or "", ())
            ]
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in POSIX_NAMES.get(owner, ()) or node.attr in POSIX_METHODS:
                found = [node.attr]
        elif isinstance(node, ast.keyword):
            found = [node.arg] if node.arg in POSIX_ARGUMENTS else []
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            first = node.args[0] if node.args else None
            if TEXT_METHODS.get(name) == len(node.args) and "encoding" not in {
                it.arg for it in node.keywords
            }:
                found = [f"{name} without encoding"]
            if name in ("get_context", "set_start_method") and isinstance(first, ast.Constant):
                found = [str(first.value)] if first.value in ("fork", "forkserver") else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            found = [node.value] if node.value.startswith(POSIX_PATHS) else []
        if found and not is_guarded(node, parents):
            yield from (f"{getattr(node, 'lineno', 0)}: {name}" for name in found)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "import fcntl",
        "from resource import getrusage",
        "import signal\nsignal.signal(signal.SIGHUP, print)",
        "from os import O_DIRECT",
        "subprocess.Popen(line, preexec_fn=os.setsid)",
        "multiprocessing.get_context('fork')",
        "open('/dev/null')",
        "path.read_text()",
        "path.write_text(text)",
        "try:\n    import fcntl\nfinally:\n    pass",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert list(posix_only(source))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
        "if hasattr(os, 'nice'):\n    os.nice(5)",
        "if sys.platform != 'win32':\n    import fcntl",
        "numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]",
        "with suppress(OSError):\n    open('/proc/self/status')",
        "multiprocessing.get_context('spawn')",
        "path.write_text(text, encoding='utf-8')",
    ],
)
def test_the_search_accepts_guards(source: str) -> None:
    assert not list(posix_only(source))


def test_the_package_calls_nothing_that_other_systems_lack() -> None:
    found = {
        f"{path.name}:{use}"
        for package in PACKAGES
        for path in package.rglob("*.py")
        for use in posix_only(path.read_text(encoding="utf-8"))
    }
    assert not found

"""The launcher, `underlay` at the root, in a checkout of its own with stand-in system commands."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from barrier import Point

ROOT = Path(__file__).resolve().parents[2]
PYTHON = '#!/bin/sh\nprintf "%s|" "$PYTHONPATH" "$PWD" "$@"\n'
STAMP = (
    'sum() { set -- $(sha256sum <"$1"); printf %s "$1"; }; printf "%s %s %s\\n%s\\n"'
    ' "$(sum requirements.txt)" "$(readlink -f /usr/bin/python3)" "$PWD" "$(sum packages.txt)"'
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with the launcher and no .venv, in a path that holds a space."""
    root = tmp_path.resolve() / "a checkout"
    (root / "src").mkdir(parents=True)
    for name in ("underlay", "packages.txt", "requirements.txt", "src/first-use.sh"):
        shutil.copy(ROOT / name, root / name)
    (tmp_path / "bin").mkdir()
    return root


def stand_in(checkout: Path, name: str, text: str) -> None:
    file = checkout.parent / "bin" / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def make_ready(checkout: Path) -> None:
    """Make a .venv whose python prints what it was called with."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    stamp = subprocess.run(["sh", "-c", STAMP], cwd=checkout, capture_output=True, timeout=10)
    (checkout / ".venv" / "stamp").write_bytes(stamp.stdout)


def launch(
    checkout: Path, *arguments: str, program: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    path = f"{checkout.parent / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": "elsewhere"}
    return subprocess.run(
        [program or checkout / "underlay", *arguments],
        cwd=cwd or checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_ready_checkout_starts_at_once(checkout: Path) -> None:
    make_ready(checkout)
    link = checkout.parent / "link"
    link.symlink_to(checkout / "underlay")
    result = launch(checkout, "exec", "core-01", "--", "two words", program=link, cwd=Path("/"))
    assert result.stdout.split("|") == [
        f"{checkout}/src:elsewhere", "/", "-P", "-m", "underlay", "exec", "core-01", "--",
        "two words", "",
    ]  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


def test_changed_list_is_noticed(checkout: Path) -> None:
    make_ready(checkout)
    with (checkout / "packages.txt").open("a") as file:
        file.write("nonsuch  no-such-command  proves that this is read\n")
    stand_in(checkout, "id", "echo 1000")
    stand_in(checkout, "sudo", "exit 1")
    result = launch(checkout, "status", "--json")
    assert result.returncode == 3
    command = "apt-get update && apt-get install -y --no-install-recommends nonsuch"
    assert json.loads(result.stdout) == {
        "error": "installing them needs root",
        "hint": f"sudo sh -c '{command}'",
    }
    assert result.stderr.splitlines() == [
        "underlay: these system packages are missing:",
        "underlay:   nonsuch proves that this is read",
        "error: installing them needs root",
        "",
        f"hint: sudo sh -c '{command}'",
    ]


def test_root_installs_what_is_missing(checkout: Path) -> None:
    make_ready(checkout)
    log = checkout.parent / "apt"
    (checkout / "packages.txt").write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 0")
    stand_in(checkout, "apt-get", f'echo "$@" >> "{log}"')
    result = launch(checkout, "--version")
    assert result.returncode == 0
    assert result.stdout.endswith("|--version|")
    update, install = log.read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install -y --no-install-recommends nonsuch")
    assert launch(checkout, "--version").stderr == ""


def test_failing_apt_shows_its_last_lines(checkout: Path) -> None:
    make_ready(checkout)
    (checkout / "packages.txt").write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 0")
    stand_in(checkout, "apt-get", "echo E: Unable to locate package nonsuch; exit 100")
    result = launch(checkout, "--version")
    assert (result.returncode, result.stdout) == (3, "")
    assert "E: Unable to locate package nonsuch\n" in result.stderr
    assert "error: apt-get could not install: nonsuch\n" in result.stderr
    assert "bundle" not in result.stderr


def test_without_network_a_bundle_is_named(checkout: Path) -> None:
    make_ready(checkout)
    (checkout / "packages.txt").write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 0")
    stand_in(checkout, "apt-get", "echo Temporary failure resolving a mirror; exit 100")
    result = launch(checkout, "--version", "--json")
    assert result.returncode == 3
    hint = json.loads(result.stdout)["hint"]
    assert hint.startswith("this machine seems to have no network; a bundle brings all")
    assert "here ./underlay bundle install FILE" in hint


def test_a_bundle_makes_a_bare_checkout_ready(checkout: Path, tmp_path: Path) -> None:
    """Nothing is installed that could read it: its own script is run, for this checkout."""
    script = 'echo "$1"; ls -A "${0%/*}" | tr "\\n" " "; exit 3'
    bundle = tmp_path / "a bundle.tar"
    with tarfile.open(bundle, "w") as tar:
        for name, text in (("install", script), ("SHA256SUMS", "")):
            entry = tarfile.TarInfo(f"top/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    stand_in(checkout, "apt-get", "exit 1")
    for words, into in (([], str(checkout)), (["--into", "elsewhere"], "elsewhere")):
        result = launch(checkout, "bundle", "install", str(bundle), *words)
        assert (result.returncode, result.stdout) == (3, f"{into}\nSHA256SUMS install ")
        assert not (checkout / ".venv").exists()
        assert not (checkout / ".underlay").exists()


def test_what_is_no_bundle_is_refused_by_a_bare_checkout(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "other.tar").write_text("other")
    result = launch(checkout, "bundle", "install", str(tmp_path / "other.tar"))
    assert result.returncode == 3
    assert "other.tar can't be unpacked" in result.stderr


SO_FAR = 'root=.; . src/first-use.sh; venv=.venv log=log; "$so_far"; so_far=pip_so_far; "$so_far"'
COLLECTING = (
    "Collecting rich==14.3.3 (from -r requirements.txt (line 5))\n"
    "  Downloading rich-14.3.3-py3-none-any.whl (310 kB)\n"
)
INSTALLING = "Installing collected packages: mdurl, markdown-it-py, rich\n"


@pytest.mark.parametrize(
    ("said", "there", "told"),
    [
        ("", [], "fetched 0 of 3 packages"),
        (COLLECTING, ["pip-25.1.dist-info"], "fetched 1 of 3 packages: rich"),
        (COLLECTING + INSTALLING, ["pip-25.1.dist-info"], "installed 0 of 3 packages"),
        (
            COLLECTING + INSTALLING,
            ["pip-25.1.dist-info", "mdurl", "mdurl-0.1.2.dist-info", "markdown_it_py-4.dist-info"],
            "installed 2 of 3 packages: markdown_it_py",
        ),
    ],
)
def test_a_first_use_counts_what_pip_has_installed(
    checkout: Path, said: str, there: list[str], told: str
) -> None:
    (checkout / "requirements.txt").write_text(
        "# made\nmarkdown-it-py==4 \\\n    --hash=sha256:0\nmdurl==0.1.2\n    # via rich\nrich==1\n"
        "colorama==0.4.6 ; sys_platform == 'win32'\n"
    )
    packages = checkout / ".venv" / "lib" / "python3.13" / "site-packages"
    packages.mkdir(parents=True)
    for when, name in enumerate(there):
        (packages / name).mkdir()
        os.utime(packages / name, (when, when))
    (checkout / "log").write_text(f"+ pip install\n{said}")
    done = subprocess.run(
        ["sh", "-euc", SO_FAR], cwd=checkout, capture_output=True, text=True, timeout=30
    )
    last = (said or "+ pip install").splitlines()[-1]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{last}\n{told}\n", "")


def test_closed_streams_are_opened(checkout: Path) -> None:
    make_ready(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nfor n in 0 1 2; do readlink /proc/self/fd/$n; done >../seen\n")
    done = subprocess.run(["sh", "-c", "./underlay <&- >&- 2>&-"], cwd=checkout, timeout=30)
    assert done.returncode == 0
    assert (checkout.parent / "seen").read_text().splitlines()[0] == "/dev/null"


def test_what_cannot_be_written_says_what_to_do(checkout: Path) -> None:
    # Root may write everywhere: a file is in the place of the folder.
    (checkout / ".underlay").touch()
    done = launch(checkout, "up", "--json")
    assert done.returncode == 3
    assert "its first use makes .venv and .underlay there" in done.stderr
    assert f"git clone '{checkout}' ~/underlay && ~/underlay/underlay" in done.stderr
    assert json.loads(done.stdout)["hint"].startswith("whoever may write there")


def test_foreign_folder_is_left_alone(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "precious").touch()
    (checkout / "packages.txt").write_text("")
    result = launch(checkout, "--version")
    assert result.returncode == 3
    assert "is not a virtual environment, so it was left alone\n" in result.stderr
    assert (checkout / ".venv" / "precious").exists()


def test_two_first_uses_wait_for_each_other(checkout: Path) -> None:
    make_ready(checkout)
    (checkout / "packages.txt").write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 0")
    log = checkout.parent / "apt"
    installing = Point(checkout.parent / "installing")
    stand_in(checkout, "apt-get", f'{installing.script}echo "$@" >> "{log}"')
    command = [checkout / "underlay", "--version"]
    environment = {**os.environ, "PATH": f"{checkout.parent / 'bin'}:{os.environ['PATH']}"}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=environment, stdout=-3, stderr=subprocess.PIPE, text=True
        )

    first = start()
    installing.wait(lambda: first.poll() is None)
    second = start()
    assert second.stderr is not None
    assert "waiting for another first use" in second.stderr.readline()
    installing.release()
    said = [process.communicate(timeout=30)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert "waiting for another first use" not in "".join(said)
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (("up", "coreos", "--provider", "libvirt"), True),
        (("up", "--provider=libvirt"), True),
        (("up", "coreos"), False),
        (("exec", "core-01", "--", "echo", "--provider", "libvirt"), False),
        (("test",), True),
        (("test", "--all"), True),
        (("test", "--all", "--layer", "cluster"), True),
        (("test", "--layer", "unit"), False),
        (("test", "--layer=golden"), False),
    ],
)
def test_packages_of_libvirt_only_where_it_is_asked_for(
    checkout: Path, words: tuple[str, ...], asks: bool
) -> None:
    make_ready(checkout)
    log = checkout.parent / "apt"
    (checkout / "packages-libvirt.txt").write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 0")
    stand_in(checkout, "apt-get", f'echo "$@" >> "{log}"')
    assert launch(checkout, *words).returncode == 0
    assert log.exists() is asks
    log.unlink(missing_ok=True)
    assert launch(checkout, *words).stderr == ""
    assert launch(checkout, "--version").stderr == ""
    assert not log.exists()


def test_two_lists_of_packages_are_installed_after_one_update(checkout: Path) -> None:
    make_ready(checkout)
    log = checkout.parent / "apt"
    for name in ("packages.txt", "packages-libvirt.txt"):
        (checkout / name).write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 0")
    stand_in(checkout, "apt-get", f'echo "$@" >> "{log}"')
    assert launch(checkout, "test").returncode == 0
    words = [line.split() for line in log.read_text().splitlines()]
    assert ["update" in each for each in words] == [True, False, False]
    assert ["install" in each for each in words] == [False, True, True]


def test_an_ordinary_user_tests_without_libvirt(checkout: Path) -> None:
    make_ready(checkout)
    (checkout / "packages-libvirt.txt").write_text("nonsuch  no-such-command  is missing\n")
    stand_in(checkout, "id", "echo 1000")
    result = launch(checkout, "test", "--all")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("exit 9", 3, "is Python 3.9.2, Underlay needs 3.11"),
        ("kill -INT $$", 130, "underlay: interrupted"),
        ("kill -TERM $$", 130, "underlay: interrupted"),
        ("echo no library >&2; exit 1", 3, "doesn't start: exit code 1"),
    ],
    ids=["old", "interrupted", "ended", "broken"],
)
def test_only_its_own_answer_says_that_python_is_too_old(
    checkout: Path, script: str, code: int, said: str
) -> None:
    (checkout / "packages.txt").write_text("")
    python = checkout.parent / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in\n--version) echo Python 3.9.2 ;;\n*) {script} ;;\nesac\n'
    )
    python.chmod(0o755)
    launcher = checkout / "underlay"
    text = launcher.read_text()
    launcher.write_text(
        text.replace("system_python=/usr/bin/python3\n", f"system_python='{python}'\n")
    )
    done = launch(checkout, "--version")
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert ("Underlay needs" in done.stderr) == (script == "exit 9")
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_first_use_leaves_no_temporary_files(
    checkout: Path, number: int, tmp_path: Path
) -> None:
    """pip has a folder of its own among the temporary files, and leaves it where it is ended."""
    for name in ("packages.txt", "requirements.txt"):
        (checkout / name).write_text("")
    pip = Point(tmp_path / "pip")
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f'*" venv "*) mkdir "$4/bin"; cp "{python}" "$4/bin/python"; mktemp -d >/dev/null ;;\n'
        f'*" pip "*) mktemp -d >"{tmp_path}/made"; {pip.script.strip()} ;;\nesac\n'
    )
    python.chmod(0o755)
    launcher = checkout / "underlay"
    text = launcher.read_text()
    assert "system_python=/usr/bin/python3\n" in text
    launcher.write_text(
        text.replace("system_python=/usr/bin/python3\n", f"system_python='{python}'\n")
    )
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [launcher, "--version"],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pip.wait(lambda: process.poll() is None)
    made = Path((tmp_path / "made").read_text().strip())
    assert made.is_dir()
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.splitlines()[-1]) == (130, "underlay: interrupted")
    assert not made.exists()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (checkout / ".venv" / "tmp").exists()

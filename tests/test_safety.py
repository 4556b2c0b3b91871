"""What SECURITY.md says: no code from data, no network, files stay in the project, closed servers.

Nothing is unpickled or made into code. Nothing is fetched. What is written lies in the project, in
the folder of the caller, or in caches. The servers of the Makefile listen to this machine alone and
ask for a token.
"""

import ast
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, write_notebook
from test_project import pins

# -------------------------------------------------------------------------------- no code from data

PROGRAMS = [
    ROOT / "growlib.py",
    *(ROOT / "growkit").rglob("*.py"),
    *(ROOT / "tools").glob("*.py"),
    *(ROOT / "tests/benchmarks").glob("*.py"),
]
UNSAFE = re.compile(
    r"(pickle|joblib|dill|marshal|shelve)\."
    r"|read_pickle"
    r"|torch\.load\((?!.*weights_only=True)"
    r"|yaml\.(unsafe_)?load\("
    r"|allow_pickle=True"
    r"|shell=True"
    r"|os\.system"
)


def calls(text):
    """Return the calls of a program, as its text has them, by the name of what is called."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found.setdefault(ast.unparse(node.func), []).append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_or_made_into_code(path):
    text = path.read_text()
    assert not UNSAFE.findall(text)
    called = calls(text)
    assert not {"eval", "exec", "compile", "__import__"} & called.keys()
    for call in called.get("np.load", []):
        assert "allow_pickle=False" in call


def test_nothing_unsafe_is_in_the_notebooks():
    magic = re.compile(r"(?<![.\w])(eval|exec)\(|^\s*[!%]", re.MULTILINE)
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                text = "".join(cell["source"])
                assert not UNSAFE.search(text), path.name
                assert not magic.search(text), path.name


# ----------------------------------------------------------------- no network, files in the project

# Python imports this as sitecustomize: it refuses what leads to another machine, and records it.
WATCH = """
import os
import sys

LOCAL = ("127.0.0.1", "::1", "localhost", "", None)


def refuse_the_network(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        address = arguments[1]
        if not isinstance(address, tuple):
            return
        host = address[0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in LOCAL:
        with open(os.environ["WATCHED"], "a") as file:
            print(event, host, sys.argv[:2], file=file)
        raise OSError("the network is not for this")


sys.addaudithook(refuse_the_network)
"""
WORK = """
import growlib
from growkit import figures, studies

if __name__ == "__main__":
    run = growlib.fit("cubic-1", trials=4, epochs=20)
    run.save("run.npz")
    growlib.load("run.npz")
    grid = {"task": "cubic-1", "trials": 4, "epochs": 20, "compiled": False}
    studies.study("sweep", grid, workers=1)
    figure, axes = figures.new_figure()
    figures.plot_histories(run.history, axes[0, 0])
    figures.save_figure(figure, "figure", growlib.HOME / "figures")
    studies.stored("figure-2")
"""
FOLDERS = ("project", "caller", "home", "temporary")


@pytest.fixture
def apart(tmp_path):
    """A folder that holds `FOLDERS` and a record of the network's use, and an environment there."""
    for name in (*FOLDERS, "watch"):
        (tmp_path / name).mkdir()
    (tmp_path / "project/data").symlink_to(ROOT / "data")
    (tmp_path / "watch/sitecustomize.py").write_text(WATCH)
    environment = os.environ | {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "WATCHED": str(tmp_path / "watch/asked.txt"),
        "PYTHONPATH": f"{tmp_path}/watch:{ROOT}",
        "GROWLIB_HOME": str(tmp_path / "project"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    return tmp_path, environment


def without_network():
    """Return the command that starts a program without a network, or nothing if not permitted."""
    command = ["unshare", "--net"]
    if os.geteuid():
        command += ["--user", "--map-root-user"]
    permitted = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if permitted else []


def test_nothing_is_fetched_and_files_stay_in_the_project(apart, record_fault):
    folder, environment = apart
    prefix = without_network()
    said = subprocess.run(
        [*prefix, sys.executable, "-c", WORK],
        cwd=folder / "caller",
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 0, said.stderr
    assert not (folder / "watch/asked.txt").exists()
    record_fault("no network" if prefix else "no network, use of it refused", 1, 0, 0, "")

    written = {}
    for name in FOLDERS:
        paths = [path for path in (folder / name).rglob("*") if path.is_file()]
        written[name] = {path.relative_to(folder / name).parts[0] for path in paths}
    assert written["project"] == {".cache", "figures"}
    assert written["caller"] == {"run.npz"}
    assert written["home"] <= {".cache"}
    assert {path.name for path in (folder / "home/.cache").glob("*")} <= {"matplotlib"}
    assert written["temporary"] == set()


def test_the_watch_notices_a_use_of_the_network(apart):
    folder, environment = apart
    program = "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, capture_output=True).returncode
    assert "192.0.2.1" in (folder / "watch/asked.txt").read_text()


def test_the_driver_fetches_nothing(apart):
    """A notebook runs by the driver; its kernel and papermill talk to this machine alone."""
    folder, environment = apart
    project = folder / "project"
    for name in ("notebooks", "tools"):
        (project / name).mkdir()
    (project / "tools/notebooks.py").write_text((ROOT / "tools/notebooks.py").read_text())
    write_notebook(
        project / "notebooks/99_test.ipynb",
        "from growkit import figures\n"
        'figures.save_figure(figures.new_figure()[0], "99_x", folder, scale)',
    )
    said = subprocess.run(
        [sys.executable, "tools/notebooks.py"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 0, said
    assert "99_test: done" in said.stdout
    assert (project / "figures/quick/99_x.png").exists()
    assert not (folder / "watch/asked.txt").exists()


# ----------------------------------------------------------------------------------- closed servers


@contextmanager
def serving(target, folder, environment):
    """Start the server of a target of the Makefile, on a free port and without a browser.

    Gives the process, the port and the token.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    command = [*server_command(target), "--no-browser", f"--port={port}"]
    options = {"cwd": folder / "caller", "env": environment}
    with (
        log.open("w") as file,
        subprocess.Popen(command, stdout=file, stderr=file, **options) as server,
    ):
        try:
            while "token=" not in log.read_text():
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
            yield server, port, re.search(r"token=(\w+)", log.read_text())[1]
        finally:
            server.terminate()


def server_command(target):
    """Return the command of a target of the Makefile, by this Python and from any folder."""
    said = subprocess.run(
        ["make", "--no-print-directory", "-n", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    program, *arguments = shlex.split(said.stdout.strip().splitlines()[-1])
    command = [sys.executable, "-m", Path(program).name]
    for argument in arguments:
        command.append(str(ROOT / "notebooks") if argument == "notebooks" else argument)
    return command


def fetch(address):
    """Return the status of the answer, and the address that it comes from after redirections."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=60) as reply:
            return reply.status, reply.url
    except urllib.error.HTTPError as error:
        return error.code, error.url


def is_shut(address):
    """Whether a server refuses to answer, or asks for a login first."""
    status, place = fetch(address)
    return status == 403 or "/login" in place


@pytest.mark.parametrize("target, page", [("lab", "/api/contents"), ("dashboard", "/")])
def test_a_server_listens_to_this_machine_alone_and_asks_for_its_token(target, page, apart):
    folder, environment = apart
    with serving(target, folder, environment) as (server, port, token):
        listening = []
        parent = psutil.Process(server.pid)
        for process in (parent, *parent.children(recursive=True)):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    listening.append(connection.laddr)
        assert port in {address.port for address in listening}
        assert {address.ip for address in listening} == {"127.0.0.1"}

        address = f"http://127.0.0.1:{port}{page}"
        assert is_shut(address)
        assert is_shut(f"{address}?token=0{token[1:]}x")
        assert fetch(f"{address}?token={token}")[0] == 200


def test_servers_in_the_docs_are_closed():
    files = ("Makefile", "README.md", "CONTRIBUTING.md")
    text = "\n".join((ROOT / name).read_text() for name in files)
    assert "0.0.0.0" not in text
    opened = r"token=(''|\"\"|$|\s)|password=|disable_check_xsrf|allow_origin"
    assert not re.search(opened, text)
    for line in re.findall(r"^\t.*(?:jupyter lab|voila --).*$", text, re.MULTILINE):
        assert "127.0.0.1" in line


# ---------------------------------------------------------------------------------- locked packages


def test_every_pin_is_locked_with_its_hash():
    entry = re.compile(
        r"^([a-z0-9][a-z0-9._-]*)==([\w.]+)[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", re.MULTILINE
    )
    locked = dict(entry.findall((ROOT / "requirements.lock").read_text()))
    for name, version in pins((ROOT / "requirements.txt").read_text().splitlines()).items():
        assert locked[name.lower().replace("_", "-")] == version, name


def test_the_lock_names_no_index_and_no_machine():
    text = (ROOT / "requirements.lock").read_text()
    place = r"https?://|file:|--(extra-)?index|--find-links|\s/\w+/"
    assert not re.search(place, text)
    assert "==" in text
    for block in re.split(r"\n(?=[a-z0-9])", text.split("\n\n", 1)[-1]):
        assert "--hash=sha256:" in block or block.startswith("#"), block

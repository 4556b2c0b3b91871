"""What SECURITY.md says: nothing is unpickled or fetched, servers listen to this machine alone and ask for a token, files stay in the project."""

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
from test_project import pins

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = [
    ROOT / "growlib.py",
    *(ROOT / "tools").glob("*.py"),
    *(ROOT / "tests/benchmarks").glob("*.py"),
]
UNSAFE = re.compile(
    r"(pickle|joblib|dill|marshal|shelve)\.|read_pickle|torch\.load\((?!.*weights_only=True)|yaml\.(unsafe_)?load\("
    r"|allow_pickle=True|shell=True|os\.system"
)


def calls(text):
    """The functions that a program calls, as written."""
    return [
        ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)
    ]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_nothing_is_unpickled_or_made_into_code(path):
    text = path.read_text()
    assert not UNSAFE.findall(text) and not {"eval", "exec", "compile", "__import__"} & set(
        calls(text)
    )
    loads = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load"
    ]
    assert all("allow_pickle=False" in load for load in loads)


def test_nothing_unsafe_is_in_the_notebooks():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        code = "\n".join(
            "".join(cell["source"])
            for cell in json.loads(path.read_text())["cells"]
            if cell["cell_type"] == "code"
        )
        assert not UNSAFE.findall(code) and not re.search(
            r"(?<![.\w])(eval|exec)\(|^\s*[!%]", code, re.MULTILINE
        ), path.name


WATCH = """
import os, sys

LOCAL = ("127.0.0.1", "::1", "localhost", "", None)


def hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto") and isinstance(arguments[1], tuple) and arguments[1][0] not in LOCAL \
            or event == "socket.getaddrinfo" and arguments[0] not in LOCAL:
        with open(os.environ["WATCHED"], "a") as file:
            print(event, arguments[1] if event != "socket.getaddrinfo" else arguments[0], sys.argv[:2], file=file)
        raise OSError("the network is not for this")


sys.addaudithook(hook)
"""
WORK = """
import sys
import growlib
from growkit import figures, studies
if __name__ == "__main__":
    run = growlib.fit("cubic-1", trials=4, epochs=20)
    run.save("run.npz")
    growlib.load("run.npz")
    studies.study("sweep", {"task": "cubic-1", "trials": 4, "epochs": 20, "compiled": False}, workers=1)
    figure, axes = figures.new_figure()
    figures.plot_histories(run.history, axes[0, 0])
    figures.save_figure(figure, "figure")
    studies.stored("figure-2")
"""


@pytest.fixture
def apart(tmp_path):
    """Folders of its own for the project, for the caller, for the home and for what is temporary, and a record of what asked for the network."""
    for name in ("project", "here", "home", "temporary", "watch"):
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
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"):
        environment.pop(name, None)
    return tmp_path, environment


def alone():
    """What starts a program without a network, where that is permitted."""
    command = ["unshare", "--net", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    return command if not subprocess.run([*command, "true"], capture_output=True).returncode else []


def test_nothing_is_fetched_and_files_stay_in_the_project(apart, figure):
    folder, environment = apart
    said = subprocess.run(
        [*alone(), sys.executable, "-c", WORK],
        cwd=folder / "here",
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 0, said.stderr
    assert not (folder / "watch/asked.txt").exists()
    figure(f"no network{'' if alone() else ', what asks for it refused'}", 1, 0, 0, "")
    written = {
        name: sorted(
            {
                path.relative_to(folder / name).parts[0]
                for path in (folder / name).rglob("*")
                if path.is_file()
            }
        )
        for name in ("project", "here", "home", "temporary")
    }
    assert written["project"] == [".cache", "figures"] and written["here"] == ["run.npz"]
    assert written["home"] in ([], [".cache"]) and {
        path.name for path in (folder / "home/.cache").glob("*")
    } <= {"matplotlib"}
    assert all(name.startswith("torchinductor_") for name in written["temporary"]), written


def test_the_watch_would_notice(apart):
    folder, environment = apart
    call = "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)"
    assert subprocess.run(
        [sys.executable, "-c", call], env=environment, capture_output=True
    ).returncode
    assert "192.0.2.1" in (folder / "watch/asked.txt").read_text()


def test_the_driver_fetches_nothing(apart):
    """A notebook runs by the driver; its kernel and papermill talk to this machine alone."""
    from test_faults import write_notebook

    folder, environment = apart
    (folder / "project/notebooks").mkdir()
    (folder / "project/tools").mkdir()
    (folder / "project/tools/notebooks.py").write_text((ROOT / "tools/notebooks.py").read_text())
    write_notebook(
        folder / "project",
        'from growkit import figures\nfigures.save_figure(figures.new_figure()[0], "99_x", scale, folder)',
    )
    command = [sys.executable, "tools/notebooks.py"]
    said = subprocess.run(
        command,
        cwd=folder / "project",
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 0 and "99_test: done" in said.stdout, said
    assert (
        not (folder / "watch/asked.txt").exists()
        and (folder / "project/figures/quick/99_x.png").exists()
    )


@contextmanager
def served(target, folder, environment):
    """The server that a target of the Makefile starts, on a free port and without a browser; gives the port and what it says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = subprocess.run(
        ["make", "--no-print-directory", "-n", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    line = told.stdout.strip().splitlines()[-1]
    program, *arguments = shlex.split(line)
    arguments = [str(ROOT / "notebooks") if each == "notebooks" else each for each in arguments]
    command = [
        sys.executable,
        "-m",
        {"jupyter": "jupyter", "voila": "voila"}[Path(program).name],
        *arguments,
        "--no-browser",
        f"--port={port}",
    ]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder / "here", env=environment, stdout=log, stderr=log
        ) as server,
    ):
        try:
            while "token=" not in (folder / "log").read_text():
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            yield server, port, re.search(r"token=(\w+)", (folder / "log").read_text())[1]
        finally:
            server.terminate()


def answer(address):
    """The status and the place that an address leads to."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            address, timeout=60
        ) as reply:
            return reply.status, reply.url
    except urllib.error.HTTPError as error:
        return error.code, error.url


@pytest.mark.parametrize(("target", "page"), [("lab", "/api/contents"), ("dashboard", "/")])
def test_a_server_listens_to_this_machine_alone_and_asks_for_its_token(target, page, apart):
    folder, environment = apart
    with served(target, folder, environment) as (server, port, token):
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        listening = [
            each.laddr
            for process in family
            for each in process.net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        ]
        assert (port in {address.port for address in listening}) and {
            address.ip for address in listening
        } == {"127.0.0.1"}
        status, place = answer(f"http://127.0.0.1:{port}{page}")
        assert status == 403 or "/login" in place
        assert answer(f"http://127.0.0.1:{port}{page}?token={token}")[0] == 200
        assert (
            answer(f"http://127.0.0.1:{port}{page}?token=0{token[1:]}x")[0] == 403
            or "/login" in answer(f"http://127.0.0.1:{port}{page}?token=x")[1]
        )


def test_servers_in_the_docs_keep_their_doors_shut():
    text = "\n".join(
        (ROOT / name).read_text() for name in ("Makefile", "README.md", "CONTRIBUTING.md")
    )
    assert "0.0.0.0" not in text and not re.search(
        r"token=(''|\"\"|$|\s)|password=|disable_check_xsrf|allow_origin", text
    )
    assert all(
        "127.0.0.1" in line
        for line in re.findall(r"^\t.*(?:jupyter lab|voila --).*$", text, re.MULTILINE)
    )


def test_every_pin_is_locked_with_its_hash():
    pinned = re.compile(
        r"^([a-z0-9][a-z0-9._-]*)==([\w.]+)[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", re.MULTILINE
    )
    locked = dict(pinned.findall((ROOT / "requirements.lock").read_text()))
    for name, version in pins((ROOT / "requirements.txt").read_text().splitlines()).items():
        assert locked[name.lower().replace("_", "-")] == version, name


def test_the_lock_names_no_index_and_no_machine():
    text = (ROOT / "requirements.lock").read_text()
    assert (
        not re.search(r"https?://|file:|--(extra-)?index|--find-links|\s/\w+/", text)
        and "==" in text
    )
    for block in re.split(r"\n(?=[a-z0-9])", text.split("\n\n", 1)[-1]):
        assert "--hash=sha256:" in block or block.startswith("#"), block

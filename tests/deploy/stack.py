"""Every service of docker-compose.yml as a plain process: its own command, environment and check.

There is no container engine in this test, so what an engine would give is given here, by one table
of substitutions (`_Place`) and nothing else:

* a service's name and port become 127.0.0.1 and a free port, as does 0.0.0.0;
* a path below a mounted volume becomes a folder of the test, `/opt/carelake` the checkout, and
  `/opt/venv/bin` the folder of the running Python;
* what the image of PostgreSQL does before its command (make the cluster, run the mounted SQL) is
  done by `_make_cluster`, with Debian's PostgreSQL, as the user postgres.

The environment of a process is the image's and the service's, nothing of the machine's.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil

from carelake.services.ports import HOST, _any_free_port
from tests.conftest import PROJECT
from tests.deploy import compose_file

MARK = "CARELAKE_TEST_STACK"
POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
POSTGRES = "postgres"
PORTS = {"api-server": 8080, "scheduler": 8974, "mlflow": 5000, "docs": 8090, "postgres": 5432}
DURATION = re.compile(r"(\d+)(m|s)")


def seconds(text: str) -> float:
    """A duration of the file (`30s`, `3m`) in seconds."""
    return sum(int(n) * {"m": 60, "s": 1}[unit] for n, unit in DURATION.findall(text))


class _Place:
    """Where the things of a container are on this machine."""

    def __init__(self, root: Path, volumes: dict[str, Path]) -> None:
        self.ports = {str(port): str(_any_free_port()) for port in PORTS.values()}
        self.paths = {
            "/opt/carelake": str(PROJECT),
            "/opt/venv/bin": str(Path(sys.executable).parent),
            **{inside: str(outside) for inside, outside in volumes.items()},
        }
        self.root = root

    def here(self, text: str) -> str:
        """One word of a command or environment, as it must read on this machine."""
        if text == "0.0.0.0":
            return HOST
        if text in self.ports:
            return self.ports[text]
        for name in (*PORTS, HOST, "localhost"):
            for inside, outside in self.ports.items():
                text = re.sub(
                    rf"(?<![\w.-]){re.escape(name)}:{inside}\b", f"{HOST}:{outside}", text
                )
        for inside in sorted(self.paths, key=len, reverse=True):
            text = re.sub(rf"{inside}(?=[/:]|$)", self.paths[inside], text)
        return text


class Stack:
    """The services, started in the order their `depends_on` wants."""

    def __init__(self, root: Path, variables: dict[str, str], company: Path) -> None:
        """Prepare folders and ports; nothing runs yet.

        Args:
            root: a folder every user may pass through.
            variables: what the `.env` holds.
            company: what `COMPANY_FOLDER` names.
        """
        self.root, self.mark = root, uuid.uuid4().hex
        given = {**variables, "COMPANY_FOLDER": str(company)}
        self.services = compose_file.filled(compose_file.services(), given)
        self.place = _Place(root, self._volumes())
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.healthy: set[str] = set()
        self.started: dict[str, float] = {}
        self.healthy_after: dict[str, float] = {}

    def url(self, service: str) -> str:
        """Where a service answers."""
        return f"http://{HOST}:{self.place.ports[str(PORTS[service])]}"

    def log(self, service: str) -> Path:
        """What a service printed."""
        return self.root / f"{service}.log"

    def up(self, timeout: float = 420) -> None:
        """Start all, and wait until every check passes and what is to end has ended well."""
        end = time.monotonic() + timeout
        while not self._all_ready():
            assert time.monotonic() < end, f"not ready: {self._waiting()}\n{self._tails()}"
            for name, service in self.services.items():
                if name not in self.running and self._may_start(service):
                    self._start(name, service)
            for name in self.running:
                self._look(name)
            time.sleep(1)

    def down(self) -> list[str]:
        """End all as `compose stop` would; gives what had to be killed."""
        for name in reversed(list(self.running)):
            if self.running[name].poll() is None:
                self.running[name].terminate()
        end = time.monotonic() + 30
        while time.monotonic() < end and self._members():
            for process in self.running.values():
                process.poll()
            time.sleep(0.2)
        killed = []
        for process in self._members():
            try:
                killed.append(" ".join(process.cmdline()))
                process.kill()
            except psutil.Error:
                continue
        for child in self.running.values():
            child.wait(timeout=10)
        return killed

    def members(self) -> dict[str, list[psutil.Process]]:
        """Living processes of each service."""
        found: dict[str, list[psutil.Process]] = {name: [] for name in self.services}
        for process in self._members():
            try:
                found[self._service_of(process) or ""].append(process)
            except psutil.Error:
                continue
        return found

    def environment(self, name: str) -> dict[str, str]:
        """What a process of this service sees."""
        own = self.services[name].get("environment", {})
        image = {} if name == POSTGRES else compose_file.image_environment()
        placed = {k: self.place.here(str(v)) for k, v in {**image, **own}.items()}
        if placed.get("PGHOST") == POSTGRES:
            placed["PGHOST"] = HOST
        placed.setdefault("PATH", f"{POSTGRES_BIN}:/usr/bin:/bin")
        return {**placed, "HOME": str(self.root / "user"), MARK: f"{self.mark} {name}"}

    def run(self, name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """One more command inside a service, as `compose exec` would run it."""
        return subprocess.run(
            self._words(name, command), env=self.environment(name), cwd=self._directory(name),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def _volumes(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for service in self.services.values():
            for line in service.get("volumes", []):
                outside, inside = line.split(":")[:2]
                is_named = not outside.startswith((".", "/"))
                place = self.root / "volumes" / outside if is_named else PROJECT / outside
                found[inside] = place
                if is_named:
                    place.mkdir(parents=True, exist_ok=True)
        (self.root / "user").mkdir(exist_ok=True)
        return found

    def _words(self, name: str, command: list[str]) -> list[str]:
        words = [command[0], *(self.place.here(str(word)) for word in command[1:])]
        if name == POSTGRES:
            return [*_as_postgres(), str(POSTGRES_BIN / words[0]), *words[1:]]
        return [str(Path(sys.executable).parent / words[0]), *words[1:]]

    def _directory(self, name: str) -> Path:
        return self.root if name == POSTGRES else PROJECT

    def _start(self, name: str, service: dict[str, Any]) -> None:
        command = self._words(name, service["command"])
        if name == POSTGRES:
            command += self._make_cluster(service)
        with self.log(name).open("wb") as output:
            self.running[name] = subprocess.Popen(
                command, env=self.environment(name), cwd=self._directory(name),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.started[name] = time.monotonic()

    def _look(self, name: str) -> None:
        """Note a check that passes; an end that should not be is a failure."""
        service, code = self.services[name], self.running[name].poll()
        if service.get("restart") == "no":
            assert code in (None, 0), f"{name} ended with {code}\n{self._tails(name)}"
            return
        assert code is None, f"{name} ended with {code}\n{self._tails(name)}"
        if name in self.healthy:
            return
        check = service["healthcheck"]
        waited = time.monotonic() - self.started[name]
        patience = seconds(check["start_period"]) + seconds(check["interval"]) * check["retries"]
        assert waited < patience, f"{name} not healthy after {waited:.0f} s\n{self._tails(name)}"
        if self.check(name) == 0:
            self.healthy.add(name)
            self.healthy_after[name] = round(time.monotonic() - self.started[name], 1)

    def check(self, name: str) -> int:
        """Run a service's own health check; gives its exit code."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.run(name, command).returncode

    def _may_start(self, service: dict[str, Any]) -> bool:
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy" and name not in self.healthy:
                return False
            ended = name in self.running and self.running[name].poll() == 0
            if wanted["condition"] == "service_completed_successfully" and not ended:
                return False
        return True

    def _waiting(self) -> list[str]:
        lasting = {n for n, service in self.services.items() if service.get("restart") != "no"}
        ended = {n for n in set(self.services) - lasting if n in self.running}
        done = {n for n in ended if self.running[n].poll() == 0}
        return sorted((lasting - self.healthy) | (set(self.services) - lasting - done))

    def _all_ready(self) -> bool:
        return not self._waiting()

    def _tails(self, *names: str) -> str:
        parts = []
        for name in names or self.services:
            if self.log(name).exists():
                text = self.log(name).read_text(encoding="utf-8", errors="replace")
                parts.append(f"--- {name}\n{text[-1500:]}")
        return "\n".join(parts)

    def _members(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if self._service_of(process) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def _service_of(self, process: psutil.Process) -> str | None:
        mark, _, name = process.environ().get(MARK, "").partition(" ")
        if mark == self.mark:
            return name
        # a process that writes its state over its environment still sits in the session we made
        session = os.getsid(process.pid)
        return next((n for n, child in self.running.items() if child.pid == session), None)

    def _make_cluster(self, service: dict[str, Any]) -> list[str]:
        """What the image does when its volume is new; gives what the command line then needs."""
        data = self.root / "volumes" / "postgres" / "data"
        sockets = self.root / "volumes" / "postgres"
        shutil.chown(sockets, POSTGRES, POSTGRES)
        environment = self.environment(POSTGRES)
        password = self.root / "superuser"
        password.write_text(environment["POSTGRES_PASSWORD"], encoding="utf-8")
        shutil.chown(password, POSTGRES)
        password.chmod(0o600)
        at_socket = f"-c listen_addresses= -c unix_socket_directories={sockets}"
        scripts = [v.split(":")[0] for v in service["volumes"] if "initdb.d" in v]
        options = shlex.split(environment["POSTGRES_INITDB_ARGS"])
        for words in (
            ["initdb", "-D", data, "-U", POSTGRES, "--pwfile", password, *options],
            ["pg_ctl", "-D", data, "-w", "-l", sockets / "init.log", "-o", at_socket, "start"],
            *(
                ["psql", "-v", "ON_ERROR_STOP=1", "-h", sockets, "-f", PROJECT / script]
                for script in scripts
            ),
            ["pg_ctl", "-D", data, "-w", "-m", "fast", "stop"],
        ):
            command = [*_as_postgres(), str(POSTGRES_BIN / words[0]), *map(str, words[1:])]
            done = subprocess.run(
                command, env=environment, cwd=self.root, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
        password.unlink()
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write("host all all all scram-sha-256\n")
        port = self.place.ports[str(PORTS[POSTGRES])]
        return [
            "-D", str(data), "-c", f"port={port}", "-c", f"unix_socket_directories={sockets}",
            "-c", f"listen_addresses={HOST}",
        ]  # fmt: skip


def missing() -> str | None:
    """Why the stack cannot run on this machine, None when it can."""
    if not (POSTGRES_BIN / "initdb").exists():
        return "PostgreSQL 15 is not installed (Debian: postgresql)"
    if os.geteuid() != 0:
        return "becoming the user postgres takes root"
    return None


def _as_postgres() -> list[str]:
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

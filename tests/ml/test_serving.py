"""`mlflow models serve` answers for every registered model, and refuses bad input without falling over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from carelake.settings import Home
from ml import features as data
from ml import segmentation
from ml.registry import Registry
from ml.results import FROM_COMMENT, SATISFACTION, SEGMENTS, SENTIMENT, TrainResult

pytestmark = pytest.mark.slow
Trained = tuple[Home, TrainResult]
PATIENCE = 180


@contextlib.contextmanager
def served(home: Home, name: str, log: Path) -> Iterator[str]:
    """The champion behind HTTP, as docs/ml-engineer.md starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("mlflow")), "models", "serve", "--model-uri", f"models:/{name}@champion",
        "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    # the folder of this Python first: with `local` the server is whatever `python` the path finds
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    env = {**os.environ, "MLFLOW_TRACKING_URI": home.mlflow_uri, "PATH": places}
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
        try:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(requests.ConnectionError):
                    if requests.get(f"{address}/ping", timeout=5).ok:
                        break
                time.sleep(0.3)
            else:
                pytest.fail(f"{name} was not served: {log.read_text()[-2000:]}")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def ask(address: str, body: Any, kind: str = "application/json") -> requests.Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return requests.post(
        f"{address}/invocations", data=text.encode(), headers={"Content-Type": kind}, timeout=60
    )


@pytest.mark.parametrize("name", [SATISFACTION, FROM_COMMENT, SENTIMENT, SEGMENTS])
def test_a_served_model_says_what_scoring_says_and_refuses_what_it_cannot_read(
    trained: Trained, features: Path, tmp_path: Path, name: str
) -> None:
    home = trained[0]
    champion = Registry(home).champion(name)
    assert champion is not None
    model = Registry(home).load(champion)
    if name == SEGMENTS:
        people = data.read_customers(features)
        inputs = segmentation.model_inputs(people[~segmentation.is_contact_only(people)]).head(8)
        expected = model.model.predict(inputs).tolist()
    elif name == SENTIMENT:
        inputs = data.text_inputs(data.read_sentiment(features)["text"].head(8))
        expected = model.model.predict_proba(inputs).tolist()
    else:
        frame = data.read_labelled(features, with_comment=name == FROM_COMMENT).head(8)
        inputs = data.conform(data.conversation_inputs(frame), model.columns)
        expected = model.model.predict_proba(inputs).tolist()
    rows = json.loads(inputs.to_json(orient="records"))
    numbers = [column for column, kind in model.columns.items() if kind == "number"]
    needed = numbers[0] if numbers else data.TEXT
    with served(home, name, tmp_path / "server.log") as address:
        answer = ask(address, {"dataframe_records": rows})
        assert answer.status_code == 200, answer.text
        assert pd.DataFrame(
            answer.json()["predictions"]
        ).to_numpy().ravel().tolist() == pytest.approx(
            pd.DataFrame(expected).to_numpy().ravel().tolist(), abs=1e-9
        )
        lacking = [{k: v for k, v in row.items() if k != needed} for row in rows]
        lacked = ask(address, {"dataframe_records": lacking})
        if name == SEGMENTS:  # groups are distances: all of them are needed, though not all known
            assert lacked.status_code == 400 and needed in lacked.text
        elif name == SENTIMENT:  # without its text a row is no row
            assert lacked.status_code == 400
        else:
            assert lacked.status_code == 200  # as a missing value
        empty = [{**row, needed: None} for row in rows]
        assert ask(address, {"dataframe_records": empty}).status_code == 200
        split = {"dataframe_split": {"columns": list(rows[0]), "data": [list(rows[0].values())]}}
        assert len(ask(address, split).json()["predictions"]) == 1
        unreadable: list[tuple[Any, str]] = [
            ("{not json", "JSON"),
            ({"rows": rows}, "dataframe_records"),
        ]
        if numbers:  # whatever stands for a text can be read as one
            wrong = {**rows[0], needed: "a long while"}
            unreadable.append(({"dataframe_records": [wrong]}, needed))
        for body, told in unreadable:
            refused = ask(address, body)
            assert refused.status_code == 400 and told in refused.text, refused.text
        for nothing in ([], [{}]):
            refused = ask(address, {"dataframe_records": nothing})
            assert refused.status_code == 400 and "Traceback" not in refused.text
            assert ("n_orders" if name == SEGMENTS else "there are no rows") in refused.text
        assert ask(address, "a,b\n", "text/turtle").status_code == 415
        # and is still there
        assert ask(address, {"dataframe_records": rows}).status_code == 200

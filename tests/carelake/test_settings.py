from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from carelake.errors import ConfigError
from carelake.settings import Home, Settings, prepare_environment


def test_business_hours_become_intervals_in_the_order_of_the_week(tmp_path: Path) -> None:
    path = tmp_path / "carelake.yml"
    path.write_text("business_hours: {tue: ['09:00-12:00', '13:30-24:00'], mon: ['8:15-9:00']}")
    assert Settings.load(path).opening_intervals() == [
        (1, dt.time(8, 15), dt.time(9, 0)),
        (2, dt.time(9, 0), dt.time(12, 0)),
        (2, dt.time(13, 30), dt.time(23, 59)),
    ]


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "carelake.yml"
    path.write_text("index_window_days: 30\nkept_versions: 2")
    monkeypatch.setenv("CARELAKE__INDEX_WINDOW_DAYS", "60")
    settings = Settings.load(path)
    assert (settings.index_window_days, settings.kept_versions) == (60, 2)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("index_window_day: 30", ["index_window_day", "unknown key"]),
        ("index_window_days: -1", ["index_window_days", "-1"]),
        ("business_hours: {mon: ['18:00-09:00']}", ["business_hours", "ends before"]),
        ("reporting_timezone: China", ["reporting_timezone", "Asia/Shanghai"]),
        ("- a list", ["mapping"]),
    ],
)
def test_a_wrong_setting_names_file_key_and_mend(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    path = tmp_path / "carelake.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Settings.load(path)
    for part in ["carelake.yml", *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["http://admin:planted-word@mlflow:5000", "postgresql+psycopg2://m:planted-word@db/mlflow"],
)
def test_an_address_with_a_password_is_refused_without_repeating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("CARELAKE_MLFLOW_URI", address)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as told:
        prepare_environment(Home(tmp_path))
    assert "planted-word" not in str(told.value)


def test_what_a_process_of_a_home_makes_is_its_owners_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        prepare_environment(Home(tmp_path))
        (tmp_path / "file").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600

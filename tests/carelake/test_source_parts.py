from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from carelake import last_good
from carelake.errors import ConfigError
from carelake.settings import Home
from carelake.source_list import SourceList

BLOCK = """
sources:
  - name: sf
    kind: salesforce
    connection: my_sf
    owner: crm-team
    schedule: "@hourly"
    salesforce: {objects: [contacts, cases], fields: {cases: [Severity__c]}}
"""
FILE = """
  - name: NAME
    kind: files
    path: x.csv
    format: csv
    entity: customers
    columns: {customer_id: id}
"""


def load(tmp_path: Path, text: str) -> SourceList:
    path = tmp_path / "sources.yml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return SourceList.load(path)


def test_a_block_is_one_source_per_object_and_its_name_means_all_of_them(tmp_path: Path) -> None:
    found = load(tmp_path, BLOCK + FILE.replace("NAME", "shop"))
    assert [s.name for s in found.sources] == ["sf_contacts", "sf_cases", "shop"]
    assert [s.name for s in found.select(["sf"])] == ["sf_contacts", "sf_cases"]
    assert [s.name for s in found.select(["sf_cases", "sf"])] == ["sf_cases", "sf_contacts"]
    cases = found.sources[1]
    assert (cases.entity, cases.owner, cases.schedule) == ("conversations", "crm-team", "@hourly")
    assert [a.name for a in cases.attributes] == ["Severity__c"]
    assert cases.rest is not None and "Severity__c, SystemModstamp" in cases.rest.params["q"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[contacts, cases]", "[contacts, leads]", "source 'sf'.salesforce.objects.1"),
        ("cases: [Severity__c]", "users: [X]", "fields.users: is not among the objects"),
        ("connection: my_sf", "", "source 'sf': connection is missing"),
        ("owner:", "entity: customers\n    owner:", "needs no entity; remove it"),
        ("owner:", "attributes: [X]\n    owner:", "use salesforce.fields"),
        ("owner:", "mode: snapshot\n    owner:", "remove mode: snapshot"),
        ("owner:", "rest: {url: 'https://x.example'}\n    owner:", "rest belongs to kind rest"),
        ("owner:", "object: cases\n    owner:", "unknown key"),
        ("kind: salesforce", "kind: zoho", "salesforce belongs to kind salesforce"),
    ],
)
def test_a_mistake_names_the_block_a_person_wrote(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, BLOCK.replace(old, new))
    assert said in str(error.value) and "sf" in str(error.value), error.value


def test_two_sources_of_one_name_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="'sf_cases' stands twice: 'sf' makes a source of that name"
    ):
        load(tmp_path, BLOCK + FILE.replace("NAME", "sf_cases"))


def test_what_is_remembered_is_the_block_and_it_means_the_same(tmp_path: Path) -> None:
    found = load(tmp_path, BLOCK)
    home = Home(tmp_path / "home")
    last_good.sources(home, found.path)
    found.path.write_text("sources: [{name: broken", encoding="utf-8")
    remembered, fault = last_good.sources(home, found.path)
    assert fault is not None
    assert [s.rest for s in remembered.sources] == [s.rest for s in found.sources]

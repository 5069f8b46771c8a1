"""The published schemas are current, and what we write fits them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from streams.document import Document
from streams.schemas import DOCUMENTS, written
from streams.topics import Topics
from tests.streams.documents import acknowledge, alert, bed, vitals

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_published_schema_is_the_classs_own(name: str) -> None:
    assert (DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8") == written(name), "run `make schemas`"


@pytest.mark.parametrize(
    ("name", "document"),
    [("alert", alert(3)), ("bed", bed()), ("vitals", vitals(hr=None)), ("action", acknowledge())],
)
def test_a_document_fits_its_schema_and_a_wrong_one_does_not(name: str, document: Document) -> None:
    schema = json.loads((DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    as_written = json.loads(document.to_json())
    validator.validate(as_written)
    assert document == type(document).from_json(document.to_json())
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(as_written | {"bed_stream": None})


def test_the_asyncapi_file_names_every_topic_with_its_settings() -> None:
    api = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert api["asyncapi"] == "3.0.0"
    channels = {channel["address"]: channel for channel in api["channels"].values()}
    topics = Topics()
    assert set(channels) == set(topics.names)
    for plan in topics.plans:
        binding = channels[plan.name]["bindings"]["kafka"]
        assert binding["partitions"] == topics.partitions
        settings = binding["topicConfiguration"]
        assert settings["cleanup.policy"] == [plan.settings["cleanup.policy"]]
        assert str(settings["max.message.bytes"]) == plan.settings["max.message.bytes"]
        assert str(settings.get("retention.ms", "")) == plan.settings.get("retention.ms", "")


def test_every_reference_of_the_asyncapi_file_leads_somewhere() -> None:
    text = (DOCS / "asyncapi.yaml").read_text(encoding="utf-8")
    api = yaml.safe_load(text)
    for reference in _references(api):
        if reference.startswith("#/"):
            at = api
            for step in reference[2:].split("/"):
                at = at[step]
        else:
            assert (DOCS / reference).resolve().is_file(), reference


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["$ref"])] if "$ref" in node else []
        return own + [x for value in node.values() for x in _references(value)]
    if isinstance(node, list):
        return [x for value in node for x in _references(value)]
    return []

"""Webhooks of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from devhost.event_grid.subscriptions import read_webhooks
from devhost.settings import Unusable


def _write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_webhooks_are_subscriptions_to_the_topic_of_the_service(tmp_path: Path) -> None:
    content = [{"name": "mine", "endpoint": "https://x/hook", "eventTypes": ["A"], "subjectBeginsWith": "/s"}]
    (webhook,) = read_webhooks(_write(tmp_path / "webhooks.json", content))
    assert (webhook.name, webhook.topic, webhook.endpoint) == ("mine", "dicom-events", "https://x/hook")
    assert webhook.filter.event_types == {"A"}
    assert webhook.filter.subject_begins_with == "/s"


@pytest.mark.parametrize("content", [{}, [{"name": "x"}], [{"name": "x", "endpoint": "ftp://x"}], [{"nme": "x"}]])
def test_a_webhooks_file_that_cannot_be_used_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(Unusable):
        read_webhooks(_write(tmp_path / "webhooks.json", content))

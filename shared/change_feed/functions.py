"""The functions of the change feed: its two resources, and what numbers changes and publishes their events when it is
woken (S-6, storage §7). The guarantee is a chore of `housekeeping`.
"""

from collections.abc import Awaitable, Callable

import azure.functions as func

from shared import telemetry
from shared.change_feed.request import SequenceWindow, TimeWindow, parse_include_metadata, parse_window
from shared.change_feed.response import entry_list, latest_entry
from shared.change_feed.transaction import BATCH, ChangeFeedReader
from shared.change_log.follower import Follower
from shared.change_log.sequencer import Sequencer
from shared.dicomweb.versions import ApiVersion
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction, accepted_plain_json
from shared.index_schema import keys

_PUBLISHING_SECONDS = 5
"""After that a run begins nothing new. Event Grid takes a function of more than 30 s for one that failed, and its last
call may take 15 s more.
"""


def blueprint(
    boundary: Boundary,
    reader: ChangeFeedReader,
    sequencer: Sequencer,
    publication: Follower,
    *,
    shards: int,
    also: Callable[[], Awaitable[None]] | None = None,
) -> func.Blueprint:
    """The functions of the change feed. `shards` is the number of shards of the store; `also` is told of changes."""
    functions = func.Blueprint()

    async def change_feed(window: SequenceWindow | TimeWindow, _accepted: str, context: Context) -> Response:
        entries = await reader.window(window, context.visible)
        batches = reader.resolved(entries, context.version, context.urls, metadata=window.metadata)
        return await entry_list(batches, whole=len(entries) <= BATCH)

    async def change_feed_latest(metadata: bool, _accepted: str, context: Context) -> Response:
        entries = await reader.latest(context.visible)
        return await latest_entry(reader.resolved(entries, context.version, context.urls, metadata=metadata))

    async def append_changes(event: func.CloudEvent) -> None:
        # The event is a wake-up: what it names is looked at first, and it may be late, double or wrong.
        data = event.get_json()
        names = data.get("places", []) if isinstance(data, dict) else []
        with telemetry.trigger("append_changes"):
            await sequencer.catch_up([keys.named_place(name, shards) for name in names if isinstance(name, str)])
            await publication.run(_PUBLISHING_SECONDS)
            if also is not None:
                await also()

    mount(functions, boundary, "change_feed", Transaction(_window, accepted_plain_json, change_feed))
    mount(
        functions,
        boundary,
        "change_feed_latest",
        Transaction(_include_metadata, accepted_plain_json, change_feed_latest),
    )
    functions.function_name("append_changes")(functions.event_grid_trigger(arg_name="event")(append_changes))
    return functions


def _window(request: Request, version: ApiVersion) -> SequenceWindow | TimeWindow:
    return parse_window(request.query, version)


def _include_metadata(request: Request, _version: ApiVersion) -> bool:
    return parse_include_metadata(request.query)

"""Who may open a connection: one for each URL, within a minute; and whose an AE title is."""

import asyncio

import pytest

from shared.subscriptions.channel import user_of
from shared.subscriptions.ticket import Ticket, new_secret, ticket_of
from tests.builders.subscriptions import ALL, NAMESPACE, ORIGIN, PART, Watched, value

READER, OTHER, OWNER = "read", "read+write", "all"
"""Tokens of three callers, of whom the last may delete, too."""


async def opening(worklist, query=""):
    """User and ticket of a new URL."""
    reply = await worklist.send("GET", f"subscribers/AE{query}")
    return reply.headers["location"].split("/")[-2:]


@pytest.fixture
def worklist():
    return Watched()


@pytest.mark.spec("WE-10")
async def test_a_url_opens_one_connection(worklist):
    user, ticket = await opening(worklist)

    assert (await worklist.let_in(user, ticket)).status == 204
    again = await worklist.let_in(user, ticket)
    assert again.status == 403
    assert ticket not in again.body.decode()


@pytest.mark.spec("WE-10")
async def test_each_url_opens_its_own_connection(worklist):
    first, second = await opening(worklist), await opening(worklist)
    assert first != second

    assert [(await worklist.let_in(*each)).status for each in (second, first, second)] == [204, 204, 403]


@pytest.mark.spec("WE-10")
async def test_a_url_lives_for_a_minute(worklist):
    user, ticket = await opening(worklist)
    worklist.time.seconds += 61

    assert (await worklist.let_in(user, ticket)).status == 403


@pytest.mark.spec("WE-10")
async def test_more_urls_than_anybody_needs_make_the_oldest_void(worklist):
    found = [await opening(worklist) for _ in range(17)]

    assert [(await worklist.let_in(*found[at])).status for at in (0, 1, 16)] == [403, 204, 204]


@pytest.mark.spec("WE-10")
async def test_a_ticket_counts_for_its_own_subscriber(worklist):
    user, ticket = await opening(worklist)

    for wrong in (user_of(NAMESPACE, "OTHER"), user_of("1", "AE"), ""):
        assert (await worklist.let_in(wrong, ticket)).status == 403
    for nothing in ("", "x", ticket[:-1], f"{ticket}x", str(Ticket(NAMESPACE, "AE", new_secret())), "ü" * 500):
        assert (await worklist.let_in(user, nothing)).status == 403
    assert (await worklist.let_in(user, ticket)).status == 204


def test_a_ticket_says_whose_it_is_and_shows_no_secret():
    ticket = Ticket("1a2b", "A/E + TITLE?", new_secret())

    assert ticket_of(str(ticket)) == ticket
    assert str(ticket).replace(".", "").replace("-", "").replace("_", "").isalnum()
    assert ticket.secret not in repr(ticket)


@pytest.mark.spec("WE-14")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"WebHook_Request_Origin": "elsewhere.example"}, 403),
        ({"WebHook_Request_Origin": ORIGIN.upper()}, 204),
        ({"ce_signature": "sha256=00"}, 403),
        ({"ce_signature": ""}, 403),
        ({"ce_connectionId": "another"}, 403),
        ({"ce_type": "azure.webpubsub.sys.connected"}, 400),
        ({"ce_hub": "another"}, 400),
        ({"Content_Type": "text/plain"}, 415),
    ],
)
async def test_only_the_service_of_the_settings_is_answered(worklist, fields, status):
    user, ticket = await opening(worklist)

    assert (await worklist.let_in(user, ticket, **fields)).status == status
    assert (await worklist.let_in(user, ticket)).status == (403 if status == 204 else 204)


@pytest.mark.spec("WE-14")
@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"query": []}', b'{"query": {"ticket": "x"}}', b'{"query": {"ticket": [1]}}']
)
async def test_an_event_without_a_ticket_lets_nobody_in(worklist, body):
    reply = await worklist.let_in("user", "ticket", body=body)

    assert reply.status in {400, 403}


@pytest.mark.spec("WE-14")
async def test_the_service_is_told_that_it_may_deliver_and_no_other_is(worklist):
    for origin, status in ((ORIGIN, 200), ("elsewhere.example", 403), ("", 403)):
        reply = await worklist.send("OPTIONS", "/worklist/connections", None, ("WebHook-Request-Origin", origin))
        assert reply.status == status
        assert reply.headers.get("webhook-allowed-origin", "") == (origin if status == 200 else "")


@pytest.mark.spec("WE-6", "WE-10")
async def test_two_connections_that_open_at_once_begin_where_the_earlier_one_does(worklist):
    await worklist.connect()
    await worklist.subscribe(ALL)
    for number in range(3):
        await worklist.create(f"1.2.{number + 1}")
    await worklist.tell()
    worklist.got()
    for after in (2, 1):
        user, ticket = await opening(worklist, f"?after={after}")
        assert (await worklist.let_in(user, ticket)).status == 204
        worklist.channel.connected[user].add(ticket)

    await worklist.tell()

    assert [value(each, "00000110") for each in worklist.got()] == [2, 3]


@pytest.fixture
async def watched(worklist):
    """A worklist with a connection, one report, and another connection whose ticket was shown."""
    await worklist.connect()
    await worklist.subscribe(ALL)
    await worklist.create("1.2.1")
    user, ticket = await opening(worklist, "?after=0")
    assert (await worklist.let_in(user, ticket)).status == 204
    await worklist.tell()
    assert worklist.got() == []  # the new connection might get it before what it begins with
    return worklist, user, ticket


@pytest.mark.spec("WE-6", "WE-9", "WE-10")
async def test_nothing_is_sent_while_a_connection_opens(watched):
    worklist, user, ticket = watched
    worklist.channel.connected[user] = {ticket}
    assert not await worklist.dispatch.delivery.is_served(ticket_of(ticket))

    await worklist.dispatch.delivery.run(NAMESPACE, "AE")

    assert await worklist.dispatch.delivery.is_served(ticket_of(ticket))
    assert numbers(worklist) == [1]


@pytest.mark.spec("WE-8")
async def test_a_connection_that_never_opens_holds_nothing_up_for_long(watched):
    worklist, _, _ = watched
    worklist.time.seconds += 11

    await worklist.tell()

    assert numbers(worklist) == [1]


@pytest.mark.spec("WE-6")
async def test_who_is_sending_stops_for_a_connection_that_opens(worklist, monkeypatch):
    monkeypatch.setattr("shared.subscriptions.delivery._BATCH", 4)
    await worklist.connect()
    await worklist.subscribe(ALL)
    for number in range(10):
        await worklist.create(f"1.2.{number + 1}")
    send, attempts = worklist.channel.send, []

    async def send_until_another_comes(user, text):
        await send(user, text)
        if len(worklist.channel.sent[user]) == 2 and not attempts:
            attempts.append(await opening(worklist, "?after=1"))
            attempts.append(asyncio.create_task(worklist.let_in(*attempts[0])))
            while not (await worklist.subscriptions.get(NAMESPACE, "AE")).subscriber.openings[-1].used_ms:
                await asyncio.sleep(0)
            assert not attempts[1].done()

    worklist.channel.send = send_until_another_comes
    await worklist.tell()
    (user, ticket), let_in = attempts
    assert (await let_in).status == 204
    assert numbers(worklist) == [1, 2, 3, 4]

    worklist.channel.connected[user] = {ticket}
    await worklist.tell()
    assert numbers(worklist) == [2, 3, 4, 5, 6, 7, 8, 9, 10]


def numbers(worklist):
    """The Message IDs of the reports that have come."""
    return [value(each, "00000110") for each in worklist.got()]


# --------------------------------------------------------------------------------------------------- whose it is


def as_(name):
    return ("Authorization", f"Bearer {name}")


@pytest.mark.spec("WE-15")
async def test_an_ae_title_belongs_to_who_subscribed_first(worklist):
    path = f"workitems/{ALL}/subscribers/AE"
    assert (await worklist.send("POST", path, None, as_(READER))).status == 201

    refused = [
        ("POST", path),
        ("POST", f"workitems/{PART}/subscribers/AE?filter=PatientID=1"),
        ("POST", f"{path}/suspend"),
        ("DELETE", path),
        ("GET", "subscribers/AE"),
    ]
    for method, where in refused:
        assert (await worklist.send(method, where, None, as_(OTHER))).status == 403, (method, where)
    for method, where in refused[:3]:
        assert (await worklist.send(method, where, None, as_(READER))).status < 300
    assert (await worklist.send("GET", "subscribers/AE", None, as_(READER))).status == 307


@pytest.mark.spec("WE-15")
@pytest.mark.parametrize("who", [READER, OWNER])
async def test_an_ae_title_is_free_again_when_its_subscription_has_ended(worklist, who):
    """Its owner ends it, or somebody who may delete in the partition."""
    path = f"workitems/{ALL}/subscribers/AE"
    first = await worklist.send("POST", path, None, as_(READER))
    assert (await worklist.send("DELETE", path, None, as_(who))).status == 200

    second = await worklist.send("POST", path, None, as_(OTHER))

    assert second.status == 201
    assert (await worklist.send("GET", "subscribers/AE", None, as_(READER))).status == 403
    users = [reply.headers["content-location"].split("/")[-2] for reply in (first, second)]
    assert users[0] != users[1]  # a connection of who had it before hears nothing of who has it now
    assert (await worklist.let_in(users[1], first.headers["content-location"].split("/")[-1])).status == 403

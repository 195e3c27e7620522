"""Route templates and their precedence on the Functions host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.host.routes import InvalidTemplate, Match, Route, Router, decoded_path, forwarded_target


def router(*routes: tuple[str, str, str], prefix: str = "") -> Router:
    """Routes of function, template and methods."""
    return Router(Route(function, template, methods.split(), prefix) for function, template, methods in routes)


def test_the_first_function_in_the_order_of_names_wins_whatever_the_case() -> None:
    assert router(("b", "{*path}", "GET"), ("C", "studies", "GET"), ("a", "other", "GET")).match("GET", "/studies") == (
        Match("b", {"path": "studies"})
    )
    assert router(("zz", "{*path}", "GET"), ("C", "studies", "GET")).match("GET", "/studies") == Match("C", {})


def test_a_literal_has_no_precedence_over_a_parameter() -> None:
    both = router(("a", "studies/{study}", "GET"), ("b", "studies/metadata", "GET"))
    assert both.match("GET", "/studies/metadata") == Match("a", {"study": "metadata"})


def test_a_method_that_a_function_does_not_list_is_no_match() -> None:
    routes = router(("a", "studies", "GET"), ("b", "studies", "post"), ("c", "any", ""))
    assert routes.match("GET", "/studies") == Match("a", {})
    assert routes.match("POST", "/studies") == Match("b", {})
    assert routes.match("PUT", "/studies") is None
    assert routes.match("PATCH", "/any") == Match("c", {})


def test_a_prefix_comes_before_every_template() -> None:
    routes = router(("a", "studies", "GET"), prefix="api")
    assert routes.match("GET", "/api/studies") == Match("a", {})
    assert routes.match("GET", "/studies") is None


DICOMWEB = router(
    ("frames", "{version}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", "GET"),
    ("metadata", "{version}/studies/{study}/metadata", "GET"),
    ("series", "{version}/studies/{study}/series", "GET"),
    ("store", "{version}/studies/{study?}", "POST"),
    ("study", "{version}/studies/{study}", "GET"),
    ("zz_fallback", "{*path}", "GET POST"),
)


@pytest.mark.parametrize(
    ("method", "target", "function", "values"),
    [
        ("GET", "/v2/studies/1.2", "study", {"version": "v2", "study": "1.2"}),
        ("GET", "/v2/studies/1.2/", "study", {"version": "v2", "study": "1.2"}),
        ("GET", "/v2/STUDIES/1.2/MetaData", "metadata", {"version": "v2", "study": "1.2"}),
        ("GET", "/v2/studies/1.2?x=/series", "study", {"version": "v2", "study": "1.2"}),
        ("GET", "/v2/stud%69es/1.2", "study", {"version": "v2", "study": "1.2"}),
        ("GET", "/v2/studies/a%2Fb%20%2f", "study", {"version": "v2", "study": "a%2Fb %2F"}),
        ("POST", "/v2/studies", "store", {"version": "v2"}),
        ("POST", "/v2/studies/1", "store", {"version": "v2", "study": "1"}),
        ("GET", "/v2/studies//series", "zz_fallback", {"path": "v2/studies//series"}),
        ("GET", "/", "zz_fallback", {}),
        (
            "GET",
            "/v1/studies/1/series/2/instances/3/frames/1,2",
            "frames",
            {"version": "v1", "study": "1", "series": "2", "instance": "3", "frames": "1,2"},
        ),
    ],
)
def test_dicomweb_paths_reach_their_functions(method: str, target: str, function: str, values: dict[str, str]) -> None:
    match = DICOMWEB.match(method, target)
    assert match is not None
    assert match.function == function
    assert {name: value.replace("%2f", "%2F") for name, value in match.values.items()} == values


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("x/{a:int}", "x/-12", {"a": "-12"}),
        ("x/{a:int}", "x/1a", None),
        ("x/{a:bool}", "x/True", {"a": "True"}),
        ("x/{a:alpha}", "x/aB", {"a": "aB"}),
        ("x/{a:alpha}", "x/a1", None),
        ("x/{a:guid}", "x/0f8fad5b-d9cb-469f-a165-70867728950e", {"a": "0f8fad5b-d9cb-469f-a165-70867728950e"}),
        ("x/{a:guid}", "x/0f8fad5b", None),
        ("x/{a:length(2,3)}", "x/ab", {"a": "ab"}),
        ("x/{a:length(2,3)}", "x/abcd", None),
        ("x/{a:length(2)}", "x/abc", None),
        ("x/{a:minlength(2)}", "x/a", None),
        ("x/{a:maxlength(2)}", "x/abc", None),
        ("x/{a:min(3)}", "x/2", None),
        ("x/{a:max(3)}", "x/3", {"a": "3"}),
        ("x/{a:range(1,3)}", "x/4", None),
        ("x/{a:int:min(1)}", "x/0", None),
        ("x/{a:regex(^[12]$)}", "x/2", {"a": "2"}),
        ("x/{a:regex(^\\d{{2}}$)}", "x/123", None),
        ("v{version:int}/x", "v2/x", {"version": "2"}),
        ("v{version:int}/x", "vb/x", None),
        ("x/{name}.{extension}", "x/a.b.c", {"name": "a.b", "extension": "c"}),
        ("x/{name}.{extension?}", "x/a", {"name": "a"}),
        ("x/{a=7}", "x", {"a": "7"}),
        ("x/{a=7}", "x/8", {"a": "8"}),
        ("x/{a?}", "x", {}),
        ("x/{a:int?}", "x", {}),
        ("x/{*rest}", "x/a/b", {"rest": "a/b"}),
        ("x/{**rest}", "x", {}),
        ("x/{a}", "x/a/b", None),
        ("x/{a}", "x", None),
    ],
)
def test_the_grammar_of_templates(template: str, path: str, values: dict[str, str] | None) -> None:
    match = router(("f", template, "GET")).match("GET", f"/{path}")
    assert (match.values if match else None) == values


@pytest.mark.parametrize(
    "template",
    [
        "x/{a:nothing}",
        "x/{a:length(b)}",
        "x/{a:length(1,2,3)}",
        "x/{a}/{A}",
        "x/{a",
        "x/a}",
        "admin/x",
        "runtime/webhooks",
    ],
)
def test_a_template_that_the_host_would_refuse_is_invalid(template: str) -> None:
    with pytest.raises(InvalidTemplate):
        router(("f", template, "GET"))


def test_a_template_may_begin_with_a_kept_word_below_a_prefix() -> None:
    assert router(("f", "admin/x", "GET"), prefix="api").match("GET", "/api/admin/x") == Match("f", {})


@pytest.mark.parametrize(("first", "second"), [("GET", "GET POST"), ("", "GET"), ("", "")])
def test_two_functions_with_one_route_and_a_shared_method_conflict(first: str, second: str) -> None:
    with pytest.raises(InvalidTemplate):
        router(("a", "Studies", first), ("b", "studies/", second))


@pytest.mark.parametrize(
    ("target", "path", "forwarded"),
    [
        ("/a/b?c=../d", "/a/b", "/a/b?c=../d"),
        ("/a/../b", "/b", "/b"),
        ("/a/./b?x=1", "/a/b", "/a/b?x=1"),
        ("/a/%2e%2e/b", "/b", "/b"),
        ("/../../b", "/b", "/b"),
        ("/a/..", "/", "/"),
        ("/a/b/.", "/a/b/", "/a/b/"),
        ("/a%2F../b", "/a%2F../b", "/a%2F../b"),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/a%20b", "/a b", "/a%20b"),
    ],
)
def test_dot_segments_are_removed(target: str, path: str, forwarded: str) -> None:
    assert decoded_path(target) == path
    assert forwarded_target(target) == forwarded


@given(st.text(alphabet="ab./%2eF?", max_size=20))
def test_what_is_forwarded_is_what_was_routed(text: str) -> None:
    target = "/" + text
    assert decoded_path(forwarded_target(target)) == decoded_path(target)
    assert ".." not in decoded_path(target).split("/")

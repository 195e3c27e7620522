import pytest

from shared.dicomweb import versions
from shared.dicomweb.versions import ApiVersion, Unsupported, parse_version


@pytest.mark.spec("URL-2")
@pytest.mark.parametrize(
    ("segment", "version"),
    [
        ("v1", ApiVersion.V1),
        ("v1.0-prerelease", ApiVersion.V1),
        ("v1-prerelease", ApiVersion.V1),
        ("v1.0", ApiVersion.V1),
        ("v2", ApiVersion.V2),
        ("V2", ApiVersion.V2),
        ("v2.0", ApiVersion.V2),
    ],
)
def test_the_accepted_versions_and_their_tolerated_spellings(segment, version):
    assert parse_version(segment) is version


@pytest.mark.spec("URL-3")
@pytest.mark.parametrize("segment", ["v9", "v3.1", "v2-beta", "v0", "v1.1", "v2.0-rc1"])
def test_a_well_formed_version_that_is_not_ours_is_recognised_as_one(segment):
    assert parse_version(segment) == Unsupported(segment[1:])


@pytest.mark.spec("URL-1", "URL-3")
@pytest.mark.parametrize("segment", ["", "v", "vx", "2", "studies", "v2x", "v2.", "v-1", "v2.0.0", "version2", "v2-"])
def test_a_segment_that_is_no_version_is_none(segment):
    assert parse_version(segment) is None


@pytest.mark.spec("URL-4", "URL-5")
def test_supported_versions_are_listed_in_ascending_order_and_none_is_deprecated():
    assert versions.SUPPORTED == "1.0-prerelease, 1, 2"
    assert versions.DEPRECATED == ""


def test_every_difference_distinguishes_the_versions():
    differences = [name for name, value in vars(ApiVersion).items() if isinstance(value, property)]

    assert len(differences) >= 10
    for name in differences:
        old, new = getattr(ApiVersion.V1, name), getattr(ApiVersion.V2, name)
        assert old != new, name
        assert (old, new) == (False, True) or not isinstance(new, bool), name

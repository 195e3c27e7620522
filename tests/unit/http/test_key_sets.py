"""What identity providers publish, before any token is seen."""

import pytest

from shared.http import openid
from tests.builders.tokens import ISSUER


def test_a_provider_with_more_keys_than_anybody_has_is_not_believed():
    assert len(openid.key_set_of({"issuer": ISSUER}, {"keys": [{}] * 256}).keys) == 256
    with pytest.raises(TypeError):
        openid.key_set_of({"issuer": ISSUER}, {"keys": [{}] * 257})

import pytest

from tests import rules


def test_every_rule_of_what_is_built_has_a_test():
    later = rules.not_built()
    tested = rules.tested_rules()

    assert [rule for rule in rules.known_rules() if rule not in tested and rule not in later] == []


def test_a_rule_is_called_not_built_only_while_it_has_no_test():
    assert sorted(set(rules.not_built()) & set(rules.tested_rules())) == []


@pytest.mark.parametrize("rule", sorted(rules.not_built()))
def test_a_rule_that_is_called_not_built_exists(rule):
    assert rule in rules.known_rules()

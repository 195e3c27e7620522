"""PS3.18 §11.4.1, §11.6.1 UIDs in the query string of worklist requests (worklist §2.1).

The templates of the standard have a bare value, `?1.2.3`, so that the UID is the name of a parameter without value.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.dicom.elements import first_text
from shared.dicom.identifiers import is_uid, trim_uid
from shared.dicomweb.query_parameters import pairs
from shared.errors import InvalidRequest, InvalidUid

WORKITEM: Final = frozenset({"workitem", "affectedsopinstanceuid"})
TRANSACTION: Final = frozenset({"transaction", "transaction-uid", "transactionuid"})
"""Names of parameters, in lower case."""
_OTHERS: Final = frozenset({"accept"})
"""Parameters that say something else (ACC-6)."""


def named_uid(query: str, names: frozenset[str]) -> str:
    """The UID in a query string; '' if there is none.

    A parameter of one of these `names` has it as its value; without one the first parameter is the UID itself. Raises
    InvalidUid; InvalidRequest for two UIDs that differ.
    """
    parameters = [(name, value) for name, value in pairs(query) if name.lower() not in _OTHERS]
    named = [value for name, value in parameters if name.lower() in names]
    bare = [name for name, value in parameters if not value and is_uid(name)]
    if not named and parameters and bare[:1] != [parameters[0][0]]:
        raise InvalidUid("The first query parameter is not a valid UID.", where="query string")
    found = {trim_uid(uid) for uid in (*named, *bare)}
    if not all(map(is_uid, found)):
        raise InvalidUid("The UID in the query string is not valid.", where="query string")
    if len(found) > 1:
        raise InvalidRequest("The query string has several UIDs that differ.", where="query string")
    return next(iter(found), "")


def sent_uid(attributes: Mapping[str, Any], tag: str) -> str:
    """The UID that a data set has; '' if there is none. Raises InvalidUid."""
    text = trim_uid(first_text(attributes, tag) or "")
    if text and not is_uid(text):
        raise InvalidUid("A UID in the body is not valid.", where="request body")
    return text

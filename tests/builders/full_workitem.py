"""A workitem with every attribute that searches of the worklist match."""

from tests.builders.worklist import DataSet, Element, Worklist, code, element, performer, request_item

SCHEME, LONG, URN = "99SITE", "a code that is longer than sixteen", "urn:oid:1.2.840.99"
MEANING = {"00080104": element("LO", "meaning")}


def coded(*values: str) -> Element:
    """A code sequence in which codes are named in each of the ways that there are."""
    return element(
        "SQ",
        *map(code, values),
        {"00080119": element("UC", LONG), "00080102": element("SH", SCHEME), **MEANING},
        {"00080120": element("UR", URN), **MEANING},
    )


def issuer(local: str, universal: str, universal_type: str) -> DataSet:
    """An item of HL7v2 hierarchic designators."""
    return {
        "00400031": element("UT", local),
        "00400032": element("UT", universal),
        "00400033": element("CS", universal_type),
    }


QUALIFIERS: DataSet = {
    "00400032": element("UT", "1.2.99.1"),
    "00400033": element("CS", "ISO"),
    "00400035": element("CS", "MR"),
    "00400036": element("SQ"),
    "00400039": element("SQ"),
    "0040003A": element("SQ"),
}
FULL: dict[str, Element] = {
    "t00100010": element("PN", {"Alphabetic": "Müller^Jörg"}),
    "t00100020": element("LO", "P-1"),
    "t00100021": element("LO", "HOSPITAL"),
    "t00100024": element("SQ", QUALIFIERS),
    "t00100030": element("DA", "19700131"),
    "t00100040": element("CS", "M"),
    "t0020000D": element("UI", "1.77"),
    "t00380010": element("LO", "ADM1"),
    "t00380014": element("SQ", issuer("ADT", "adt.example", "DNS")),
    "t00404005": element("DT", "20260131120000"),
    "t00404008": element("DT", "2027"),
    "t00404011": element("DT", "202602"),
    "t00404018": coded("WORK1", "WORK2"),
    "t00404025": coded("NAME1", "NAME2"),
    "t00404026": coded("CLASS"),
    "t00404027": coded("PLACE"),
    "t00404034": element(
        "SQ", performer("H1", "Doe^Jane", "Ward"), performer("H2", "Roe^Max", "Lab") | {"00404009": coded("H2")}
    ),
    "t00404041": element("CS", "READY"),
    "t0040A370": element(
        "SQ",
        request_item("ACC1", "RP1"),
        request_item("ACC2", "RP2")
        | {"00321033": element("LO", "ICU"), "00080051": element("SQ", issuer("RIS", "ris.example", "DNS"))},
    ),
    "t00741200": element("CS", "HIGH"),
    "t00741202": element("LO", "AI"),
    "t00741204": element("LO", "Nodule detection"),
    "t00741224": element("SQ", {"00081150": element("UI", "1.2"), "00081155": element("UI", "1.55")}),
}


async def full() -> Worklist:
    """A worklist that has it alone, by the UID 1.2.3."""
    worklist = Worklist()
    await worklist.create(**FULL)
    return worklist

"""What the local host loads into Azurite: one row costs one row."""

import json
import os
import subprocess
from pathlib import Path

from devhost.azurite.emulator import azurite_command

_ROOT = Path(__file__).resolve().parents[4]
_SCRIPT = """
const { createRequire } = require("node:module");
const Loki = createRequire(require("node:fs").realpathSync(process.argv[1]))("lokijs");
const { $eq } = Loki.LokiOps, { ensureIndex } = Loki.Collection.prototype;
let compared = 0, sorted = 0;
Loki.LokiOps.$eq = (a, b) => { compared += 1; return $eq(a, b); };
Loki.Collection.prototype.ensureIndex = function (...all) { sorted += 1; return ensureIndex.apply(this, all); };
const rows = new Loki.Collection("rows", { indices: ["PartitionKey", "RowKey"] });
for (let n = 0; n < 3000; n += 1) rows.insert({ PartitionKey: `p${n % 3}`, RowKey: `r${n}` });
sorted = 0;
const ask = (n, more = {}) => rows.findOne({ PartitionKey: "p1", RowKey: `r${n}`, ...more });
const found = [ask(1)?.RowKey, ask(2)?.RowKey, ask(9999)?.RowKey];
const lookedAt = compared;
found.push(ask(1, { RowKey: { $gt: "r" } })?.PartitionKey);
rows.findAndRemove({ RowKey: "r1" });
const sortedForOne = sorted;
rows.findAndRemove({ PartitionKey: "p2" });
const left = [ask(1), ask(4)?.RowKey, rows.count(), rows.find({ RowKey: "r7" }).length];
console.log(JSON.stringify({ found, lookedAt, sortedForOne, left }));
"""


def _run(*options):
    """Run the script as the program that Azurite is; what it says."""
    azurite = azurite_command(os.environ)
    # `node -e` has no program of its own: the first argument takes its place.
    command = ["node", *options, "-e", _SCRIPT, azurite]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_row_is_found_and_removed_without_a_look_at_all_others():
    plain = _run()
    quick = _run(f"--require={_ROOT / 'devhost/azurite/row_lookup.cjs'}")

    assert quick["found"] == plain["found"] == ["r1", None, None, "p1"]
    assert quick["left"] == plain["left"] == [None, "r4", 1999, 1]
    assert plain["lookedAt"] >= 3000
    assert quick["lookedAt"] < 10
    assert plain["sortedForOne"] == 2
    assert quick["sortedForOne"] == 0

// Loaded into Azurite's process before Azurite itself (devhost/azurite/emulator.py). Two of its look-ups cost as much as the
// table, or the list of all blobs, is long; here they cost what they touch. What they return stays the same.
"use strict";

const { realpathSync } = require("node:fs");
const { createRequire } = require("node:module");

let Loki;
try {
  Loki = createRequire(realpathSync(process.argv[1]))("lokijs");
} catch {
  // Another program, or an Azurite that keeps its rows elsewhere: nothing to do.
}

if (Loki?.Collection) {
  const { findOne, removeBatchByPositions } = Loki.Collection.prototype;

  // A row is asked for by PartitionKey and RowKey. Only the first of several conditions uses its index, and the rows
  // that it leaves are looked at one by one: with the partition first that is the whole partition.
  Loki.Collection.prototype.findOne = function (query) {
    return findOne.call(this, narrowestFirst(this, query));
  };

  // Whatever is removed by a query, were it one row, has every index of the collection sorted anew. Removing garbage
  // a blob at a time then holds up the emulator for minutes.
  Loki.Collection.prototype.removeBatchByPositions = function (positions) {
    if (positions.length !== 1) {
      return removeBatchByPositions.call(this, positions);
    }
    this.remove(this.data[positions[0]]);
  };
}

function narrowestFirst(collection, query) {
  const names = Object.keys(query ?? {});
  const indexed = names.every((name) => typeof query[name] === "string" && collection.binaryIndices[name]);
  if (names.length < 2 || !indexed || !collection.adaptiveBinaryIndices || collection.data.length === 0) {
    return query;
  }
  const rows = (name) => {
    const [first, last] = collection.calculateRange("$eq", name, query[name]);
    return last - first;
  };
  const byRows = names.map((name) => [rows(name), name]).sort(([a], [b]) => a - b);
  return Object.fromEntries(byRows.map(([, name]) => [name, query[name]]));
}

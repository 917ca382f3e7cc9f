"""What was submitted: in items of its own, or in blobs where it is too large for those.

Apart from where the job stands, for it is read seldom; and the items of an inline source apart
from the rest, for a task needs the rest alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.dynamodb.items import job_pk
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import ItemKey
from engine.blobs import BlobStore
from engine.jobs import NewJob
from engine.jsonvalue import decode, encode_again
from engine.new_jobs import without_items

MAX_TEXT_BYTES: Final = 96 * 1024
"""Of one part within an item, of which there are three at most beside small ones."""
_BLOB: Final = "_blob"


def input_key(job: str) -> ItemKey:
    """Return the key of what was submitted, without inline items."""
    return job_pk(job), "INPUT"


def items_key(job: str) -> ItemKey:
    """Return the key of the inline items."""
    return job_pk(job), "ITEMS"


def input_folder(job: str) -> str:
    """Return the folder of blobs that belong to a job's input; outlives its other blobs."""
    return f"inputs/{job}"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Writes and reads what was submitted.

    Attributes:
        blobs: Where what is large goes.
    """

    blobs: BlobStore

    def items(self, new: NewJob, spec: dict[str, Any]) -> list[Item]:
        """Return the items of a new job's input; what is large has been written then."""
        return self.parts(new.id, spec, sql=new.sql, resolved_source=new.resolved_source)

    def parts(
        self,
        job: str,
        spec: dict[str, Any],
        *,
        sql: dict[str, Any] | None = None,
        resolved_source: str | None = None,
    ) -> list[Item]:
        """Return the items of a job's input; as for ``items``."""
        found = self._item(input_key(job), {"spec": without_items(spec), "sql": sql})
        if resolved_source is not None:
            found["resolved_source"] = resolved_source
        inline = spec["source"]["inline"]
        if not inline:
            return [found]
        return [found, self._item(items_key(job), {"items": inline})]

    def forget(self, items: Iterable[Item]) -> None:
        """Remove the blobs of items that were not written after all."""
        names = [item[name] for item in items for name in item if name.endswith(_BLOB)]
        if names:
            self.blobs.delete(names)

    def changed(self, item: Item, spec: dict[str, Any]) -> Item:
        """Return the attributes by which an item of input says *spec*; as for ``items``."""
        pk, sk = item["pk"], item["sk"]
        parts = {"spec": without_items(spec)}
        # Under a name of its own: whoever reads the item as it was still finds what it names.
        revision = int(item.get("revision", 0)) + 1
        found = self._item((pk, sk), parts, suffix=f"-{revision}")
        names = ("spec", "spec" + _BLOB)
        return {**{name: found.get(name) for name in names}, "revision": revision}

    def spec_of(self, item: Item, items: Item | None = None) -> dict[str, Any]:
        """Return the spec; with inline items where *items* has them."""
        spec: dict[str, Any] = self._part(item, "spec")
        if items is None:
            return spec
        return {**spec, "source": {**spec["source"], "inline": self._part(items, "items")}}

    def sql_of(self, item: Item) -> dict[str, Any] | None:
        """Return the steps of a job in SQL."""
        found: dict[str, Any] | None = self._part(item, "sql")
        return found

    def _item(self, key: ItemKey, parts: Mapping[str, Any], *, suffix: str = "") -> Item:
        pk, sk = key
        item: Item = {"pk": pk, "sk": sk}
        for name, value in parts.items():
            if value is None:
                continue
            text = encode_again(value)
            if len(text) <= MAX_TEXT_BYTES:
                item[name] = text.decode()
            else:
                blob = f"{input_folder(pk.partition('#')[2])}/{name}{suffix}.json"
                self.blobs.put(blob, text)
                item[name + _BLOB] = blob
        return item

    def _part(self, item: Item, name: str) -> Any:
        if name + _BLOB in item:
            return decode(self.blobs.read(item[name + _BLOB]))
        return decode(item[name]) if name in item else None

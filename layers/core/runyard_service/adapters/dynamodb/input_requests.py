"""The input requests of runs, and the task token of a run's current wait.

Only the code that resumes the run reads the token, and the state that an MCP server wants back with
the answers. Neither is ever in an event, a log line or a response.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import Item, TransactWriteItem
from runyard_service.adapters.dynamodb.runs import Runs
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.json_fields import JsonFields
from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.clock import timestamp
from runyard_service.domain.input_requests import InputRequest, RequestState
from runyard_service.domain.runs import Run

# The model writes prompts and params, and an MCP server schemas, so each can be long.
_NEW_JSON_FIELDS = ("prompt", "params", "params_schema")
_JSON_FIELDS = (*_NEW_JSON_FIELDS, "answer")
# The bytes of all these fields that one transaction stores inline. A transaction takes 4 MB:
# these, 2 MB of events (`event_log.MAX_TRANSACTION_EVENT_BYTES`), and the record of the run.
_MAX_INLINE_BYTES_OF_REQUESTS = 3 * 512 * 1024


class InputRequests:
    """The request and pause items of the records table."""

    def __init__(self, table: Table, payloads: Payloads, runs: Runs) -> None:
        self._table = table
        self._json = JsonFields(payloads)
        self._runs = runs

    def get(self, run_id: str, request_id: str) -> InputRequest | None:
        """Return an input request of the run, or None."""
        item = self._table.get(keys.input_request(run_id, request_id))
        return self._from_item(item) if item else None

    def get_with_run(self, run_id: str, request_id: str) -> tuple[Run | None, InputRequest | None]:
        """Return the run and its input request, read in one call."""
        item_keys = [keys.run(run_id), keys.input_request(run_id, request_id)]
        items = {item["sk"]: item for item in self._table.batch_get(item_keys)}
        run, request = (items.get(str(key["sk"])) for key in item_keys)
        return self._runs.from_item(run) if run else None, self._from_item(
            request
        ) if request else None

    def of_run(self, run_id: str) -> list[InputRequest]:
        """Return all input requests of the run, oldest first."""
        start = keys.input_request(run_id, "")
        items = self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {":pk": start["pk"], ":prefix": start["sk"]},
        )
        return sorted(map(self._from_item, items), key=lambda request: request.sequence)

    def open_of_run(self, run_id: str) -> list[InputRequest]:
        """Return the open input requests of the run's newest pause."""
        pause = self._table.get(keys.pause(run_id))
        if pause is None:
            return []
        requests = [self.get(run_id, request_id) for request_id in pause["request_ids"]]
        return [request for request in requests if request and request.state == "open"]

    def count_open(self, project_id: str) -> int:
        """Return the number of open input requests of the project."""
        return self._table.count(
            "#project_id = :project_id", {":project_id": project_id}, keys.OPEN_REQUESTS_INDEX
        )

    def open_of_project(self, project_id: str, first: int, last: int) -> list[InputRequest]:
        """Return the open input requests of the project at positions `first` to `last`, from 1.

        The oldest input request is first.
        """
        if last < first:
            return []
        entries = self._table.query(
            "#project_id = :project_id",
            {":project_id": project_id},
            index=keys.OPEN_REQUESTS_INDEX,
            limit=last,
        )
        item_keys = [
            {"pk": entry["pk"], "sk": entry["sk"]} for entry in islice(entries, first - 1, last)
        ]
        items = {item["sk"]: self._from_item(item) for item in self._table.batch_get(item_keys)}
        # Requests that were closed since the index was read are left out.
        requests = [items[key["sk"]] for key in item_keys if key["sk"] in items]
        return [request for request in requests if request.state == "open"]

    def create_changes(self, requests: Sequence[InputRequest]) -> list[TransactWriteItem]:
        """Return the changes that store new input requests, at most 1.5 MB in total.

        With many requests, shorter prompts, params and schemas are stored in S3 too.
        """
        share = _MAX_INLINE_BYTES_OF_REQUESTS // (len(_NEW_JSON_FIELDS) * max(1, len(requests)))
        limit = min(MAX_INLINE_BYTES, share)
        return [self._create_change(request, limit) for request in requests]

    def _create_change(self, request: InputRequest, max_inline_bytes: int) -> TransactWriteItem:
        values = {name: getattr(request, name) for name in _NEW_JSON_FIELDS}
        item: Item = {
            **keys.input_request(request.run_id, request.id),
            **request.model_dump(exclude=set(_JSON_FIELDS)),
            **self._json.encoded(request.run_id, values, max_inline_bytes=max_inline_bytes),
            "request_sort_key": f"{request.created_at}#{request.sequence:08d}#{request.id}",
        }
        return self._table.put_change(item, if_absent=True)

    def close_change(
        self,
        request: InputRequest,
        state: RequestState,
        answer: Mapping[str, Any] | None = None,
        *,
        closed_by: str | None = None,
    ) -> TransactWriteItem:
        """Return the change that closes the request: answered, expired, or void after its run."""
        fields: dict[str, Any] = {
            "state": state,
            # Without this attribute, the request is not in the index of open requests.
            "request_sort_key": None,
            "closed_by": closed_by,
            "closed_at": timestamp(),
        }
        fields |= self._json.encoded(request.run_id, {"answer": answer})
        return self._table.update_change(
            keys.input_request(request.run_id, request.id), fields, only_if={"state": "open"}
        )

    def pause_change(
        self, run_id: str, token: str, request_ids: Sequence[str]
    ) -> TransactWriteItem:
        """Return the change that stores a new wait for the answers to these input requests."""
        pause = {**keys.pause(run_id), "task_token": token, "request_ids": list(request_ids)}
        return self._table.put_change(pause)

    def replace_token(self, run_id: str, token: str) -> None:
        """Store the token of a restarted wait for the same input requests."""
        self._table.update(keys.pause(run_id), {"task_token": token})

    def token(self, run_id: str) -> str | None:
        """Return the token of the run's newest wait, also if that wait has ended."""
        item = self._table.get(keys.pause(run_id))
        return item["task_token"] if item else None

    def call_state_change(
        self, run_id: str, call_id: str, request_state: str | None
    ) -> TransactWriteItem:
        """Return the change that stores what the server wants back with the answers to a call."""
        values = {"request_state": request_state}
        item = {**keys.call_state(run_id, call_id), **self._json.encoded(run_id, values)}
        return self._table.put_change(item)

    def call_state(self, run_id: str, call_id: str) -> str | None:
        """Return what the server wants back with the answers to a call, if it wants anything."""
        item = self._table.get(keys.call_state(run_id, call_id))
        values = self._json.decoded(item, ("request_state",)) if item else {}
        return values.get("request_state")

    def _from_item(self, item: Item) -> InputRequest:
        fields = keys.without_keys(item) | self._json.decoded(item, _JSON_FIELDS)
        return InputRequest.model_validate(fields)

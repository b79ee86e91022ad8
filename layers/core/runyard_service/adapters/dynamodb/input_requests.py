"""The questions of runs, and the task token of a run's present wait.

The token is read by nobody but the code that resumes the run: it never leaves this table in an
event, a log line or a response.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import Item, TransactWriteItem
from runyard_service.adapters.dynamodb.runs import Runs
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.json_fields import JsonFields
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.input_requests import InputRequest, RequestState
from runyard_service.domain.runs import Run

_JSON_FIELDS = ("params", "answer")


class InputRequests:
    """The request and pause items of the records table."""

    def __init__(self, table: Table, payloads: Payloads, runs: Runs) -> None:
        self._table = table
        self._json = JsonFields(payloads)
        self._runs = runs

    def get(self, run_id: str, request_id: str) -> InputRequest | None:
        """One question of the run, or None."""
        item = self._table.get(keys.input_request(run_id, request_id))
        return self._from_item(item) if item else None

    def get_with_run(self, run_id: str, request_id: str) -> tuple[Run | None, InputRequest | None]:
        """One question of the run, and the run's record, by one call."""
        places = [keys.run(run_id), keys.input_request(run_id, request_id)]
        items = {item["sk"]: item for item in self._table.batch_get(places)}
        run, request = (items.get(str(place["sk"])) for place in places)
        return self._runs.from_item(run) if run else None, self._from_item(
            request
        ) if request else None

    def of_run(self, run_id: str) -> list[InputRequest]:
        """Every question that the run ever asked, oldest first."""
        start = keys.input_request(run_id, "")
        items = self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {":pk": start["pk"], ":prefix": start["sk"]},
        )
        return sorted(map(self._from_item, items), key=lambda request: request.sequence)

    def open_of_run(self, run_id: str) -> list[InputRequest]:
        """The questions that wait for an answer: some of those of the newest pause."""
        pause = self._table.get(keys.pause(run_id))
        if pause is None:
            return []
        requests = [self.get(run_id, request_id) for request_id in pause["request_ids"]]
        return [request for request in requests if request and request.state == "open"]

    def count_open(self, project_id: str) -> int:
        """How many questions of the project wait for an answer."""
        return self._table.count(
            "#project_id = :project_id", {":project_id": project_id}, keys.OPEN_REQUESTS_INDEX
        )

    def open_of_project(self, project_id: str, first: int, last: int) -> list[InputRequest]:
        """The questions of the project that wait, oldest first: those at these places, from 1."""
        if last < first:
            return []
        found = self._table.query(
            "#project_id = :project_id",
            {":project_id": project_id},
            index=keys.OPEN_REQUESTS_INDEX,
            limit=last,
        )
        places = [{"pk": item["pk"], "sk": item["sk"]} for item in islice(found, first - 1, last)]
        items = {item["sk"]: self._from_item(item) for item in self._table.batch_get(places)}
        # One that was settled since the index was read is left out.
        requests = [items[place["sk"]] for place in places if place["sk"] in items]
        return [request for request in requests if request.state == "open"]

    def create_change(self, request: InputRequest) -> TransactWriteItem:
        """A new question."""
        item: Item = {
            **keys.input_request(request.run_id, request.id),
            **request.model_dump(exclude=set(_JSON_FIELDS)),
            **self._json.encoded(request.run_id, {"params": request.params}),
            "request_sort_key": f"{request.created_at}#{request.sequence:08d}#{request.id}",
        }
        return self._table.put_change(item, if_absent=True)

    def close_change(
        self, request: InputRequest, state: RequestState, answer: Mapping[str, Any] | None = None
    ) -> TransactWriteItem:
        """The question is open no more: answered, expired, or void as its run has ended."""
        # Without its `request_sort_key` the question is in the inbox no more.
        fields: dict[str, Any] = {"state": state, "request_sort_key": None}
        fields |= self._json.encoded(request.run_id, {"answer": answer})
        return self._table.update_change(
            keys.input_request(request.run_id, request.id), fields, only_if={"state": "open"}
        )

    def pause_change(
        self, run_id: str, token: str, request_ids: Sequence[str]
    ) -> TransactWriteItem:
        """The wait that begins now, for the answers to these questions."""
        pause = {**keys.pause(run_id), "task_token": token, "request_ids": list(request_ids)}
        return self._table.put_change(pause)

    def replace_token(self, run_id: str, token: str) -> None:
        """The wait was begun anew, with another token; the questions are the same."""
        self._table.update(keys.pause(run_id), {"task_token": token})

    def token(self, run_id: str) -> str | None:
        """The token of the run's newest wait, also when that wait is over."""
        item = self._table.get(keys.pause(run_id))
        return item["task_token"] if item else None

    def _from_item(self, item: Item) -> InputRequest:
        fields = keys.without_keys(item) | self._json.decoded(item, _JSON_FIELDS)
        return InputRequest.model_validate(fields)

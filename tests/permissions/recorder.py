"""Record the AWS calls of boto3 clients: the actions that each needs, and its process.

Clients created before the recording are not recorded. A presigned URL counts as the call that its
holder makes with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore import handlers
from botocore.signers import S3PostPresigner

from runyard_service.adapters import aws_session
from tests.fault_injection.faults import Process
from tests.permissions.required_actions import RequiredAction, required_actions


@dataclass
class Recorder:
    """The actions that each process needed; calls outside a process are not recorded."""

    present: Callable[[], Process | None]
    _calls: list[tuple[Process, RequiredAction]] = field(default_factory=list)

    def of(self, *processes: Process) -> set[RequiredAction]:
        """Return the actions that these processes needed."""
        ids = {id(process) for process in processes}
        return {right for process, right in self._calls if id(process) in ids}

    def record(self, service: str, operation: str, params: Any) -> None:
        """Record a call that is about to start."""
        process = self.present()
        if process is not None:
            self._calls += [
                (process, right) for right in required_actions(service, operation, params)
            ]


@contextmanager
def recording(present: Callable[[], Process | None]) -> Iterator[Recorder]:
    """Record the calls of clients created from now on; `present` returns the current process."""
    recorder = Recorder(present)
    spec: Any = ("before-parameter-build", _hook(recorder))
    builtin: list[Any] = handlers.BUILTIN_HANDLERS
    builtin.append(spec)
    aws_session.session.cache_clear()  # A session has the handlers of its creation.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            S3PostPresigner,
            "generate_presigned_post",
            _post_hook(recorder, S3PostPresigner.generate_presigned_post),
        )
        try:
            yield recorder
        finally:
            builtin.remove(spec)
            aws_session.session.cache_clear()


def _hook(recorder: Recorder) -> Callable[..., None]:
    def before_parameter_build(params: Any, model: Any, context: Any, **_: Any) -> None:
        if model.name == "CreateBucket" and context.get("is_presign_request"):
            return  # botocore builds the URL of a presigned POST this way; see `_post_hook`.
        recorder.record(model.service_model.service_id, model.name, params)

    return before_parameter_build


def _post_hook(recorder: Recorder, generate: Any) -> Any:
    def generate_and_record(self: Any, request_dict: Any, **options: Any) -> Any:
        fields = {
            name: value
            for condition in options["conditions"]
            if isinstance(condition, dict)
            for name, value in condition.items()
        }
        recorder.record("S3", "PostObject", {"Bucket": fields["bucket"], "Key": fields["key"]})
        return generate(self, request_dict, **options)

    return generate_and_record
